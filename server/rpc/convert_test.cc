// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/convert.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "base/limits.h"
#include "base/status.h"

namespace fletch {
namespace {

template <class T>
void ExpectError(const absl::StatusOr<T>& result, absl::StatusCode code, const std::string& field) {
  EXPECT_EQ(result.status().code(), code) << result.status();
  EXPECT_EQ(ErrorField(result.status()), field) << result.status();
}

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kRange = absl::StatusCode::kOutOfRange;

v1::WriteRequest Write() {
  v1::WriteRequest request;
  request.set_project("p");
  v1::RowBatch* batch = request.add_batches();
  batch->set_feature_view("v");
  batch->set_row_count(2);
  auto& columns = *batch->mutable_columns();
  columns["k"].mutable_int64s()->add_values(1);
  columns["k"].mutable_int64s()->add_values(2);
  columns["x"].mutable_doubles()->add_values(0.5);
  columns["x"].mutable_doubles()->add_values(1.5);
  batch->mutable_event_timestamps()->add_micros(10);
  batch->mutable_event_timestamps()->add_micros(20);
  return request;
}

uint64_t HashOf(v1::WriteRequest request) {
  request.set_request_id("id");
  return ToEngine(&request)->payload_hash;
}

TEST(ConvertTest, WriteTakesEverythingOver) {
  v1::WriteRequest request = Write();
  request.set_request_id("id");
  request.set_durability(v1::BUFFERED);
  const auto out = ToEngine(&request);
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(out->project, "p");
  EXPECT_EQ(out->request_id, "id");
  EXPECT_EQ(out->durability, Durability::kBuffered);
  ASSERT_EQ(out->batches.size(), 1u);
  EXPECT_EQ(out->batches[0].feature_view, "v");
  EXPECT_EQ(out->batches[0].row_count, 2u);
  EXPECT_EQ(out->batches[0].event_times, (std::vector<int64_t>{10, 20}));
  ASSERT_EQ(out->batches[0].columns.size(), 2u);
  EXPECT_EQ(out->batches[0].columns[0].name, "k");
  EXPECT_EQ(out->batches[0].columns[1].column.doubles, (std::vector<double>{0.5, 1.5}));
}

TEST(ConvertTest, PayloadHashIsOfTheContentAlone) {
  const uint64_t hash = HashOf(Write());
  v1::WriteRequest other = Write();
  other.set_durability(v1::BUFFERED);
  EXPECT_EQ(HashOf(other), hash) << "durability is not content";
  v1::WriteRequest reordered;
  reordered.set_project("p");
  *reordered.add_batches() = Write().batches(0);
  const v1::Column key = reordered.batches(0).columns().at("k");
  reordered.mutable_batches(0)->mutable_columns()->erase("k");
  (*reordered.mutable_batches(0)->mutable_columns())["k"] = key;
  EXPECT_EQ(HashOf(reordered), hash) << "the order of a map is chance";
  other.mutable_batches(0)->mutable_event_timestamps()->set_micros(0, 11);
  EXPECT_NE(HashOf(other), hash);
  // Stored with the request id, so it must be the same in every build for ever.
  EXPECT_EQ(hash, 0xbf6ee0895c06659eull) << std::hex << hash;
}

TEST(ConvertTest, WriteLimits) {
  v1::WriteRequest request = Write();
  request.clear_project();
  ExpectError(ToEngine(&request), kInvalid, "project");
  request = Write();
  request.clear_batches();
  ExpectError(ToEngine(&request), kInvalid, "batches");
  request = Write();
  for (size_t i = 0; i < limits::kMaxBatchesPerWrite; ++i) request.add_batches();
  ExpectError(ToEngine(&request), kRange, "batches");
  request = Write();
  request.mutable_batches(0)->set_row_count(0);
  ExpectError(ToEngine(&request), kInvalid, "batches[0].row_count");
  request.mutable_batches(0)->set_row_count(limits::kMaxRowsPerBatch + 1);
  ExpectError(ToEngine(&request), kRange, "batches[0].row_count");
  request.mutable_batches(0)->set_row_count(3);
  ExpectError(ToEngine(&request), kInvalid, "batches[0].columns.k");
  request = Write();
  request.set_durability(static_cast<v1::Durability>(9));
  ExpectError(ToEngine(&request), kInvalid, "durability");
  request = Write();
  request.set_request_id(std::string(limits::kMaxRequestIdBytes, 'i'));
  EXPECT_TRUE(ToEngine(&request).ok());
  request = Write();
  request.set_request_id(std::string(limits::kMaxRequestIdBytes + 1, 'i'));
  ExpectError(ToEngine(&request), kInvalid, "request_id");
}

TEST(ConvertTest, OneTimeOfADeleteServesAllRows) {
  v1::DeleteRequest request;
  request.set_project("p");
  request.set_feature_view("v");
  request.set_row_count(3);
  for (int i = 0; i < 3; ++i) (*request.mutable_keys())["k"].mutable_int64s()->add_values(i);
  request.mutable_event_timestamps()->add_rfc3339("1970-01-01T00:00:01Z");
  v1::DeleteRequest copy = request;
  const auto out = ToEngine(&copy);
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(out->event_times, (std::vector<int64_t>(3, 1'000'000)));
  request.mutable_event_timestamps()->add_rfc3339("1970-01-01T00:00:01Z");
  ExpectError(ToEngine(&request), kInvalid, "event_timestamps");
}

TEST(ConvertTest, OnlineLimitsAndTimes) {
  v1::GetOnlineFeaturesRequest base;
  base.set_project("p");
  base.add_features("v:x");
  base.set_row_count(1);
  (*base.mutable_keys())["k"].mutable_int64s()->add_values(1);
  const auto plain = ToEngine(base);
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_FALSE(plain->as_of.has_value());
  EXPECT_FALSE(plain->known_at.has_value());

  auto request = base;
  request.set_row_count(limits::kMaxKeysPerOnlineRead + 1);
  ExpectError(ToEngine(request), kRange, "row_count");
  request = base;
  request.set_feature_service("s");
  ExpectError(ToEngine(request), kInvalid, "feature_service");
  request = base;
  request.clear_features();
  ExpectError(ToEngine(request), kInvalid, "features");
  request = base;
  for (size_t i = 0; i < limits::kMaxFeaturesPerRequest; ++i) request.add_features("v:y");
  ExpectError(ToEngine(request), kRange, "features");
  request = base;
  request.mutable_as_of();
  ExpectError(ToEngine(request), kInvalid, "as_of");
  request.mutable_as_of()->add_micros(5);
  EXPECT_EQ(*ToEngine(request)->as_of, 5);
  request.mutable_as_of()->add_micros(6);
  ExpectError(ToEngine(request), kInvalid, "as_of");
  request = base;
  request.mutable_known_at();
  ExpectError(ToEngine(request), kInvalid, "known_at");
  request.mutable_known_at()->set_commit_seq(0);
  EXPECT_EQ(ToEngine(request)->known_at->commit_seq, 0u);
  request.mutable_known_at()->mutable_time()->add_rfc3339("1970-01-01T00:00:01Z");
  EXPECT_TRUE(ToEngine(request)->known_at->by_time);
  EXPECT_EQ(ToEngine(request)->known_at->time, 1'000'000);
}

TEST(ConvertTest, KnownAtModes) {
  v1::HistoricalHeader header;
  header.set_project("p");
  header.set_feature_service("s");
  EXPECT_EQ(ToEngine(header)->mode, KnownAtMode::kNewest);
  header.set_known_at_mode(v1::FIXED);
  ExpectError(ToEngine(header), kInvalid, "known_at");
  header.mutable_known_at()->set_commit_seq(3);
  EXPECT_EQ(ToEngine(header)->mode, KnownAtMode::kFixed);
  header.set_known_at_mode(v1::KNOWN_AT_MODE_UNSPECIFIED);
  EXPECT_EQ(ToEngine(header)->mode, KnownAtMode::kFixed);
  header.set_known_at_mode(v1::AS_SERVED);
  ExpectError(ToEngine(header), kInvalid, "known_at");
  header.set_known_at_mode(static_cast<v1::KnownAtMode>(77));
  ExpectError(ToEngine(header), kInvalid, "known_at_mode");
}

v1::SearchRequest Search() {
  v1::SearchRequest request;
  request.set_project("p");
  request.set_index("v:e");
  request.add_vector(1);
  request.set_top_k(5);
  return request;
}

TEST(ConvertTest, SearchLimits) {
  EXPECT_TRUE(ToEngine(Search()).ok());
  v1::SearchRequest request = Search();
  request.set_top_k(0);
  ExpectError(ToEngine(request), kInvalid, "top_k");
  request.set_top_k(limits::kMaxTopK);
  EXPECT_TRUE(ToEngine(request).ok());
  request.set_top_k(limits::kMaxTopK + 1);
  ExpectError(ToEngine(request), kRange, "top_k");
  request = Search();
  request.mutable_params()->set_ef(limits::kMaxEf + 1);
  ExpectError(ToEngine(request), kRange, "params.ef");
  request = Search();
  (*request.mutable_entity_key())["k"].mutable_int64s()->add_values(1);
  ExpectError(ToEngine(request), kInvalid, "vector");
  request.clear_vector();
  EXPECT_TRUE(ToEngine(request).ok());
  request = Search();
  request.set_vector(0, std::numeric_limits<float>::quiet_NaN());
  ExpectError(ToEngine(request), kInvalid, "vector");
  request = Search();
  request.mutable_vector()->Resize(limits::kMaxDimension + 1, 1);
  ExpectError(ToEngine(request), kRange, "vector");
}

TEST(ConvertTest, FiltersAreReadAndBounded) {
  v1::SearchRequest request = Search();
  ExpectError((request.mutable_filter(), ToEngine(request)), kInvalid, "filter");
  v1::Filter* filter = request.mutable_filter();
  for (size_t depth = 1; depth < limits::kMaxFilterDepth; ++depth) filter = filter->mutable_not_();
  filter->mutable_is_null()->set_ref("v:x");
  EXPECT_TRUE(ToEngine(request).ok());
  filter->mutable_not_()->mutable_is_null()->set_ref("v:x");
  EXPECT_EQ(ToEngine(request).status().code(), kRange);

  request = Search();
  auto* list = request.mutable_filter()->mutable_and_();
  v1::Comparison* compare = list->add_filters()->mutable_compare();
  compare->set_ref("v:x");
  compare->set_op(v1::LT);
  ExpectError(ToEngine(request), kInvalid, "filter.and.filters[0].compare.value");
  compare->mutable_value()->set_double_value(std::numeric_limits<double>::quiet_NaN());
  ExpectError(ToEngine(request), kInvalid, "filter.and.filters[0].compare.value");
  compare->mutable_value()->set_int_value(7);
  const auto out = ToEngine(request);
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(out->filter->children[0].op, FilterSpec::Op::kLt);
  EXPECT_EQ(std::get<int64_t>(out->filter->children[0].values[0]), 7);
  compare->set_op(v1::PREFIX);
  EXPECT_EQ(ToEngine(request)->filter->children[0].op, FilterSpec::Op::kPrefix);
  compare->set_op(v1::CONTAINS);
  EXPECT_EQ(ToEngine(request)->filter->children[0].op, FilterSpec::Op::kContains);
  compare->set_op(v1::COMPARE_OP_UNSPECIFIED);
  ExpectError(ToEngine(request), kInvalid, "filter.and.filters[0].compare.op");
  compare->set_op(v1::EQ);
  list->add_filters()->mutable_in()->set_ref("v:x");
  ExpectError(ToEngine(request), kInvalid, "filter.and.filters[1].in.values");
  for (size_t i = 0; i <= limits::kMaxInValues; ++i) {
    list->mutable_filters(1)->mutable_in()->add_values()->set_int_value(1);
  }
  ExpectError(ToEngine(request), kRange, "filter.and.filters[1].in.values");
}

TEST(ConvertTest, RegistryRequests) {
  v1::ListRequest list;
  EXPECT_EQ(ErrorField(CheckRequest(list)), "project");
  list.set_kind(v1::PROJECT);
  EXPECT_TRUE(CheckRequest(list).ok());
  list.set_page_size(limits::kMaxPageSize + 1);
  EXPECT_EQ(CheckRequest(list).code(), kRange);
  v1::GetRequest get;
  get.set_project("p");
  EXPECT_EQ(ErrorField(CheckRequest(get)), "kind");
  get.set_kind(v1::ENTITY);
  EXPECT_EQ(ErrorField(CheckRequest(get)), "name");
  get.set_kind(static_cast<v1::ObjectKind>(99));
  EXPECT_EQ(ErrorField(CheckRequest(get)), "kind");
  v1::GetLineageRequest lineage;
  EXPECT_EQ(ErrorField(CheckRequest(lineage)), "project");
  lineage.set_project("p");
  EXPECT_EQ(ErrorField(CheckRequest(lineage)), "kind");
  lineage.set_kind(v1::PROJECT);
  EXPECT_EQ(ErrorField(CheckRequest(lineage)), "kind");
  lineage.set_kind(v1::TRAINING_SET);
  EXPECT_EQ(ErrorField(CheckRequest(lineage)), "name");
  lineage.set_name("t");
  EXPECT_TRUE(CheckRequest(lineage).ok());
}

}  // namespace
}  // namespace fletch
