// SPDX-License-Identifier: Apache-2.0
// A navigable small-world graph that never changes, and the walk through it.
#ifndef FLETCH_INDEX_GRAPH_H_
#define FLETCH_INDEX_GRAPH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "index/graph_data.h"

namespace fletch {

struct GraphCandidate {
  float distance = 0;  // about graph_distance.h's to the node's vector
  uint32_t node = 0;
};

struct GraphQuery {
  absl::Span<const float> vector;
  size_t ef = 64;  // candidates, at least 1
  // Only nodes with a row of which this is true are candidates; the walk keeps to them. Unset:
  // every node is, and nothing is asked (who knows a few rows to be dead leaves them out of what
  // was found).
  std::optional<absl::FunctionRef<bool(uint32_t row)>> accept = std::nullopt;
  // Asks the memory for what `accept` will need of these rows, so that the misses overlap. Unset:
  // nothing needs it.
  std::optional<absl::FunctionRef<void(absl::Span<const uint32_t> rows)>> prepare = std::nullopt;
  double selectivity = 1;  // estimated share of rows that `accept` passes
  // A walk with `accept` that has compared or asked about so many vectors gives up, as comparing
  // with all matches is cheaper. 0: it never is.
  size_t visit_limit = 0;
  // Asked every some thousand vectors; an error ends the walk and is returned.
  absl::FunctionRef<absl::Status()> check;
};

struct GraphWalk {
  // The nearest nodes met, at most ef, nearest first. Their scores are computed in this order,
  // until `distance` is more than `error` beyond that of the worst of the wanted hits: what follows
  // is not nearer, but for one in a hundred or so.
  std::vector<GraphCandidate> found;
  float error = 0;
  size_t visited = 0;  // vectors compared
  // Too few were accepted on too long a way, or the accepted ones do not hang together: what was
  // found need not be the nearest.
  bool given_up = false;
};

// Immutable, thread-safe.
class Graph {
 public:
  // REQUIRES: at least one node; all offsets, links and lengths within bounds.
  explicit Graph(GraphData data);
  ~Graph();

  const GraphData& data() const { return data_; }
  uint32_t row_limit() const { return data_.row_limit; }
  size_t row_count() const { return data_.rows.size(); }
  size_t node_count() const { return data_.node_count(); }
  absl::Span<const uint32_t> orphans() const { return data_.orphans; }
  absl::Span<const uint32_t> Rows(uint32_t node) const {
    const uint32_t start = data_.row_start[node];
    return {&data_.rows[start], data_.row_start[node + 1] - start};
  }
  absl::Span<const uint32_t> Links(int level, uint32_t node) const;

  absl::StatusOr<GraphWalk> Walk(const GraphQuery& query) const;

  // Nodes that links of level 0 lead to from the entry.
  std::vector<bool> Reached() const;

 private:
  struct Scratch;
  class Lease;
  class Walker;

  const char* Node(uint32_t node) const { return data_.nodes.data() + node * layout_.bytes; }

  const GraphData data_;
  const NodeLayout layout_;
  mutable Mutex mu_;  // held while a scratch is taken or given back
  mutable std::vector<std::unique_ptr<Scratch>> pool_ ABSL_GUARDED_BY(mu_);
};

// Nodes that `links` lead to from the entry.
std::vector<bool> ReachedFrom(uint32_t entry, size_t node_count,
                              absl::FunctionRef<absl::Span<const uint32_t>(uint32_t node)> links);

}  // namespace fletch

#endif  // FLETCH_INDEX_GRAPH_H_
