// SPDX-License-Identifier: Apache-2.0
#include "search_queries.h"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "result.h"
#include "search_output.h"

namespace fletch::ctl {
namespace {

const KeyTypes kKeys = {{"doc", v1::STRING}, {"chunk", v1::INT64}};

absl::StatusOr<v1::BatchSearchRequest> Read(const std::string& name, const std::string& text,
                                            const KeyTypes& keys = kKeys) {
  const std::string path = absl::StrCat(testing::TempDir(), "/", name);
  std::ofstream(path) << text;
  v1::BatchSearchRequest request;
  if (absl::Status status = ReadQueries(path, "", keys, request); !status.ok()) return status;
  return request;
}

void ExpectRefused(const std::string& name, const std::string& text, const std::string& why) {
  const auto request = Read(name, text);
  EXPECT_EQ(ExitCode(request.status()), 2) << text;
  EXPECT_NE(std::string(request.status().message()).find(absl::StrCat(name, why)),
            std::string::npos)
      << request.status();
}

TEST(SearchQueries, AreRowsOfKeysInAnyOrder) {
  const auto request = Read("keys.csv", "chunk,doc\n7,a\n8,b\n");
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->query_count(), 2u);
  EXPECT_EQ(request->entity_keys().at("doc").strings().values(1), "b");
  EXPECT_EQ(request->entity_keys().at("chunk").int64s().values(0), 7);
  EXPECT_EQ(request->vectors_size(), 0);
  const auto lines =
      Read("keys.jsonl", "{\"doc\":\"a\",\"chunk\":7}\n{\"chunk\":8,\"doc\":\"b\"}\n");
  ASSERT_TRUE(lines.ok()) << lines.status();
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*lines, *request));
}

TEST(SearchQueries, AreVectors) {
  const auto lines = Read("vectors.jsonl", "{\"vector\":[0.5,1]}\n{\"vector\":[2,3]}\n");
  ASSERT_TRUE(lines.ok()) << lines.status();
  EXPECT_EQ(lines->query_count(), 2u);
  EXPECT_EQ(std::vector<float>(lines->vectors().begin(), lines->vectors().end()),
            (std::vector<float>{0.5f, 1, 2, 3}));
  const auto csv = Read("vectors.csv", "vector\n\"[0.5, 1]\"\n\"2,3\"\n");
  ASSERT_TRUE(csv.ok()) << csv.status();
  EXPECT_EQ(csv->SerializeAsString(), lines->SerializeAsString());
}

TEST(SearchQueries, OfAnEntityWhoseKeyIsNamedVectorAreKeys) {
  const auto request = Read("named.csv", "vector\nx\n", {{"vector", v1::STRING}});
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->entity_keys().at("vector").strings().values(0), "x");
}

TEST(SearchQueries, NameTheFileAndTheLineOfWhatIsWrong) {
  ExpectRefused("a.csv", "doc\na\n",
                ":2: the columns are doc; a query is a row of doc, chunk, or ");
  ExpectRefused("b.csv", "doc,chunk\na,1\nb,x\n", ":3: chunk: ");
  ExpectRefused("c.jsonl", "{\"vector\":[1,2]}\n{\"vector\":[1]}\n",
                ":2: the vector has 1 elements; those before it have 2");
  ExpectRefused("d.jsonl", "{\"vector\":[\"x\"]}\n", ":1: a vector is a list of numbers");
  ExpectRefused("e.jsonl", "{\"vector\":[1]}\n{\"doc\":\"a\",\"chunk\":1}\n",
                ":2: some rows are vectors");
  ExpectRefused("f.csv", "doc,chunk\n", ": holds no query");
}

v1::BatchSearchResponse TwoQueries() {
  v1::BatchSearchResponse answer;
  answer.add_hit_counts(1);
  answer.add_hit_counts(0);
  v1::SearchResponse& hits = *answer.mutable_hits();
  hits.set_hit_count(1);
  v1::NamedColumn& key = *hits.add_keys();
  key.set_name("doc");
  key.mutable_column()->mutable_strings()->add_values("a");
  hits.add_scores(0.5);
  hits.mutable_event_timestamps()->add_micros(0);
  hits.set_read_seq(3);
  for (const char* reason : {"why", ""}) {
    v1::SearchPlan& plan = *answer.add_plans();
    plan.set_strategy("graph");
    plan.set_ef(32);
    plan.set_reason(reason);
  }
  return answer;
}

TEST(SearchOutput, SaysWhichQueryAHitIsOf) {
  EXPECT_EQ(HitsText(TwoQueries()),
            "QUERY  doc  SCORE  EVENT TIME\n"
            "    0  a      0.5  1970-01-01T00:00:00Z\n"
            "1 hit of 2 queries, as_of 1970-01-01T00:00:00Z, read_seq 3\n"
            "plan of query 0: graph, selectivity 0, 0 candidates visited, 0 segments, 0 buffered "
            "vectors, ef 32, 0 rescored: why\n"
            "plan of query 1: graph, selectivity 0, 0 candidates visited, 0 segments, 0 buffered "
            "vectors, ef 32, 0 rescored\n");
  const Json document = HitsJson(TwoQueries());
  ASSERT_EQ(document["queries"].size(), 2u);
  EXPECT_EQ(document["queries"][0]["hits"][0]["keys"]["doc"], "a");
  EXPECT_EQ(document["queries"][0]["plan"]["reason"], "why");
  EXPECT_TRUE(document["queries"][1]["hits"].empty());
}

}  // namespace
}  // namespace fletch::ctl
