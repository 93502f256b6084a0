// SPDX-License-Identifier: Apache-2.0
// A navigable small-world graph that never changes: floats and links of its nodes, and the walk
// through them.
#ifndef FLETCH_INDEX_GRAPH_H_
#define FLETCH_INDEX_GRAPH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "index/distance.h"

namespace fletch {

// What graph_builder makes and Graph takes over. Nodes are numbered from 0.
struct GraphParts {
  VectorMetric metric = VectorMetric::kL2;
  size_t dimension = 0;
  uint32_t row_limit = 0;  // rows before it were looked at
  // Rows of equal floats share a node (many equal nodes would link to each other only, and a walk
  // would end among them): node i is rows[row_start[i]] to before rows[row_start[i + 1]].
  std::vector<uint32_t> row_start;
  std::vector<uint32_t> rows;
  std::vector<uint32_t> orphans;  // rows that should be nodes but that no walk would reach
  std::vector<float> vectors;     // a node's floats, one after the other; unit length under COSINE
  uint32_t entry = 0;             // where a walk begins, on the top level
  int top_level = 0;
  // Level 0: 1 + width words a node, the number of links and the links. Levels 1 and up: likewise,
  // level after level, from upper_start[node] on.
  size_t width0 = 0;
  size_t upper_width = 0;
  std::vector<uint32_t> links0;
  std::vector<uint32_t> upper_start;
  std::vector<uint32_t> upper_links;

  size_t node_count() const { return row_start.size() - 1; }
  absl::Span<const uint32_t> Rows(uint32_t node) const {
    return {&rows[row_start[node]], row_start[node + 1] - row_start[node]};
  }
  absl::Span<const uint32_t> Links(int level, uint32_t node) const {
    const uint32_t* list =
        level == 0
            ? &links0[node * (1 + width0)]
            : &upper_links[upper_start[node] + static_cast<size_t>(level - 1) * (1 + upper_width)];
    return {list + 1, *list};
  }
};

struct GraphWalk {
  std::vector<uint32_t> rows;  // accepted, those of about the ef nearest nodes, in no order
  size_t visited = 0;          // vectors compared
  bool given_up = false;  // too few were accepted on too long a way: the rows are not the nearest
};

// Immutable, thread-safe.
class Graph {
 public:
  // REQUIRES: at least one node.
  explicit Graph(GraphParts parts);

  uint32_t row_limit() const { return parts_.row_limit; }
  size_t row_count() const { return parts_.rows.size(); }
  const std::vector<uint32_t>& orphans() const { return parts_.orphans; }

  // Nodes near `query`. Rows that `accept` refuses are walked through but not returned. An error of
  // `check` ends it.
  absl::StatusOr<GraphWalk> Walk(absl::Span<const float> query, size_t ef,
                                 absl::FunctionRef<bool(uint32_t row)> accept,
                                 absl::FunctionRef<absl::Status()> check) const;

 private:
  struct Near {
    float distance;
    uint32_t node;
  };
  // What one walk needs; kept for the next one.
  struct Scratch {
    std::vector<uint16_t> visited;  // == tag: visited by this walk
    uint16_t tag = 0;
    std::vector<Near> open;   // heap, nearest on top
    std::vector<Near> found;  // heap, farthest on top
    std::vector<uint32_t> fresh;
    std::vector<float> query;  // normalised
  };
  class Lease;

  float Distance(const float* query, uint32_t node) const;
  uint32_t Descend(const float* query, size_t* visited) const;

  const GraphParts parts_;
  float (*const sum_)(const float* a, const float* b, size_t d);
  mutable Mutex mu_;
  mutable std::vector<std::unique_ptr<Scratch>> pool_ ABSL_GUARDED_BY(mu_);
};

}  // namespace fletch

#endif  // FLETCH_INDEX_GRAPH_H_
