// SPDX-License-Identifier: Apache-2.0
// Data and a plain-loop oracle for the index's tests.
#ifndef FLETCH_INDEX_INDEX_TEST_UTIL_H_
#define FLETCH_INDEX_INDEX_TEST_UTIL_H_

#include <algorithm>
#include <functional>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "index/vector_index.h"

namespace fletch {

// Points around `clusters` centres.
inline std::vector<std::vector<float>> ClusteredVectors(size_t count, size_t d, size_t clusters,
                                                        std::mt19937_64* random) {
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> centres(clusters, std::vector<float>(d));
  for (auto& centre : centres) {
    for (float& x : centre) x = normal(*random);
  }
  std::vector<std::vector<float>> out(count, std::vector<float>(d));
  for (auto& v : out) {
    const auto& centre = centres[(*random)() % clusters];
    for (size_t i = 0; i < d; ++i) v[i] = centre[i] + 0.4f * normal(*random);
  }
  return out;
}

// Rows of `accept`, sorted by Score, ties by descending row number (so that it is not the order of
// scanning).
inline std::vector<IndexHit> PlainSearch(VectorMetric metric,
                                         const std::vector<std::vector<float>>& rows,
                                         const std::vector<float>& query, size_t top_k,
                                         const std::function<bool(RowId)>& accept) {
  std::vector<IndexHit> hits;
  for (RowId row = 0; row < rows.size(); ++row) {
    if (accept(row)) hits.push_back({row, Score(metric, query, rows[row])});
  }
  std::sort(hits.begin(), hits.end(), [metric](const IndexHit& a, const IndexHit& b) {
    if (a.score != b.score) return Nearer(metric, a.score, b.score);
    return a.row > b.row;
  });
  hits.resize(std::min(top_k, hits.size()));
  return hits;
}

struct Ask {
  size_t top_k = 10;
  size_t ef = 0;
  bool exact = false;
  bool unfiltered = true;
  bool accept_is_dear = false;
  double selectivity = 1;
  std::optional<float> threshold = {};
  std::optional<std::vector<RowId>> listed = {};
  std::function<bool(RowId)> accept = [](RowId) { return true; };
  std::function<absl::Status()> check = [] { return absl::OkStatus(); };
};

inline absl::StatusOr<IndexAnswer> SearchIndex(const VectorIndex& index,
                                               const std::vector<float>& query, const Ask& ask) {
  const auto greater_row_first = [](RowId a, RowId b) { return a > b; };
  const auto rows = [&ask] { return ask.listed; };
  IndexQuery asked{.vector = query,
                   .top_k = ask.top_k,
                   .ef = ask.ef,
                   .exact = ask.exact,
                   .threshold = ask.threshold,
                   .accept = ask.accept,
                   .unfiltered = ask.unfiltered,
                   .accept_is_dear = ask.accept_is_dear,
                   .tie_before = greater_row_first,
                   .selectivity = ask.selectivity,
                   .check = ask.check};
  if (ask.listed.has_value()) asked.listing.emplace(IndexQuery::Listing{ask.listed->size(), rows});
  return index.Search(asked);
}

// Share of `wanted` that `found` has.
inline double Recall(const std::vector<IndexHit>& found, const std::vector<IndexHit>& wanted) {
  std::set<RowId> rows;
  for (const IndexHit& hit : found) rows.insert(hit.row);
  size_t shared = 0;
  for (const IndexHit& hit : wanted) shared += rows.count(hit.row);
  return wanted.empty() ? 1 : static_cast<double>(shared) / static_cast<double>(wanted.size());
}

}  // namespace fletch

#endif  // FLETCH_INDEX_INDEX_TEST_UTIL_H_
