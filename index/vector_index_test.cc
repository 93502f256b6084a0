// SPDX-License-Identifier: Apache-2.0
#include "index/vector_index.h"

#include <algorithm>
#include <bit>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/index_test_util.h"

namespace fletch {
namespace {

constexpr VectorMetric kMetrics[] = {VectorMetric::kCosine, VectorMetric::kDot, VectorMetric::kL2};

void ExpectSame(const std::vector<IndexHit>& found, const std::vector<IndexHit>& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].row, wanted[i].row) << "hit " << i;
    ASSERT_EQ(std::bit_cast<uint32_t>(found[i].score), std::bit_cast<uint32_t>(wanted[i].score));
  }
}

void NoProgress(double) {}

absl::Status BuildAll(VectorIndex* index) {
  return index->ExtendGraph([](RowId) { return true; }, [] { return false; }, NoProgress);
}

std::unique_ptr<VectorIndex> MakeIndex(VectorMetric metric,
                                       const std::vector<std::vector<float>>& rows) {
  auto index =
      std::make_unique<VectorIndex>(IndexOptions{.metric = metric, .dimension = rows[0].size()});
  for (const auto& row : rows) index->Add(row);
  return index;
}

TEST(VectorIndexTest, AnEmptyIndexHasNoHits) {
  VectorIndex index({.metric = VectorMetric::kL2, .dimension = 3});
  EXPECT_EQ(index.row_count(), 0u);
  const auto answer = SearchIndex(index, {1, 2, 3}, {});
  ASSERT_TRUE(answer.ok());
  EXPECT_TRUE(answer->hits.empty());
  ASSERT_TRUE(BuildAll(&index).ok());
  EXPECT_EQ(index.figures().graph_rows, 0u);
}

// Coordinates of -1, 0 and 1 only: many rows tie, also at the boundary of top_k.
TEST(VectorIndexTest, ExactEqualsAPlainLoopWithManyTies) {
  const uint64_t seed = std::random_device{}();
  std::mt19937_64 random(seed);
  for (const VectorMetric metric : kMetrics) {
    for (int round = 0; round < 40; ++round) {
      const size_t d = 1 + random() % 6;
      std::vector<std::vector<float>> rows(1 + random() % 400, std::vector<float>(d));
      for (auto& row : rows) {
        for (float& x : row) x = static_cast<float>(random() % 3) - 1;
        if (metric == VectorMetric::kCosine) row[random() % d] = 1;
      }
      const auto index = MakeIndex(metric, rows);
      ASSERT_TRUE(round % 2 == 1 || BuildAll(index.get()).ok());
      const uint64_t salt = random();
      for (int question = 0; question < 10; ++question) {
        Ask ask;
        ask.top_k = 1 + random() % 30;
        ask.exact = question % 2 == 0;
        ask.unfiltered = false;
        ask.selectivity = ask.exact ? 1 : 0.05;
        ask.accept_is_dear = question % 3 == 0;
        ask.accept = [salt, question](RowId row) {
          return ((row * salt) >> 40) % 4 >= static_cast<uint64_t>(question) % 4;
        };
        if (question % 5 == 0) {  // all that pass, and some others
          ask.listed.emplace();
          for (RowId row = 0; row < rows.size(); ++row) {
            if (row % 3 == 0 || ask.accept(row)) ask.listed->push_back(row);
          }
        }
        const auto& query = rows[random() % rows.size()];
        const auto answer = SearchIndex(*index, query, ask);
        ASSERT_TRUE(answer.ok());
        EXPECT_FALSE(answer->used_graph);
        ExpectSame(answer->hits, PlainSearch(metric, rows, query, ask.top_k, ask.accept));
        ASSERT_FALSE(HasFatalFailure()) << "seed " << seed;
      }
    }
  }
}

TEST(VectorIndexTest, GraphRecallIsAtLeast95PercentAndScoresAreExact) {
  std::mt19937_64 random(3);
  auto rows = ClusteredVectors(8100, 64, 60, &random);
  const std::vector<std::vector<float>> queries(rows.begin() + 8000, rows.end());
  rows.resize(8000);
  const auto far_queries = ClusteredVectors(100, 64, 60, &random);
  for (const VectorMetric metric : kMetrics) {
    const auto index = MakeIndex(metric, rows);
    ASSERT_TRUE(BuildAll(index.get()).ok());
    EXPECT_EQ(index->figures().graph_rows, rows.size());
    EXPECT_EQ(index->figures().buffered_rows, 0u);
    double recall = 0;
    size_t visited = 0;
    for (const auto& query : queries) {
      const auto answer = SearchIndex(*index, query, {});
      ASSERT_TRUE(answer.ok());
      EXPECT_TRUE(answer->used_graph);
      EXPECT_EQ(answer->hits.size(), 10u);
      for (const IndexHit& hit : answer->hits) {
        ASSERT_EQ(hit.score, Score(metric, query, rows[hit.row]));
      }
      recall +=
          Recall(answer->hits, PlainSearch(metric, rows, query, 10, [](RowId) { return true; }));
      visited += answer->visited;
    }
    recall /= static_cast<double>(queries.size());
    EXPECT_GE(recall, 0.95) << "metric " << static_cast<int>(metric);
    EXPECT_LT(visited / queries.size(), rows.size() / 2);
    // The effort is measured with vectors like those in the graph; others need more.
    Ask more;
    more.ef = metric == VectorMetric::kDot ? 384 : 128;
    double far_recall = 0;
    for (const auto& query : far_queries) {
      const auto answer = SearchIndex(*index, query, more);
      ASSERT_TRUE(answer.ok());
      far_recall += Recall(answer->hits, PlainSearch(metric, rows, query, 10, more.accept)) / 100;
    }
    EXPECT_GE(far_recall, 0.95) << "metric " << static_cast<int>(metric);
    RecordProperty("recall_" + std::to_string(static_cast<int>(metric)), std::to_string(recall));
  }
}

TEST(VectorIndexTest, FilteredSearchHoldsItsRecallAtEverySelectivity) {
  std::mt19937_64 random(4);
  const auto rows = ClusteredVectors(6000, 32, 40, &random);
  const auto index = MakeIndex(VectorMetric::kL2, rows);
  ASSERT_TRUE(BuildAll(index.get()).ok());
  for (const unsigned one_in : {2u, 5u, 20u, 500u, 3000u}) {
    Ask ask;
    ask.unfiltered = false;
    ask.accept = [one_in](RowId row) { return row * 2654435761u % one_in == 0; };
    ask.selectivity = 1.0 / one_in;
    double recall = 0;
    for (int i = 0; i < 50; ++i) {
      const auto& query = rows[random() % rows.size()];
      const auto wanted = PlainSearch(VectorMetric::kL2, rows, query, 10, ask.accept);
      const auto answer = SearchIndex(*index, query, ask);
      ASSERT_TRUE(answer.ok());
      EXPECT_EQ(answer->hits.size(), wanted.size());
      for (const IndexHit& hit : answer->hits) EXPECT_TRUE(ask.accept(hit.row));
      recall += Recall(answer->hits, wanted) / 50;
    }
    EXPECT_GE(recall, 0.95) << "one in " << one_in;
  }
}

TEST(VectorIndexTest, AWrongSelectivityCostsTimeAndNotHits) {
  std::mt19937_64 random(5);
  const auto rows = ClusteredVectors(4000, 16, 10, &random);
  const auto index = MakeIndex(VectorMetric::kL2, rows);
  ASSERT_TRUE(BuildAll(index.get()).ok());
  Ask ask;
  ask.accept = [](RowId row) { return row % 1000 == 7; };
  ask.selectivity = 1;  // it is 0.001
  const auto answer = SearchIndex(*index, rows[0], ask);
  ASSERT_TRUE(answer.ok());
  EXPECT_FALSE(answer->used_graph);
  ExpectSame(answer->hits, PlainSearch(VectorMetric::kL2, rows, rows[0], 10, ask.accept));
}

TEST(VectorIndexTest, RowsAddedAfterTheGraphAreFoundAtOnce) {
  std::mt19937_64 random(6);
  auto rows = ClusteredVectors(3000, 24, 20, &random);
  const auto index = MakeIndex(VectorMetric::kCosine, rows);
  ASSERT_TRUE(BuildAll(index.get()).ok());
  for (const auto& row : ClusteredVectors(100, 24, 20, &random)) {
    rows.push_back(row);
    const RowId id = index->Add(row);
    EXPECT_EQ(id + 1, rows.size());
    Ask ask;
    ask.top_k = 1;
    const auto answer = SearchIndex(*index, row, ask);
    ASSERT_TRUE(answer.ok());
    EXPECT_TRUE(answer->used_graph);
    EXPECT_EQ(answer->buffered, rows.size() - 3000);
    ASSERT_EQ(answer->hits[0].row, id);
  }
  EXPECT_EQ(index->figures().buffered_rows, 100u);
}

TEST(VectorIndexTest, EveryLiveRowIsFoundByItsOwnVector) {
  std::mt19937_64 random(8);
  const auto rows = ClusteredVectors(6000, 16, 300, &random);
  const auto index = MakeIndex(VectorMetric::kL2, rows);
  const auto live = [](RowId row) { return row % 7 != 0; };
  ASSERT_TRUE(index
                  ->ExtendGraph(
                      live, [] { return false; }, NoProgress)
                  .ok());
  Ask ask;
  ask.top_k = 1;
  ask.ef = 128;
  ask.accept = live;
  for (RowId row = 0; row < rows.size(); ++row) {
    if (!live(row)) continue;
    const auto answer = SearchIndex(*index, rows[row], ask);
    ASSERT_TRUE(answer.ok());
    ASSERT_EQ(answer->hits.size(), 1u);
    EXPECT_EQ(answer->hits[0].row, row);
  }
}

// Thousands of equal vectors cut each other's links; a lone one must still be found among them, and
// they themselves.
TEST(VectorIndexTest, ManyEqualVectorsHideNothing) {
  std::vector<std::vector<float>> rows(3000, {1, 0, 0, 0});
  for (int i = 0; i < 300; ++i) rows.push_back({0, 1, static_cast<float>(i), 1});
  const auto index = MakeIndex(VectorMetric::kL2, rows);
  ASSERT_TRUE(BuildAll(index.get()).ok());
  Ask one;
  one.top_k = 1;
  for (RowId row = 3000; row < rows.size(); ++row) {
    const auto answer = SearchIndex(*index, rows[row], one);
    ASSERT_TRUE(answer.ok());
    ASSERT_TRUE(answer->used_graph);
    ASSERT_EQ(answer->hits[0].row, row);
  }
  Ask all;
  all.top_k = rows.size();
  const auto answer = SearchIndex(*index, rows[0], all);
  ASSERT_TRUE(answer.ok());
  ExpectSame(answer->hits, PlainSearch(VectorMetric::kL2, rows, rows[0], rows.size(),
                                       [](RowId) { return true; }));
}

TEST(VectorIndexTest, HugeFloatsAreRankedAndDoNotCrash) {
  std::vector<std::vector<float>> rows;
  for (int i = 0; i < 500; ++i) {
    rows.push_back({(i % 2 ? 1.0f : -1.0f) * 3e38f, i % 3 ? 3e38f : -3e38f, static_cast<float>(i)});
  }
  for (const VectorMetric metric : kMetrics) {
    const auto index = MakeIndex(metric, rows);
    ASSERT_TRUE(BuildAll(index.get()).ok());
    Ask ask;
    ASSERT_TRUE(SearchIndex(*index, rows[3], ask).ok());
    ask.exact = true;
    const auto exact = SearchIndex(*index, rows[3], ask);
    ASSERT_TRUE(exact.ok());
    ExpectSame(exact->hits, PlainSearch(metric, rows, rows[3], 10, ask.accept));
  }
}

TEST(VectorIndexTest, AThresholdCutsTheAnswer) {
  std::mt19937_64 random(12);
  const auto rows = ClusteredVectors(5000, 16, 20, &random);
  for (const VectorMetric metric : kMetrics) {
    const auto index = MakeIndex(metric, rows);
    ASSERT_TRUE(BuildAll(index.get()).ok());
    for (int i = 0; i < 20; ++i) {
      Ask ask;
      ask.top_k = 50;
      ask.ef = 400;
      ask.exact = i % 2 == 0;
      const auto all = PlainSearch(metric, rows, rows[i], 50, ask.accept);
      ask.threshold = all[19].score;
      const auto answer = SearchIndex(*index, rows[i], ask);
      ASSERT_TRUE(answer.ok());
      EXPECT_EQ(answer->used_graph, !ask.exact) << "few hits are all there are";
      EXPECT_GE(answer->hits.size(), 19u);
      if (ask.exact) ExpectSame(answer->hits, {all.begin(), all.begin() + 20});
    }
  }
}

// Rows come and go in rounds, as a collection's do; then half of the rest goes.
TEST(VectorIndexTest, ChurnCostsNoRecallAndNoRow) {
  constexpr size_t kRows = 4000;
  constexpr size_t kDimension = 24;
  std::mt19937_64 random(13);
  auto rows = ClusteredVectors(kRows, kDimension, 40, &random);
  auto index = MakeIndex(VectorMetric::kL2, rows);
  std::vector<bool> live(kRows, true);
  const auto is_live = [&live](RowId row) { return live[row]; };
  const auto never = [] { return false; };
  ASSERT_TRUE(BuildAll(index.get()).ok());
  for (int round = 0; round < 20; ++round) {
    const auto fresh = ClusteredVectors(kRows / 5, kDimension, 40, &random);
    for (const auto& v : fresh) {
      RowId old = static_cast<RowId>(random() % rows.size());
      while (!live[old]) old = static_cast<RowId>(random() % rows.size());
      live[old] = false;
      rows.push_back(v);
      live.push_back(true);
      index->Add(v);
    }
    if (round % 3 == 2) index->ForgetBuilder();
    if (4 * static_cast<size_t>(std::count(live.begin(), live.end(), false)) > live.size()) {
      std::vector<std::vector<float>> kept;
      for (RowId row = 0; row < rows.size(); ++row) {
        if (live[row]) kept.push_back(rows[row]);
      }
      rows = kept;
      live.assign(rows.size(), true);
      index = MakeIndex(VectorMetric::kL2, rows);
    }
    ASSERT_TRUE(index->ExtendGraph(is_live, never, NoProgress).ok());
    EXPECT_EQ(index->CountUnreachable(is_live), 0u);
  }
  for (RowId row = 0; row < rows.size(); row += 2) live[row] = false;
  std::vector<std::vector<float>> left;
  for (RowId row = 0; row < rows.size(); ++row) {
    if (live[row]) left.push_back(rows[row]);
  }
  const auto anew = MakeIndex(VectorMetric::kL2, left);
  ASSERT_TRUE(BuildAll(anew.get()).ok());
  Ask churned;
  churned.ef = 64;
  churned.accept = is_live;
  churned.selectivity = 0.5;
  Ask fresh;
  fresh.ef = 64;
  double recall = 0;
  double recall_anew = 0;
  for (const auto& query : ClusteredVectors(200, kDimension, 40, &random)) {
    const auto answer = SearchIndex(*index, query, churned);
    const auto answer_anew = SearchIndex(*anew, query, fresh);
    ASSERT_TRUE(answer.ok() && answer_anew.ok());
    ASSERT_EQ(answer->hits.size(), 10u);
    for (const IndexHit& hit : answer->hits) ASSERT_TRUE(live[hit.row]);
    recall += Recall(answer->hits, PlainSearch(VectorMetric::kL2, rows, query, 10, is_live)) / 200;
    recall_anew +=
        Recall(answer_anew->hits, PlainSearch(VectorMetric::kL2, left, query, 10, fresh.accept)) /
        200;
  }
  EXPECT_GE(recall, recall_anew - 0.01);
}

TEST(VectorIndexTest, CancellingKeepsTheOldGraph) {
  std::mt19937_64 random(9);
  const auto index = MakeIndex(VectorMetric::kL2, ClusteredVectors(500, 8, 4, &random));
  ASSERT_TRUE(BuildAll(index.get()).ok());
  index->Add(std::vector<float>(8, 1));
  const absl::Status status =
      index->ExtendGraph([](RowId) { return true; }, [] { return true; }, NoProgress);
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(index->figures().graph_rows, 500u);
  EXPECT_EQ(index->figures().buffered_rows, 1u);
}

TEST(VectorIndexTest, AnErrorOfCheckEndsTheSearch) {
  std::mt19937_64 random(10);
  const auto rows = ClusteredVectors(500, 8, 4, &random);
  const auto index = MakeIndex(VectorMetric::kL2, rows);
  Ask ask;
  ask.check = [] { return absl::DeadlineExceededError("too late"); };
  EXPECT_EQ(SearchIndex(*index, rows[0], ask).status().code(), absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(BuildAll(index.get()).ok());
  EXPECT_EQ(SearchIndex(*index, rows[0], ask).status().code(), absl::StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace fletch
