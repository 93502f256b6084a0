// SPDX-License-Identifier: Apache-2.0
// Graphs, and what is found in them, for tests.
#ifndef FLETCH_INDEX_GRAPH_TEST_UTIL_H_
#define FLETCH_INDEX_GRAPH_TEST_UTIL_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "index/graph.h"
#include "index/graph_builder.h"

namespace fletch {

using Rows = std::vector<std::vector<float>>;
using Accept = std::function<bool(uint32_t row)>;

constexpr auto kNeverCancelled = [] { return false; };
constexpr auto kAlwaysGoOn = [] { return absl::OkStatus(); };

inline auto VectorOf(const Rows& rows) {
  return [&rows](uint32_t row) { return absl::Span<const float>(rows[row]); };
}

// Row numbers from `begin` to before `end`.
inline std::vector<uint32_t> RowRange(size_t begin, size_t end) {
  std::vector<uint32_t> rows(end - begin);
  std::iota(rows.begin(), rows.end(), static_cast<uint32_t>(begin));
  return rows;
}

inline std::shared_ptr<const Graph> TakeGraph(GraphBuilder* builder, size_t row_limit) {
  auto data = builder->Take(static_cast<uint32_t>(row_limit), kNeverCancelled);
  EXPECT_TRUE(data.ok()) << data.status();
  return std::make_shared<const Graph>(*std::move(data));
}

inline std::shared_ptr<const Graph> BuildGraph(VectorMetric metric, const Rows& rows,
                                               const GraphParameters& parameters = {}) {
  GraphBuilder builder(metric, rows[0].size(), parameters);
  const absl::Status status =
      builder.Add(RowRange(0, rows.size()), VectorOf(rows), kNeverCancelled);
  EXPECT_TRUE(status.ok()) << status;
  return TakeGraph(&builder, rows.size());
}

// The nearest `top_k` rows of a walk and of the orphans, best first, by distance.h's Score.
struct Found {
  std::vector<std::pair<float, uint32_t>> best;
  GraphWalk walk;
};
inline Found Find(const Graph& graph, const Rows& rows, const std::vector<float>& query, size_t ef,
                  size_t top_k = 10, const Accept& accept = {}, double selectivity = 1) {
  GraphQuery ask{.vector = query, .ef = ef, .selectivity = selectivity, .check = kAlwaysGoOn};
  ask.visit_limit = 100 * rows.size();  // the ways are the question, not their cost
  if (accept) ask.accept.emplace(accept);
  Found found{{}, *graph.Walk(ask)};
  const VectorMetric metric = graph.data().metric;
  const auto offer = [&](uint32_t row) {
    if (accept && !accept(row)) return;
    const float score = Score(metric, query, rows[row]);
    const std::pair<float, uint32_t> entry(metric == VectorMetric::kL2 ? score : -score, row);
    if (std::find(found.best.begin(), found.best.end(), entry) == found.best.end()) {
      found.best.push_back(entry);
    }
  };
  for (const GraphCandidate& candidate : found.walk.found) {
    for (const uint32_t row : graph.Rows(candidate.node)) offer(row);
  }
  for (const uint32_t row : graph.orphans()) offer(row);
  std::sort(found.best.begin(), found.best.end());
  found.best.resize(std::min(top_k, found.best.size()));
  return found;
}

// The same by comparing with every row.
inline std::vector<std::pair<float, uint32_t>> FindExactly(VectorMetric metric, const Rows& rows,
                                                           const std::vector<float>& query,
                                                           size_t top_k,
                                                           const Accept& accept = {}) {
  std::vector<std::pair<float, uint32_t>> best;
  for (uint32_t row = 0; row < rows.size(); ++row) {
    if (accept && !accept(row)) continue;
    const float score = Score(metric, query, rows[row]);
    best.emplace_back(metric == VectorMetric::kL2 ? score : -score, row);
  }
  std::sort(best.begin(), best.end());
  best.resize(std::min(top_k, best.size()));
  return best;
}

// Share of `wanted` that was found, rows of equal score counting for each other.
inline double RecallOf(const std::vector<std::pair<float, uint32_t>>& found,
                       const std::vector<std::pair<float, uint32_t>>& wanted) {
  if (wanted.empty()) return 1;
  const auto near = std::count_if(found.begin(), found.end(), [&](const auto& entry) {
    return entry.first <= wanted.back().first;
  });
  return static_cast<double>(near) / static_cast<double>(wanted.size());
}

}  // namespace fletch

#endif  // FLETCH_INDEX_GRAPH_TEST_UTIL_H_
