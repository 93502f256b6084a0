// SPDX-License-Identifier: Apache-2.0
#include "index/graph.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/graph_distance.h"
#include "index/graph_test_util.h"
#include "index/index_test_util.h"

namespace fletch {
namespace {

constexpr VectorMetric kMetrics[] = {VectorMetric::kCosine, VectorMetric::kDot, VectorMetric::kL2};

TEST(GraphTest, RecallOfClustersIsHighAndCandidatesComeNearestFirst) {
  std::mt19937_64 random(3);
  const Rows rows = ClusteredVectors(4000, 48, 40, &random);
  const Rows queries = ClusteredVectors(60, 48, 40, &random);
  for (const VectorMetric metric : kMetrics) {
    const auto graph = BuildGraph(metric, rows);
    EXPECT_EQ(graph->data().code, CodeKind::kInt8);
    double recall = 0;
    for (const auto& query : queries) {
      const size_t ef = metric == VectorMetric::kDot ? 384 : 128;
      const Found found = Find(*graph, rows, query, ef);
      EXPECT_EQ(found.walk.found.size(), ef);
      EXPECT_FALSE(found.walk.given_up);
      if (metric != VectorMetric::kDot) {
        EXPECT_LT(found.walk.visited, rows.size() / 2);
      }
      EXPECT_TRUE(
          std::is_sorted(found.walk.found.begin(), found.walk.found.end(),
                         [](const auto& a, const auto& b) { return a.distance < b.distance; }));
      recall += RecallOf(found.best, FindExactly(metric, rows, query, 10));
    }
    EXPECT_GE(recall / 60, 0.95) << "metric " << static_cast<int>(metric);
  }
}

// `error` says when scoring may stop: few candidates are nearer than they seem by more.
TEST(GraphTest, CandidatesAreWithinTheirError) {
  std::mt19937_64 random(4);
  const Rows rows = ClusteredVectors(3000, 64, 30, &random);
  for (const VectorMetric metric : kMetrics) {
    const auto graph = BuildGraph(metric, rows);
    size_t candidates = 0;
    size_t beyond = 0;
    for (const auto& query : ClusteredVectors(30, 64, 30, &random)) {
      const GraphWalk walk = *graph->Walk({.vector = query, .ef = 50, .check = kAlwaysGoOn});
      EXPECT_GT(walk.error, 0);
      for (const GraphCandidate& candidate : walk.found) {
        const auto& row = rows[graph->Rows(candidate.node)[0]];
        const float exact = DistanceOfScore(metric, Score(metric, query, row));
        ++candidates;
        beyond += exact < candidate.distance - walk.error;
      }
    }
    EXPECT_LE(beyond, candidates / 50) << "metric " << static_cast<int>(metric);
  }
}

enum class Attribute { kRandom, kNear, kFar };

// What an attribute accepts: one in `one_in` rows, at random or the nearest or farthest ones.
Accept AcceptOneIn(size_t one_in, Attribute attribute, const Rows& rows,
                   const std::vector<float>& query) {
  if (attribute == Attribute::kRandom) {
    return [one_in](uint32_t row) { return (row * 2654435761u >> 7) % one_in == 0; };
  }
  const auto order = FindExactly(VectorMetric::kL2, rows, query, rows.size());
  std::vector<bool> accepted(rows.size());
  for (size_t i = 0; i < rows.size() / one_in; ++i) {
    accepted[order[attribute == Attribute::kNear ? i : rows.size() - 1 - i].second] = true;
  }
  return [accepted](uint32_t row) { return accepted[row]; };
}

TEST(GraphTest, FilteredWalksFindTheNearestAccepted) {
  std::mt19937_64 random(5);
  const Rows rows = ClusteredVectors(6000, 24, 50, &random);
  const Rows queries = ClusteredVectors(25, 24, 50, &random);
  const auto graph = BuildGraph(VectorMetric::kL2, rows);
  for (const size_t one_in : {1, 2, 5, 10, 20}) {
    for (const Attribute attribute : {Attribute::kRandom, Attribute::kNear, Attribute::kFar}) {
      double recall = 0;
      size_t given_up = 0;
      for (const auto& query : queries) {
        const Accept accept = AcceptOneIn(one_in, attribute, rows, query);
        const Found found =
            Find(*graph, rows, query, 100, 10, accept, 1.0 / static_cast<double>(one_in));
        for (const GraphCandidate& candidate : found.walk.found) {
          EXPECT_TRUE(accept(graph->Rows(candidate.node)[0]));
        }
        // Who gives up says so, and is answered exactly.
        given_up += found.walk.given_up;
        const auto wanted = FindExactly(VectorMetric::kL2, rows, query, 10, accept);
        recall += found.walk.given_up ? 1 : RecallOf(found.best, wanted);
      }
      const std::string which = "one in " + std::to_string(one_in) + ", attribute " +
                                std::to_string(static_cast<int>(attribute));
      EXPECT_GE(recall / 25, 0.97) << which;
      // The farthest ones are a shell around the query, which no walk meets.
      const bool walkable = one_in <= 10 && attribute != Attribute::kFar;
      EXPECT_LE(given_up, walkable ? 8u : 25u) << which;
    }
  }
}

TEST(GraphTest, AFilteredWalkGivesUpAtItsLimitOrWhenTooFewAreAccepted) {
  std::mt19937_64 random(6);
  const Rows rows = ClusteredVectors(3000, 16, 20, &random);
  const auto graph = BuildGraph(VectorMetric::kL2, rows);
  const auto accept_few = [](uint32_t row) { return row % 1000 == 7; };
  const auto accept_half = [](uint32_t row) { return row % 2 == 0; };
  GraphQuery query{.vector = rows[0], .ef = 50, .accept = accept_few, .check = kAlwaysGoOn};
  EXPECT_TRUE(graph->Walk(query)->given_up);
  query.accept.emplace(accept_half);
  EXPECT_FALSE(graph->Walk(query)->given_up);
  query.visit_limit = 100;
  EXPECT_TRUE(graph->Walk(query)->given_up);
}

TEST(GraphTest, AnErrorOfCheckEndsTheWalk) {
  std::mt19937_64 random(7);
  const Rows rows = ClusteredVectors(2000, 8, 20, &random);
  const auto graph = BuildGraph(VectorMetric::kL2, rows);
  const auto too_late = [] { return absl::DeadlineExceededError("too late"); };
  const auto walk = graph->Walk({.vector = rows[0], .ef = 1000, .check = too_late});
  EXPECT_EQ(walk.status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(GraphTest, HugeQueriesAreGivenUp) {
  std::mt19937_64 random(8);
  const Rows rows = ClusteredVectors(1500, 8, 20, &random);
  for (const VectorMetric metric : {VectorMetric::kDot, VectorMetric::kL2}) {
    const auto graph = BuildGraph(metric, rows);
    ASSERT_EQ(graph->data().code, CodeKind::kInt8);
    const std::vector<float> query(8, 3e38f);
    EXPECT_TRUE(graph->Walk({.vector = query, .check = kAlwaysGoOn})->given_up);
  }
}

TEST(GraphTest, ThreadsWalkAsOneDoes) {
  std::mt19937_64 random(9);
  const Rows rows = ClusteredVectors(2000, 32, 20, &random);
  const auto graph = BuildGraph(VectorMetric::kCosine, rows);
  std::vector<std::vector<GraphCandidate>> alone;
  const auto ask = [&](size_t i) {
    return graph->Walk({.vector = rows[i], .ef = 40, .check = kAlwaysGoOn})->found;
  };
  for (size_t i = 0; i < 200; ++i) alone.push_back(ask(i));
  std::vector<std::thread> threads;
  std::vector<size_t> different(3);
  for (size_t t = 0; t < different.size(); ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 200; ++i) {
        const auto found = ask(i);
        different[t] += !std::equal(found.begin(), found.end(), alone[i].begin(), alone[i].end(),
                                    [](const auto& a, const auto& b) { return a.node == b.node; });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(different, testing::Each(0u));
}

TEST(GraphTest, TagsOfSeenNodesWrapAround) {
  std::mt19937_64 random(10);
  const Rows rows = ClusteredVectors(40, 4, 4, &random);
  const auto graph = BuildGraph(VectorMetric::kL2, rows);
  for (int i = 0; i < 33'000; ++i) {
    const GraphWalk walk = *graph->Walk({.vector = rows[i % 40], .ef = 5, .check = kAlwaysGoOn});
    ASSERT_EQ(graph->Rows(walk.found[0].node)[0], static_cast<uint32_t>(i % 40)) << i;
  }
}

}  // namespace
}  // namespace fletch
