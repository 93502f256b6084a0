// SPDX-License-Identifier: Apache-2.0
#include "index/graph_builder.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/graph_effort.h"
#include "index/graph_test_util.h"
#include "index/index_test_util.h"

namespace fletch {
namespace {

constexpr VectorMetric kMetrics[] = {VectorMetric::kCosine, VectorMetric::kDot, VectorMetric::kL2};

double MeanRecall(const Graph& graph, const Rows& rows, const Rows& queries, size_t ef) {
  double recall = 0;
  for (const auto& query : queries) {
    recall += RecallOf(Find(graph, rows, query, ef).best,
                       FindExactly(graph.data().metric, rows, query, 10));
  }
  return recall / static_cast<double>(queries.size());
}

void ExpectEveryRowOnce(const Graph& graph, size_t row_count) {
  std::vector<uint32_t> rows(graph.data().rows.begin(), graph.data().rows.end());
  std::sort(rows.begin(), rows.end());
  EXPECT_EQ(rows, RowRange(0, row_count));
}

// Every row is found by its own vector, whether a walk reaches it or it is listed.
void ExpectEveryRowFound(
    const Graph& graph, const Rows& rows,
    const Accept& may_be_lost = [](uint32_t) { return false; }) {
  for (uint32_t row = 0; row < rows.size(); ++row) {
    if (may_be_lost(row)) continue;
    const Found found = Find(graph, rows, rows[row], 64, rows.size());
    EXPECT_TRUE(std::any_of(found.best.begin(), found.best.end(),
                            [row](const auto& entry) { return entry.second == row; }))
        << "row " << row;
  }
}

TEST(GraphBuilderTest, TinyGraphsHoldAllTheirRows) {
  const Rows all = {{1, 0}, {0, 1}, {-1, 0}, {0, -1}, {2, 3}};
  for (const VectorMetric metric : kMetrics) {
    for (size_t count = 1; count <= all.size(); ++count) {
      const Rows rows(all.begin(), all.begin() + static_cast<ptrdiff_t>(count));
      const auto graph = BuildGraph(metric, rows);
      EXPECT_EQ(graph->row_limit(), count);
      EXPECT_EQ(graph->data().code, CodeKind::kFloat);
      ExpectEveryRowOnce(*graph, count);
      for (const auto& query : all) {
        EXPECT_EQ(Find(*graph, rows, query, 10).best, FindExactly(metric, rows, query, 10));
      }
    }
  }
}

TEST(GraphBuilderTest, EqualRowsShareANodeAcrossAdds) {
  std::mt19937_64 random(1);
  Rows rows(300, {1, 0, 0, 0});
  for (int i = 0; i < 30; ++i) rows.push_back({0, 1, static_cast<float>(i), 1});
  rows.insert(rows.end(), 200, {1, 0, 0, 0});
  rows.push_back({0, 1, 3, 1});
  GraphBuilder builder(VectorMetric::kL2, 4, {});
  ASSERT_TRUE(builder.Add(RowRange(0, 320), VectorOf(rows), kNeverCancelled).ok());
  ASSERT_TRUE(builder.Add(RowRange(320, rows.size()), VectorOf(rows), kNeverCancelled).ok());
  const auto graph = TakeGraph(&builder, rows.size());
  EXPECT_EQ(graph->node_count(), 31u);
  EXPECT_EQ(graph->row_count(), rows.size());
  ExpectEveryRowOnce(*graph, rows.size());
  EXPECT_EQ(graph->Rows(0).size(), 500u);
  EXPECT_TRUE(std::is_sorted(graph->Rows(0).begin(), graph->Rows(0).end()));
  EXPECT_EQ(Find(*graph, rows, rows[303], 5, 2).best,
            FindExactly(VectorMetric::kL2, rows, rows[303], 2));
}

TEST(GraphBuilderTest, EveryRowIsFoundByItsOwnVector) {
  std::mt19937_64 random(2);
  Rows rows = ClusteredVectors(3000, 16, 150, &random);
  rows[5][3] = 1000;  // far outside the others' range
  const auto graph = BuildGraph(VectorMetric::kL2, rows);
  EXPECT_EQ(graph->data().code, CodeKind::kInt8);
  ExpectEveryRowOnce(*graph, rows.size());
  ExpectEveryRowFound(*graph, rows);
}

// Points of a lattice, near zero and away from it.
Rows LatticePoints(size_t count) {
  Rows rows;
  for (uint32_t i = 1; i <= count; ++i) {
    std::vector<float> point(8);
    for (uint32_t digit = 0; digit < 8; ++digit) {
      point[digit] = static_cast<float>(i >> (4 * digit) & 15);
    }
    rows.push_back(std::move(point));
  }
  std::shuffle(rows.begin(), rows.end(), std::mt19937_64(11));
  return rows;
}

// What comes after a restart may be unlike what was there.
TEST(GraphBuilderTest, CodesFollowTheData) {
  std::mt19937_64 random(12);
  Rows rows = ClusteredVectors(4500, 8, 50, &random);
  for (uint32_t row = 0; row < rows.size(); ++row) rows[row][3] = static_cast<float>(row / 500);
  std::shared_ptr<const Graph> graph;
  for (uint32_t end = 1500; end <= rows.size(); end += 500) {
    GraphBuilder builder(VectorMetric::kL2, 8, {});
    if (graph) {
      ASSERT_TRUE(builder.Resume(graph, VectorOf(rows)).ok());
    }
    const uint32_t begin = graph ? end - 500 : 0;
    ASSERT_TRUE(builder.Add(RowRange(begin, end), VectorOf(rows), kNeverCancelled).ok());
    graph = TakeGraph(&builder, end);
    EXPECT_LE(graph->orphans().size(), end / 200);
  }
  ExpectEveryRowFound(*graph, rows);
}

TEST(GraphBuilderTest, NodesWithoutFloatsHideNothing) {
  const Rows rows = LatticePoints(4500);
  const auto graph = BuildGraph(VectorMetric::kL2, Rows(rows.begin(), rows.begin() + 3000));
  const auto lost = [](uint32_t row) { return row < 3000 && row % 3 != 0; };
  const auto vector = [&](uint32_t row) {
    return lost(row) ? absl::Span<const float>() : absl::Span<const float>(rows[row]);
  };
  GraphBuilder builder(VectorMetric::kL2, 8, {});
  ASSERT_TRUE(builder.Resume(graph, vector).ok());
  ASSERT_TRUE(builder.Add(RowRange(3000, 4500), VectorOf(rows), kNeverCancelled).ok());
  ExpectEveryRowFound(*TakeGraph(&builder, rows.size()), rows, lost);
}

TEST(GraphBuilderTest, OrphansAreTheNodesNoLinkLeadsTo) {
  std::mt19937_64 random(3);
  Rows rows = ClusteredVectors(4000, 4, 2000, &random);
  const auto graph = BuildGraph(VectorMetric::kDot, rows, {.m = 4, .ef_construction = 8});
  const std::vector<bool> reached = graph->Reached();
  size_t unreached = 0;
  for (uint32_t node = 0; node < graph->node_count(); ++node) {
    if (reached[node]) continue;
    ++unreached;
    for (const uint32_t row : graph->Rows(node)) {
      EXPECT_TRUE(std::binary_search(graph->orphans().begin(), graph->orphans().end(), row));
    }
  }
  // Nearly all that lost their last link have got another.
  EXPECT_LE(unreached, graph->node_count() / 100);
}

TEST(GraphBuilderTest, AResumedGraphIsAsGoodAsAFreshOne) {
  std::mt19937_64 random(4);
  const Rows rows = ClusteredVectors(4500, 32, 60, &random);
  const Rows queries = ClusteredVectors(50, 32, 60, &random);
  const auto vector = VectorOf(rows);
  for (const VectorMetric metric : kMetrics) {
    auto first = std::make_unique<GraphBuilder>(metric, 32, GraphParameters{});
    ASSERT_TRUE(first->Add(RowRange(0, 2000), vector, kNeverCancelled).ok());
    const auto small = TakeGraph(first.get(), 2000);
    first.reset();
    GraphBuilder second(metric, 32, {});
    ASSERT_TRUE(second.Resume(small, vector).ok());
    EXPECT_EQ(second.row_count(), 2000u);
    ASSERT_TRUE(second.Add(RowRange(2000, 2500), vector, kNeverCancelled).ok());
    const auto middle = TakeGraph(&second, 2500);
    ASSERT_TRUE(second.Add(RowRange(2500, 4500), vector, kNeverCancelled).ok());
    const auto large = TakeGraph(&second, 4500);
    ExpectEveryRowOnce(*middle, 2500);
    ExpectEveryRowOnce(*large, 4500);
    const auto fresh = BuildGraph(metric, rows);
    EXPECT_EQ(large->data().code, fresh->data().code);
    EXPECT_FALSE(large->data().effort.empty());
    const size_t ef = metric == VectorMetric::kDot ? 200 : 60;
    const double wanted = MeanRecall(*fresh, rows, queries, ef);
    EXPECT_GE(MeanRecall(*large, rows, queries, ef), wanted - 0.02)
        << "metric " << static_cast<int>(metric);
  }
}

TEST(GraphBuilderTest, SnapshotsDoNotChange) {
  std::mt19937_64 random(5);
  const Rows rows = ClusteredVectors(1600, 12, 20, &random);
  GraphBuilder builder(VectorMetric::kL2, 12, {});
  ASSERT_TRUE(builder.Add(RowRange(0, 1200), VectorOf(rows), kNeverCancelled).ok());
  const auto before = TakeGraph(&builder, 1200);
  const GraphData& data = before->data();
  const std::vector<char> nodes(data.nodes.begin(), data.nodes.end());
  const std::vector<uint32_t> upper(data.upper_links.begin(), data.upper_links.end());
  ASSERT_TRUE(builder.Add(RowRange(1200, 1600), VectorOf(rows), kNeverCancelled).ok());
  TakeGraph(&builder, 1600);
  EXPECT_TRUE(std::equal(nodes.begin(), nodes.end(), data.nodes.begin(), data.nodes.end()));
  EXPECT_TRUE(std::equal(upper.begin(), upper.end(), data.upper_links.begin()));
}

TEST(GraphBuilderTest, TheSameRowsGiveTheSameGraph) {
  std::mt19937_64 random(6);
  const Rows rows = ClusteredVectors(1300, 12, 20, &random);
  const auto a = BuildGraph(VectorMetric::kL2, rows);
  const auto b = BuildGraph(VectorMetric::kL2, rows);
  EXPECT_TRUE(std::equal(a->data().nodes.begin(), a->data().nodes.end(), b->data().nodes.begin(),
                         b->data().nodes.end()));
}

TEST(GraphBuilderTest, ErasedRowsLeaveNoTraceInCodes) {
  std::mt19937_64 random(7);
  const Rows rows = ClusteredVectors(1300, 12, 20, &random);
  const auto graph = BuildGraph(VectorMetric::kCosine, rows);
  const auto is_erased = [](uint32_t row) { return row % 100 == 3; };
  const auto vector = [&](uint32_t row) {
    return is_erased(row) ? absl::Span<const float>() : absl::Span<const float>(rows[row]);
  };
  GraphBuilder builder(VectorMetric::kCosine, 12, {});
  ASSERT_TRUE(builder.Resume(graph, vector).ok());
  const auto after = TakeGraph(&builder, 1300);
  ExpectEveryRowOnce(*after, 1300);
  const auto code = [](const Graph& of, uint32_t node) {
    return std::string(of.data().nodes.data() + node * of.data().node_bytes, 12);
  };
  size_t erased = 0;
  for (uint32_t node = 0; node < after->node_count(); ++node) {
    if (!is_erased(after->Rows(node)[0])) {
      EXPECT_EQ(code(*after, node), code(*graph, node));
      continue;
    }
    ++erased;
    EXPECT_NE(code(*after, node), code(*graph, node));
  }
  EXPECT_EQ(erased, 13u);
}

TEST(GraphBuilderTest, CancellingEndsTheWork) {
  std::mt19937_64 random(8);
  const Rows rows = ClusteredVectors(500, 8, 4, &random);
  GraphBuilder builder(VectorMetric::kL2, 8, {});
  int asked = 0;
  const auto soon = [&asked] { return ++asked > 3; };
  EXPECT_EQ(builder.Add(RowRange(0, 500), VectorOf(rows), soon).code(),
            absl::StatusCode::kCancelled);
  EXPECT_LT(builder.row_count(), 500u);
}

TEST(GraphBuilderTest, ProgressRisesToOne) {
  std::mt19937_64 random(9);
  const Rows rows = ClusteredVectors(500, 8, 4, &random);
  GraphBuilder builder(VectorMetric::kL2, 8, {});
  std::vector<double> heard;
  ASSERT_TRUE(builder
                  .Add(RowRange(0, 500), VectorOf(rows), kNeverCancelled,
                       [&](double share) { heard.push_back(share); })
                  .ok());
  EXPECT_TRUE(std::is_sorted(heard.begin(), heard.end()));
  EXPECT_EQ(heard.back(), 1);
  EXPECT_GT(builder.bytes(), 500u * 8 * sizeof(float));
}

TEST(GraphEffortTest, MeasuredEffortHoldsForOtherQueries) {
  std::mt19937_64 random(10);
  Rows rows = ClusteredVectors(5100, 64, 20, &random);
  const Rows queries(rows.end() - 100, rows.end());
  rows.resize(5000);
  const auto graph = BuildGraph(VectorMetric::kL2, rows);
  for (const double target : {0.8, 0.9, 0.95}) {
    const size_t ef = ChooseEf(graph->data().effort, target, 10);
    EXPECT_GE(MeanRecall(*graph, rows, queries, ef), target - 0.04) << "ef " << ef;
  }
}

TEST(GraphEffortTest, EfIsReadOffTheMeasurements) {
  const std::vector<EffortPoint> effort = {{0.5, 10}, {0.8, 20}, {0.9, 40}, {0.95, 80}};
  EXPECT_EQ(EfAt(effort, 0.3), 10);
  EXPECT_EQ(EfAt(effort, 0.9), 40);
  EXPECT_NEAR(EfAt(effort, 0.85), 30, 1e-9);
  EXPECT_EQ(EfAt(effort, 0.999), 80);
}

TEST(GraphEffortTest, EfRisesWithRecallAndTopK) {
  const std::vector<EffortPoint> effort = {{0.5, 100}, {0.8, 200}, {0.9, 400}, {0.95, 800}};
  EXPECT_GT(ChooseEf(effort, 0.85, 10), 300u);  // it aims higher
  EXPECT_LT(ChooseEf(effort, 0.85, 10), 400u);
  EXPECT_EQ(ChooseEf(effort, 0.999, 10), 800u);
  EXPECT_GE(ChooseEf({{0.99, 10}}, 0.9, 10), 32u);
  EXPECT_GE(ChooseEf(effort, 0.5, 9000), 9000u);
  EXPECT_EQ(ChooseEf(effort, 0.5, 10000), 10000u);
  EXPECT_GE(ChooseEf({}, 0.95, 10), 64u);
  size_t before = 0;
  for (size_t top_k = 1; top_k <= 10'000; top_k += 37) {
    const size_t ef = ChooseEf(effort, 0.93, top_k);
    EXPECT_GE(ef, before);
    EXPECT_GE(ef, top_k);
    before = ef;
  }
}

}  // namespace
}  // namespace fletch
