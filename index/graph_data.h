// SPDX-License-Identifier: Apache-2.0
// A graph as bytes: as it is searched, and as it lies in a file.
#ifndef FLETCH_INDEX_GRAPH_DATA_H_
#define FLETCH_INDEX_GRAPH_DATA_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "index/distance.h"
#include "index/kernels.h"

namespace fletch {

// DEFAULT: what hnswlib's own benchmarks use.
struct GraphParameters {
  size_t m = 16;  // links a node on the upper levels; twice that on level 0
  size_t ef_construction = 200;
  bool operator==(const GraphParameters&) const = default;
};

// How a node holds its vector.
enum class CodeKind : uint8_t {
  kFloat = 1,  // as it is (of unit length under COSINE)
  kInt8 = 2,   // one byte an element, a range of its own for each dimension
};

// What search effort bought when the graph was measured.
struct EffortPoint {
  double recall = 0;  // @10, of vectors that were not in the graph
  uint32_t ef = 0;
};

// The bytes of a node: its code; a float, the bias of its distance (quantizer.h); then
// in words the number of links of level 0 and room for 2m of them. A code is read in whole blocks:
// what is read after it is multiplied by zero.
struct NodeLayout {
  NodeLayout(CodeKind kind, size_t dimension, size_t m)
      : bias(kind == CodeKind::kFloat ? dimension * sizeof(float) : RoundUp(dimension, 4)),
        link_count(bias + sizeof(float)),
        links(link_count + sizeof(uint32_t)),
        bytes(RoundUp(std::max(links + 2 * m * sizeof(uint32_t),
                               kind == CodeKind::kInt8 ? RoundUp(dimension, kCodeBlock) : 0),
                      16)) {}

  const size_t bias;  // offsets, multiples of 4
  const size_t link_count;
  const size_t links;
  const size_t bytes;  // GraphData::node_bytes

 private:
  static size_t RoundUp(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }
};

// Numbers and bytes of one graph. Spans point into `owner`'s memory (vectors, or a mapped file).
// Nodes are numbered from 0; rows of equal floats share a node.
struct GraphData {
  VectorMetric metric = VectorMetric::kL2;
  size_t dimension = 0;
  GraphParameters parameters;
  uint32_t row_limit = 0;  // rows before it were looked at
  uint32_t entry = 0;      // where a walk begins, on the top level
  int top_level = 0;
  CodeKind code = CodeKind::kFloat;
  // kInt8: element i of a node is low[i] + step[i] * code.
  std::vector<float> low;
  std::vector<float> step;
  size_t node_bytes = 0;         // NodeLayout's
  absl::Span<const char> nodes;  // node_count() * node_bytes, begins at a multiple of 16
  absl::Span<const uint32_t>
      row_start;                    // node i is rows[row_start[i]] to before rows[row_start[i + 1]]
  absl::Span<const uint32_t> rows;  // ascending within a node
  absl::Span<const uint32_t> orphans;  // rows, ascending, that no walk would reach
  // Levels 1 and up: 1 + m words a level (the number of links, the links), from upper_start[node].
  absl::Span<const uint32_t> upper_start;
  absl::Span<const uint32_t> upper_links;
  std::vector<EffortPoint> effort;  // both ascending; empty: not measured
  std::shared_ptr<const void> owner;

  size_t node_count() const { return row_start.empty() ? 0 : row_start.size() - 1; }
};

}  // namespace fletch

#endif  // FLETCH_INDEX_GRAPH_DATA_H_
