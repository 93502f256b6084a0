// SPDX-License-Identifier: Apache-2.0
// Nearest neighbours among numbered rows: an exact buffer for fresh rows and an immutable graph
// behind one pointer. Knows row numbers, vectors and predicates; nothing of entities or time.
#ifndef FLETCH_INDEX_VECTOR_INDEX_H_
#define FLETCH_INDEX_VECTOR_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "index/distance.h"

namespace fletch {

using RowId = uint32_t;

struct IndexHit {
  RowId row = 0;
  float score = 0;  // as distance.h's Score
};

struct IndexQuery {
  absl::Span<const float> vector;  // dimension floats
  size_t top_k = 10;
  size_t ef = 0;       // graph candidates; 0: the index chooses; at least top_k is used
  bool exact = false;  // compare with every accepted row
  // Only rows of which this is true are hits. REQUIRES: may be called from the searching thread,
  // any number of times.
  absl::FunctionRef<bool(RowId)> accept;
  // True when `accept` costs more than a distance: exact scans then ask it only about rows near
  // enough to be hits.
  bool accept_is_dear = false;
  // Order of rows with equal scores: true when `a` comes first.
  absl::FunctionRef<bool(RowId a, RowId b)> tie_before;
  // Estimated share of rows that `accept` passes, 0 to 1; below kExactSelectivity an exact scan is
  // chosen.
  double selectivity = 1.0;
  // Asked every few thousand rows; an error ends the search and is returned.
  absl::FunctionRef<absl::Status()> check;
};

struct IndexAnswer {
  std::vector<IndexHit> hits;  // best first
  bool used_graph = false;
  size_t visited = 0;   // vectors compared
  size_t segments = 0;  // graphs searched
  size_t buffered = 0;  // rows after the graph, searched one by one
};

// One thread at a time adds (the writer) and one builds; any number search, without a lock. A graph
// that searches can see is never changed.
class VectorIndex {
 public:
  static constexpr double kExactSelectivity =
      0.10;  // traps.md: below 8-10 % an exact scan is faster and exact

  // DEFAULT parameters: M = 16, ef_construction = 200.
  VectorIndex(VectorMetric metric, size_t dimension);
  ~VectorIndex();

  // Writer: stores the vector as the next row (0, 1, 2, …); the next search finds it.
  RowId Add(absl::Span<const float> vector);
  size_t row_count() const;
  // The row's floats, as added. REQUIRES: row < row_count().
  absl::Span<const float> vector(RowId row) const;

  // Builder: makes a graph of all present rows of which `live` is true and swaps it in; rows added
  // meanwhile stay in the buffer. Slow (minutes for millions); `cancelled` is asked now and then
  // and ends it with CANCELLED.
  absl::Status BuildGraph(absl::FunctionRef<bool(RowId)> live, absl::FunctionRef<bool()> cancelled);
  // Rows in the graph, and rows after it (rows before it that were not live then count as neither).
  size_t graph_rows() const;
  size_t buffered_rows() const;

  // Exact answers are equal to a plain loop over Score, ties by tie_before, bit for bit. The
  // graph's own answers are re-scored by Score; a graph answer shorter than top_k although more
  // rows are accepted is completed exactly.
  absl::StatusOr<IndexAnswer> Search(const IndexQuery& query) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fletch

#endif  // FLETCH_INDEX_VECTOR_INDEX_H_
