// SPDX-License-Identifier: Apache-2.0
// reliability.md's table of codes, row by row: what only reads.
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

Row BadOnline(const std::string& name, StatusCode code, const std::string& field,
              const std::function<void(v1::GetOnlineFeaturesRequest*)>& spoil) {
  return {name, kOnline, Spoil<v1::GetOnlineFeaturesRequest>(GoodOnline(), spoil), code, field, ""};
}
Row BadSearch(const std::string& name, StatusCode code, const std::string& field,
              const std::function<void(v1::SearchRequest*)>& spoil) {
  return {name, kSearch, Spoil<v1::SearchRequest>(GoodSearch(), spoil), code, field, ""};
}

TEST(CodesTest, TheGoodRequestsAreGood) {
  WireClient* client = SharedClient();
  ASSERT_NE(client, nullptr);
  const Outcome online = client->Ask(kOnline, GoodOnline());
  EXPECT_EQ(online.code, StatusCode::OK) << online.Text();
  const Outcome search = client->Ask(kSearch, GoodSearch());
  EXPECT_EQ(search.code, StatusCode::OK) << search.Text();
  const Outcome batch = client->Ask(kBatchSearch, GoodBatchSearch());
  EXPECT_EQ(batch.code, StatusCode::OK) << batch.Text();
  const Snapshot snapshot = TakeSnapshot(client);
  for (size_t i = 0; i < 3; ++i) EXPECT_FALSE(snapshot.histories[i].empty()) << i;
}

TEST(CodesTest, UnknownEntityIsACellAndNoError) {
  WireClient* client = SharedClient();
  ASSERT_NE(client, nullptr);
  v1::GetOnlineFeaturesRequest request = GoodOnline();
  (*request.mutable_keys())["id"].mutable_int64s()->set_values(0, 404);
  const auto answer = client->Get<v1::GetOnlineFeaturesResponse>(kOnline, request);
  ASSERT_EQ(answer.columns_size(), 1);
  ASSERT_EQ(answer.columns(0).statuses_size(), 1);
  EXPECT_EQ(answer.columns(0).statuses(0), v1::NOT_FOUND);
}

TEST(CodesTest, OnlineReads) {
  Check({
      BadOnline("unknown project", kMissing, "", [](auto* m) { m->set_project("x"); }),
      BadOnline("unknown service", kMissing, "feature_service",
                [](auto* m) {
                  m->clear_features();
                  m->set_feature_service("x");
                }),
      BadOnline("unknown view", kMissing, "features[0]",
                [](auto* m) { m->set_features(0, "x:score"); }),
      BadOnline("unknown field", kMissing, "features[0]",
                [](auto* m) { m->set_features(0, "profile:x"); }),
      BadOnline("no ref", kInvalid, "features[0]", [](auto* m) { m->set_features(0, "profile"); }),
      BadOnline("a ref twice", kInvalid, "features[1]",
                [](auto* m) { m->add_features("profile:score"); }),
      BadOnline("service and features", kInvalid, "feature_service",
                [](auto* m) { m->set_feature_service("model"); }),
      BadOnline("no features", kInvalid, "features", [](auto* m) { m->clear_features(); }),
      BadOnline("too many features", kRange, "features",
                [](auto* m) {
                  for (size_t i = 0; i < limits::kMaxFeaturesPerRequest; ++i)
                    m->add_features("a:b");
                }),
      BadOnline("too many bindings", kRange, "bindings",
                [](auto* m) {
                  for (size_t i = 0; i <= limits::kMaxBindings; ++i) m->add_bindings();
                }),
      BadOnline("no rows", kInvalid, "row_count", [](auto* m) { m->set_row_count(0); }),
      BadOnline("too many rows", kRange, "row_count",
                [](auto* m) { m->set_row_count(limits::kMaxKeysPerOnlineRead + 1); }),
      BadOnline("key missing", kInvalid, "keys.id", [](auto* m) { m->clear_keys(); }),
      BadOnline("key unused", kInvalid, "keys.other",
                [](auto* m) { (*m->mutable_keys())["other"].mutable_int64s()->add_values(1); }),
      BadOnline("key of another type", kInvalid, "keys.id",
                [](auto* m) { (*m->mutable_keys())["id"].mutable_strings()->add_values("1"); }),
      BadOnline("null key", kInvalid, "keys.id",
                [](auto* m) { (*m->mutable_keys())["id"].add_null_rows(0); }),
      BadOnline("as_of beyond now", kRange, "as_of",
                [](auto* m) { m->mutable_as_of()->add_micros(kFarFuture); }),
      BadOnline("as_of beyond year 9999", kRange, "as_of",
                [](auto* m) { m->mutable_as_of()->add_micros(limits::kMaxTimeMicros + 1); }),
      BadOnline("two as_of", kInvalid, "as_of",
                [](auto* m) {
                  m->mutable_as_of()->add_micros(1);
                  m->mutable_as_of()->add_micros(2);
                }),
      BadOnline("known_at without a moment", kInvalid, "known_at",
                [](auto* m) { m->mutable_known_at(); }),
      BadOnline("known_at not yet reached", kState, "",
                [](auto* m) { m->mutable_known_at()->set_commit_seq(1'000'000'000); }),
      BadOnline("known_at time not yet reached", kState, "",
                [](auto* m) { m->mutable_known_at()->mutable_time()->add_micros(kFarFuture); }),
  });
}

TEST(CodesTest, HistoryReads) {
  const auto read = [](auto spoil) {
    return Spoil<v1::GetFeatureHistoryRequest>(GoodHistory(), spoil);
  };
  Check({
      {"unknown view", kHistory, read([](auto* m) { m->set_feature_view("x"); }), kMissing,
       "feature_view", ""},
      {"page too large", kHistory,
       read([](auto* m) { m->set_page_size(limits::kMaxHistoryPageSize + 1); }), kRange,
       "page_size", ""},
      {"foreign token", kHistory, read([](auto* m) { m->set_page_token("junk"); }), kInvalid,
       "page_token", ""},
      {"start after end", kHistory, read([](auto* m) {
         m->mutable_start()->add_micros(2);
         m->mutable_end()->add_micros(1);
       }),
       kInvalid, "start", ""},
      {"unknown key", kHistory,
       read([](auto* m) { (*m->mutable_keys())["x"].mutable_int64s()->add_values(1); }), kInvalid,
       "", ""},
      {"known_at not yet reached", kHistory,
       read([](auto* m) { m->mutable_known_at()->set_commit_seq(1'000'000'000); }), kState, "", ""},
  });
}

TEST(CodesTest, Searches) {
  Check({
      BadSearch("top_k 0", kInvalid, "top_k", [](auto* m) { m->set_top_k(0); }),
      BadSearch("top_k over its limit", kRange, "top_k",
                [](auto* m) { m->set_top_k(limits::kMaxTopK + 1); }),
      BadSearch("ef over its limit", kRange, "params.ef",
                [](auto* m) { m->mutable_params()->set_ef(limits::kMaxEf + 1); }),
      BadSearch("rescore over its limit", kRange, "params.rescore",
                [](auto* m) { m->mutable_params()->set_rescore(limits::kMaxRescore + 1); }),
      BadSearch("target_recall of all", kInvalid, "params.target_recall",
                [](auto* m) { m->mutable_params()->set_target_recall(1); }),
      BadSearch("target_recall below 0", kInvalid, "params.target_recall",
                [](auto* m) { m->mutable_params()->set_target_recall(-0.5); }),
      BadSearch("target_recall NaN", kInvalid, "params.target_recall",
                [](auto* m) { m->mutable_params()->set_target_recall(NAN); }),
      BadSearch("ef and target_recall", kInvalid, "params.target_recall",
                [](auto* m) {
                  m->mutable_params()->set_ef(10);
                  m->mutable_params()->set_target_recall(.9);
                }),
      BadSearch("threshold NaN", kInvalid, "score_threshold",
                [](auto* m) { m->set_score_threshold(NAN); }),
      BadSearch("groups of nothing", kInvalid, "group_by.ref",
                [](auto* m) { m->mutable_group_by(); }),
      BadSearch("groups of an unknown key", kMissing, "group_by.ref",
                [](auto* m) { m->mutable_group_by()->set_ref("x"); }),
      BadSearch("groups of JSON", kInvalid, "group_by.ref",
                [](auto* m) { m->mutable_group_by()->set_ref("profile:doc"); }),
      BadSearch("groups of another entity", kInvalid, "group_by.ref",
                [](auto* m) { m->mutable_group_by()->set_ref("orders:total"); }),
      BadSearch("groups too large", kRange, "group_by.size",
                [](auto* m) {
                  m->mutable_group_by()->set_ref("id");
                  m->mutable_group_by()->set_size(limits::kMaxGroupSize + 1);
                }),
      BadSearch("vector over its limit", kRange, "vector",
                [](auto* m) { m->mutable_vector()->Resize(limits::kMaxDimension + 1, 1); }),
      BadSearch("another dimension", kInvalid, "vector", [](auto* m) { m->add_vector(1); }),
      BadSearch("NaN", kInvalid, "vector", [](auto* m) { m->set_vector(0, NAN); }),
      BadSearch("zero vector under cosine", kInvalid, "vector",
                [](auto* m) { m->set_vector(0, 0); }),
      BadSearch("neither vector nor key", kInvalid, "vector", [](auto* m) { m->clear_vector(); }),
      BadSearch("unknown view", kMissing, "index", [](auto* m) { m->set_index("x:emb"); }),
      BadSearch("unknown field", kMissing, "index", [](auto* m) { m->set_index("face:x"); }),
      BadSearch("a field without an index", kInvalid, "index",
                [](auto* m) { m->set_index("profile:score"); }),
      BadSearch("key without a vector", kMissing, "entity_key",
                [](auto* m) {
                  m->clear_vector();
                  (*m->mutable_entity_key())["id"].mutable_int64s()->add_values(404);
                }),
      BadSearch("as_of beyond now", kRange, "as_of",
                [](auto* m) { m->mutable_as_of()->add_micros(kFarFuture); }),
      BadSearch("unknown hydrated field", kMissing, "features[0]",
                [](auto* m) { m->add_features("profile:x"); }),
  });
}

TEST(CodesTest, FiltersOfSearches) {
  const auto compare = [](v1::SearchRequest* m) {
    v1::Comparison* out = m->mutable_filter()->mutable_compare();
    out->set_ref("profile:score");
    out->set_op(v1::LT);
    out->mutable_value()->set_double_value(1);
    return out;
  };
  Check({
      BadSearch("empty filter", kInvalid, "filter", [](auto* m) { m->mutable_filter(); }),
      BadSearch("unknown field in a filter", kMissing, "filter.compare.ref",
                [compare](auto* m) { compare(m)->set_ref("profile:x"); }),
      BadSearch("filter over another entity", kInvalid, "filter.compare.ref",
                [compare](auto* m) { compare(m)->set_ref("orders:total"); }),
      BadSearch("value of another type", kInvalid, "filter.compare.value",
                [compare](auto* m) { compare(m)->mutable_value()->set_string_value("x"); }),
      BadSearch("no operator", kInvalid, "filter.compare.op",
                [compare](auto* m) { compare(m)->clear_op(); }),
      BadSearch("filter too deep", kRange, "",
                [](auto* m) {
                  v1::Filter* filter = m->mutable_filter();
                  for (size_t i = 0; i < limits::kMaxFilterDepth; ++i)
                    filter = filter->mutable_not_();
                  filter->mutable_is_null()->set_ref("profile:score");
                }),
  });
}

TEST(CodesTest, BatchSearches) {
  const auto bad = [](const std::string& name, StatusCode code, const std::string& field,
                      const std::function<void(v1::BatchSearchRequest*)>& spoil) {
    return Row{name, kBatchSearch, Spoil<v1::BatchSearchRequest>(GoodBatchSearch(), spoil),
               code, field,        ""};
  };
  Check({
      bad("no queries", kInvalid, "query_count", [](auto* m) { m->set_query_count(0); }),
      bad("too many queries", kRange, "query_count",
          [](auto* m) { m->set_query_count(limits::kMaxBatchQueries + 1); }),
      bad("too many hits", kRange, "common.top_k",
          [](auto* m) {
            m->set_query_count(limits::kMaxBatchQueries);
            m->mutable_common()->set_top_k(limits::kMaxBatchHits / limits::kMaxBatchQueries + 1);
          }),
      bad("top_k 0", kInvalid, "common.top_k", [](auto* m) { m->mutable_common()->set_top_k(0); }),
      bad("no project", kInvalid, "common.project",
          [](auto* m) { m->mutable_common()->clear_project(); }),
      bad("a vector in common", kInvalid, "common.vector",
          [](auto* m) { m->mutable_common()->add_vector(1); }),
      bad("a key in common", kInvalid, "common.entity_key",
          [](auto* m) {
            (*m->mutable_common()->mutable_entity_key())["id"].mutable_int64s()->add_values(1);
          }),
      bad("neither vectors nor keys", kInvalid, "vectors", [](auto* m) { m->clear_vectors(); }),
      bad("fewer numbers than queries", kInvalid, "vectors",
          [](auto* m) { m->set_query_count(3); }),
      bad("NaN", kInvalid, "vectors", [](auto* m) { m->set_vectors(4, NAN); }),
      bad("zero vector under cosine", kInvalid, "vectors", [](auto* m) { m->set_vectors(4, 0); }),
      bad("unknown view", kMissing, "common.index",
          [](auto* m) { m->mutable_common()->set_index("x:emb"); }),
      bad("keys of one row", kInvalid, "entity_keys.id",
          [](auto* m) {
            m->clear_vectors();
            (*m->mutable_entity_keys())["id"].mutable_int64s()->add_values(1);
          }),
      bad("a key without a vector", kMissing, "entity_keys",
          [](auto* m) {
            m->clear_vectors();
            for (const int64_t id : {1, 404}) {
              (*m->mutable_entity_keys())["id"].mutable_int64s()->add_values(id);
            }
          }),
      bad("empty filter", kInvalid, "common.filter",
          [](auto* m) { m->mutable_common()->mutable_filter(); }),
      bad("as_of beyond now", kRange, "common.as_of",
          [](auto* m) { m->mutable_common()->mutable_as_of()->add_micros(kFarFuture); }),
  });
}

TEST(CodesTest, Indexes) {
  const auto audit = [](const std::string& name, StatusCode code, const std::string& field,
                        const std::function<void(v1::AuditRecallRequest*)>& spoil) {
    v1::AuditRecallRequest good;
    good.set_project("c");
    good.set_index("face:emb");
    return Row{name, kAuditRecall, Spoil<v1::AuditRecallRequest>(good, spoil), code, field, ""};
  };
  const auto index = [](const char* method, StatusCode code, const std::string& field,
                        const std::string& name) {
    v1::DescribeIndexRequest request;  // RebuildIndexRequest has the same fields
    request.set_project("c");
    request.set_index(name);
    return Row{
        std::string(method) + " " + name, method, request.SerializeAsString(), code, field, ""};
  };
  Check({
      audit("audit of an unknown view", kMissing, "index", [](auto* m) { m->set_index("x:emb"); }),
      audit("audit of exact searches", kInvalid, "params.exact",
            [](auto* m) { m->mutable_params()->set_exact(true); }),
      audit("audit of too many", kRange, "queries",
            [](auto* m) { m->set_queries(limits::kMaxAuditQueries + 1); }),
      audit("audit with too many hits", kRange, "top_k",
            [](auto* m) { m->set_top_k(limits::kMaxTopK + 1); }),
      audit("audit with an empty filter", kInvalid, "filter", [](auto* m) { m->mutable_filter(); }),
      index(kDescribeIndex, kMissing, "index", "x:emb"),
      index(kDescribeIndex, kInvalid, "index", "face"),
      index(kDescribeIndex, kInvalid, "index", ""),
      index(kRebuildIndex, kMissing, "index", "face:x"),
      index(kRebuildIndex, kInvalid, "index", "profile:score"),
  });
}

// A join's errors end the stream, after the answers before them.
struct BadJoin {
  std::string name;
  std::vector<std::string> messages;
  int answers;
  StatusCode code;
  std::string field;
};

std::string HeaderMessage(const std::function<void(v1::HistoricalHeader*)>& spoil) {
  v1::GetHistoricalFeaturesRequest message;
  *message.mutable_header() = GoodHeader();
  spoil(message.mutable_header());
  return message.SerializeAsString();
}

std::string SpineMessage(const std::function<void(v1::SpineBatch*)>& spoil) {
  v1::GetHistoricalFeaturesRequest message;
  *message.mutable_spine() = GoodSpine();
  spoil(message.mutable_spine());
  return message.SerializeAsString();
}

void Check(const std::vector<BadJoin>& rows) {
  WireClient* client = SharedClient();
  ASSERT_NE(client, nullptr);
  for (const BadJoin& row : rows) {
    SCOPED_TRACE(row.name);
    auto stream = client->Open(kJoin);
    for (const std::string& message : row.messages) stream->Write(message);
    stream->WritesDone();
    int answers = 0;
    while (stream->Read().has_value()) ++answers;
    EXPECT_EQ(answers, row.answers);
    const Outcome outcome = stream->Finish();
    EXPECT_EQ(outcome.code, row.code) << outcome.Text();
    if (!row.field.empty()) {
      EXPECT_EQ(outcome.field, row.field) << outcome.Text();
    }
  }
}

TEST(CodesTest, Joins) {
  const std::string header = HeaderMessage([](auto*) {});
  const std::string spine = SpineMessage([](auto*) {});
  const std::vector<BadJoin> rows = {
      {"good", {header, spine, spine}, 3, StatusCode::OK, ""},
      {"nothing", {}, 0, kInvalid, ""},
      {"spine first", {spine}, 0, kInvalid, ""},
      {"two headers", {header, spine, header}, 2, kInvalid, ""},
      {"empty message", {header, std::string()}, 1, kInvalid, ""},
      {"unknown project", {HeaderMessage([](auto* m) { m->set_project("x"); })}, 0, kMissing, ""},
      {"unknown service",
       {HeaderMessage([](auto* m) { m->set_feature_service("x"); })},
       0,
       kMissing,
       "header.feature_service"},
      {"FIXED without known_at",
       {HeaderMessage([](auto* m) { m->set_known_at_mode(v1::FIXED); })},
       0,
       kInvalid,
       "header.known_at"},
      {"known_at not yet reached",
       {HeaderMessage([](auto* m) { m->mutable_known_at()->set_commit_seq(1'000'000'000); })},
       0,
       kState,
       ""},
      {"null key",
       {header, SpineMessage([](auto* m) { (*m->mutable_keys())["id"].add_null_rows(1); })},
       1,
       kInvalid,
       "spine.keys.id"},
      {"a time missing",
       {header,
        SpineMessage([](auto* m) { m->mutable_timestamps()->mutable_micros()->RemoveLast(); })},
       1,
       kInvalid,
       "spine.timestamps"},
      {"no rows",
       {header, SpineMessage([](auto* m) { m->set_row_count(0); })},
       1,
       kInvalid,
       "spine.row_count"},
      {"too many rows",
       {header, SpineMessage([](auto* m) { m->set_row_count(limits::kMaxSpineRowsPerBatch + 1); })},
       1,
       kRange,
       "spine.row_count"},
      {"key missing",
       {header, SpineMessage([](auto* m) { m->clear_keys(); })},
       1,
       kInvalid,
       "spine.keys.id"},
      {"a time beyond year 9999",
       {header, SpineMessage([](auto* m) {
          m->mutable_timestamps()->set_micros(1, limits::kMaxTimeMicros + 1);
        })},
       1,
       kRange,
       "spine.timestamps"},
  };
  Check(rows);
}

}  // namespace
}  // namespace fletch
