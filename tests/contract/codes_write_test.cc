// SPDX-License-Identifier: Apache-2.0
// reliability.md's table of codes, row by row: what changes something when it is right.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "base/limits.h"
#include "tests/contract/codes.h"

namespace fletch {
namespace {

Row BadWrite(const std::string& name, StatusCode code, const std::string& field,
             const std::function<void(v1::WriteRequest*)>& spoil) {
  return {name, kWrite, Spoil<v1::WriteRequest>(GoodWrite(9), spoil), code, field, ""};
}
Row BadApply(const std::string& name, StatusCode code, const std::string& field,
             const std::function<void(v1::ApplyRequest*)>& spoil) {
  return {name, kApply, Spoil<v1::ApplyRequest>(ProjectSpec(), spoil), code, field, ""};
}

v1::Column& Cell(v1::WriteRequest* request, int batch, const std::string& name) {
  return (*request->mutable_batches(batch)->mutable_columns())[name];
}

TEST(CodesTest, Registry) {
  v1::GetRequest get;
  get.set_project("c");
  get.set_kind(v1::FEATURE_VIEW);
  get.set_name("nothing");
  v1::ListRequest list;
  list.set_project("c");
  v1::DeleteObjectRequest remove;
  remove.set_project("c");
  remove.set_kind(v1::FEATURE_VIEW);
  remove.set_name("profile");
  const auto got = [&get](auto spoil) { return Spoil<v1::GetRequest>(get, spoil); };
  const auto listed = [&list](auto spoil) { return Spoil<v1::ListRequest>(list, spoil); };
  const auto removed = [&remove](auto spoil) {
    return Spoil<v1::DeleteObjectRequest>(remove, spoil);
  };
  Check({
      BadApply("no project", kInvalid, "project", [](auto* m) { m->clear_project(); }),
      BadApply("an object without content", kInvalid, "objects[7]",
               [](auto* m) { m->add_objects(); }),
      BadApply("bad name", kInvalid, "objects[0].entity.name",
               [](auto* m) { m->mutable_objects(0)->mutable_entity()->set_name("User!"); }),
      BadApply(
          "unknown entity", kMissing, "",
          [](auto* m) { m->mutable_objects(2)->mutable_feature_view()->set_entity("nobody"); }),
      BadApply("dimension over its limit", kRange, "objects[3].feature_view.fields[0].dimension",
               [](auto* m) {
                 m->mutable_objects(3)->mutable_feature_view()->mutable_fields(0)->set_dimension(
                     limits::kMaxDimension + 1);
               }),
      BadApply("too many objects", kRange, "objects",
               [](auto* m) {
                 for (size_t i = 0; i < limits::kMaxObjectsPerApply; ++i) m->add_objects();
               }),
      BadApply(
          "breaking change", kState, "",
          [](auto* m) {
            m->mutable_objects(2)->mutable_feature_view()->mutable_fields(0)->set_type(v1::STRING);
            m->mutable_objects(2)->mutable_feature_view()->mutable_fields(0)->set_forbid_nan(false);
          }),
      BadApply("stale revision", kState, "", [](auto* m) { m->set_expected_revision(999); }),
      {"get: unknown project", kGet, got([](auto* m) { m->set_project("x"); }), kMissing, "", ""},
      {"get: unknown view", kGet, got([](auto*) {}), kMissing, "", ""},
      {"get: no kind", kGet, got([](auto* m) { m->clear_kind(); }), kInvalid, "kind", ""},
      {"list: page too large", kList, listed([](auto* m) { m->set_page_size(1001); }), kRange,
       "page_size", ""},
      {"list: foreign token", kList, listed([](auto* m) { m->set_page_token("junk"); }), kInvalid,
       "page_token", ""},
      {"list: unknown project", kList, listed([](auto* m) { m->set_project("x"); }), kMissing, "",
       ""},
      {"delete: used by a service", kDeleteObject, removed([](auto*) {}), kState, "", ""},
      {"delete: unknown", kDeleteObject, removed([](auto* m) { m->set_name("nothing"); }), kMissing,
       "", ""},
      {"delete: no name", kDeleteObject, removed([](auto* m) { m->clear_name(); }), kInvalid,
       "name", ""},
  });
}

TEST(CodesTest, WriteNamesAndShapes) {
  Check({
      BadWrite("no project", kInvalid, "project", [](auto* m) { m->clear_project(); }),
      BadWrite("unknown project", kMissing, "", [](auto* m) { m->set_project("x"); }),
      BadWrite("unknown view in the last batch", kMissing, "batches[2].feature_view",
               [](auto* m) { m->mutable_batches(2)->set_feature_view("nothing"); }),
      BadWrite("unknown version", kMissing, "batches[0].feature_view",
               [](auto* m) { m->mutable_batches(0)->set_feature_view("profile@v9"); }),
      BadWrite("unknown field", kMissing, "batches[0].columns.extra",
               [](auto* m) { Cell(m, 0, "extra").mutable_doubles()->add_values(1); }),
      BadWrite("no batches", kInvalid, "batches", [](auto* m) { m->clear_batches(); }),
      BadWrite("too many batches", kRange, "batches",
               [](auto* m) {
                 for (size_t i = 0; i < limits::kMaxBatchesPerWrite; ++i) m->add_batches();
               }),
      BadWrite("no rows", kInvalid, "batches[0].row_count",
               [](auto* m) { m->mutable_batches(0)->set_row_count(0); }),
      BadWrite("too many rows", kRange, "batches[0].row_count",
               [](auto* m) { m->mutable_batches(0)->set_row_count(limits::kMaxRowsPerBatch + 1); }),
      BadWrite("row_count that claims more than there is", kInvalid, "",
               [](auto* m) { m->mutable_batches(0)->set_row_count(2); }),
      BadWrite("key missing", kInvalid, "batches[0].columns.id",
               [](auto* m) { m->mutable_batches(0)->mutable_columns()->erase("id"); }),
      BadWrite("event key missing", kInvalid, "batches[2].columns.no",
               [](auto* m) { m->mutable_batches(2)->mutable_columns()->erase("no"); }),
      BadWrite("null key", kInvalid, "batches[0].columns.id",
               [](auto* m) { Cell(m, 0, "id").add_null_rows(0); }),
      BadWrite("null row that does not exist", kInvalid, "batches[0].columns.score.null_rows",
               [](auto* m) { Cell(m, 0, "score").add_null_rows(1); }),
      BadWrite("unknown durability", kInvalid, "durability",
               [](auto* m) { m->set_durability(static_cast<v1::Durability>(9)); }),
      BadWrite(
          "request id too long", kInvalid, "request_id",
          [](auto* m) { m->set_request_id(std::string(limits::kMaxRequestIdBytes + 1, 'i')); }),
      BadWrite("the same identity twice", kInvalid, "",
               [](auto* m) { *m->add_batches() = m->batches(0); }),
  });
}

TEST(CodesTest, WriteValuesAndTimes) {
  const float infinity = std::numeric_limits<float>::infinity();
  Check({
      BadWrite("wrong type", kInvalid, "batches[0].columns.score",
               [](auto* m) { Cell(m, 0, "score").mutable_strings()->add_values("x"); }),
      BadWrite("no values", kInvalid, "batches[0].columns.score",
               [](auto* m) { Cell(m, 0, "score").clear_values(); }),
      BadWrite("NaN where forbidden", kInvalid, "batches[0].columns.score",
               [](auto* m) { Cell(m, 0, "score").mutable_doubles()->set_values(0, NAN); }),
      BadWrite("JSON that is none", kInvalid, "batches[0].columns.doc",
               [](auto* m) { Cell(m, 0, "doc").mutable_json()->set_values(0, "{"); }),
      BadWrite("another dimension", kInvalid, "batches[1].columns.emb",
               [](auto* m) {
                 Cell(m, 1, "emb").mutable_vectors()->set_dimension(2);
                 Cell(m, 1, "emb").mutable_vectors()->mutable_values()->RemoveLast();
               }),
      BadWrite("NaN in a vector", kInvalid, "batches[1].columns.emb",
               [](auto* m) { Cell(m, 1, "emb").mutable_vectors()->set_values(1, NAN); }),
      BadWrite(
          "infinity in a vector", kInvalid, "batches[1].columns.emb",
          [infinity](auto* m) { Cell(m, 1, "emb").mutable_vectors()->set_values(1, infinity); }),
      BadWrite("zero vector under cosine", kInvalid, "batches[1].columns.emb",
               [](auto* m) {
                 for (int i = 0; i < 3; ++i) Cell(m, 1, "emb").mutable_vectors()->set_values(i, 0);
               }),
      BadWrite("empty key", kInvalid, "batches[2].columns.name",
               [](auto* m) { Cell(m, 2, "name").mutable_strings()->set_values(0, ""); }),
      BadWrite("key too long", kInvalid, "batches[2].columns.name",
               [](auto* m) {
                 Cell(m, 2, "name")
                     .mutable_strings()
                     ->set_values(0, std::string(limits::kMaxKeyValueBytes + 1, 'k'));
               }),
      BadWrite("no event times", kInvalid, "batches[0].event_timestamps",
               [](auto* m) { m->mutable_batches(0)->clear_event_timestamps(); }),
      BadWrite("no time", kInvalid, "batches[0].event_timestamps",
               [](auto* m) {
                 m->mutable_batches(0)->mutable_event_timestamps()->clear_micros();
                 m->mutable_batches(0)->mutable_event_timestamps()->add_rfc3339("yesterday");
               }),
      BadWrite("a time beyond year 9999", kRange, "batches[0].event_timestamps",
               [](auto* m) {
                 m->mutable_batches(0)->mutable_event_timestamps()->set_micros(
                     0, limits::kMaxTimeMicros + 1);
               }),
      BadWrite("an event beyond the skew", kRange, "batches[0].event_timestamps",
               [](auto* m) {
                 m->mutable_batches(0)->mutable_event_timestamps()->set_micros(0, kFarFuture);
               }),
  });
}

TEST(CodesTest, RequestIdWithAnotherPayload) {
  WireClient* client = SharedClient();
  ASSERT_NE(client, nullptr);
  v1::WriteRequest request = GoodWrite(1);
  request.set_request_id("contract-1");
  const auto first = client->Get<v1::WriteResponse>(kWrite, request);
  ASSERT_GT(first.commit_seq(), 0u);
  const auto again = client->Get<v1::WriteResponse>(kWrite, request);
  EXPECT_EQ(again.commit_seq(), first.commit_seq()) << "the same id is one commit";
  Cell(&request, 0, "score").mutable_doubles()->set_values(0, 0.75);
  Check({{"another payload", kWrite, request.SerializeAsString(), kInvalid, "request_id",
          "REQUEST_ID_REUSED"}});
}

TEST(CodesTest, DeleteAndRetract) {
  const auto deleted = [](auto spoil) { return Spoil<v1::DeleteRequest>(GoodDelete(), spoil); };
  const auto retracted = [](auto spoil) { return Spoil<v1::RetractRequest>(GoodRetract(), spoil); };
  Check({
      {"delete: unknown view", kDelete, deleted([](auto* m) { m->set_feature_view("x"); }),
       kMissing, "feature_view", ""},
      {"delete: no keys", kDelete, deleted([](auto* m) { m->clear_keys(); }), kInvalid, "keys.id",
       ""},
      {"delete: too many rows", kDelete,
       deleted([](auto* m) { m->set_row_count(limits::kMaxRowsPerBatch + 1); }), kRange,
       "row_count", ""},
      {"delete: two times for one row", kDelete,
       deleted([](auto* m) { m->mutable_event_timestamps()->add_micros(5); }), kInvalid,
       "event_timestamps", ""},
      {"delete: beyond the skew", kDelete,
       deleted([](auto* m) { m->mutable_event_timestamps()->set_micros(0, kFarFuture); }), kRange,
       "event_timestamps", ""},
      {"retract: nothing was written", kRetract,
       retracted([](auto* m) { m->mutable_event_timestamps()->set_micros(0, 5); }), kMissing, "",
       ""},
      {"retract: event key missing", kRetract,
       retracted([](auto* m) { m->mutable_keys()->erase("no"); }), kInvalid, "keys.no", ""},
      {"retract: no tombstone there", kRetract, retracted([](auto* m) {
         m->set_tombstones(true);
         m->mutable_keys()->erase("no");
       }),
       kMissing, "", ""},
  });
}

TEST(CodesTest, BatchesOfAWriteStreamFailAlone) {
  WireClient* client = SharedClient();
  ASSERT_NE(client, nullptr);
  auto stream = client->Open(kWriteStream);
  for (int i = 0; i < 40; ++i) {
    v1::WriteRequest request = GoodWrite(1000 + i);
    if (i % 3 == 1) Cell(&request, 0, "score").mutable_strings()->add_values("x");
    ASSERT_TRUE(stream->Write(request.SerializeAsString()));
  }
  stream->WritesDone();
  uint64_t last_seq = 0;
  for (uint64_t i = 0; i < 40; ++i) {
    const auto answer = stream->Read();
    ASSERT_TRUE(answer.has_value()) << i;
    v1::WriteStreamResponse ack;
    ASSERT_TRUE(ack.ParseFromString(*answer));
    EXPECT_EQ(ack.index(), i);
    if (i % 3 == 1) {
      EXPECT_EQ(ack.code(), kInvalid);
      EXPECT_EQ(ack.field(), "batches[0].columns.score");
      EXPECT_EQ(ack.reason(), "INVALID_ARGUMENT");
    } else {
      ASSERT_EQ(ack.code(), 0) << ack.message();
      EXPECT_EQ(ack.result().rows(), 3u);
      EXPECT_GT(ack.result().commit_seq(), last_seq) << "commits follow the stream's order";
      last_seq = ack.result().commit_seq();
    }
  }
  EXPECT_FALSE(stream->Read().has_value());
  EXPECT_EQ(stream->Finish().code, StatusCode::OK);
}

}  // namespace
}  // namespace fletch
