// SPDX-License-Identifier: Apache-2.0
// The memory a graph's spans point into, and how its nodes are written there.
#ifndef FLETCH_INDEX_GRAPH_SNAPSHOT_H_
#define FLETCH_INDEX_GRAPH_SNAPSHOT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "index/graph_data.h"
#include "index/quantizer.h"

namespace fletch {

// Room for nodes, in huge pages where the system has them: a walk touches a page a node.
class NodeMemory {
 public:
  // Throws std::bad_alloc.
  explicit NodeMemory(size_t bytes);
  char* data() { return bytes_.get(); }
  absl::Span<const char> span() const { return {bytes_.get(), size_}; }

 private:
  struct Free {
    void operator()(char* p) const;
  };
  size_t size_;
  std::unique_ptr<char, Free> bytes_;
};

struct GraphSnapshot {
  explicit GraphSnapshot(size_t node_bytes) : nodes(node_bytes) {}
  // Fills row_start and rows: row_of[i] is of node node_of[i].
  void SetRows(size_t node_count, const std::vector<uint32_t>& row_of,
               const std::vector<uint32_t>& node_of);
  // Fills orphans with the rows of `lost` nodes. REQUIRES: SetRows.
  void SetOrphans(const std::vector<uint32_t>& lost);

  NodeMemory nodes;
  std::vector<uint32_t> row_start;
  std::vector<uint32_t> rows;
  std::vector<uint32_t> orphans;
  std::vector<uint32_t> upper_start;
  std::vector<uint32_t> upper_links;
};

// How the nodes of a graph hold their vectors.
class NodeCoder {
 public:
  NodeCoder(VectorMetric metric, size_t dimension) : metric_(metric), dimension_(dimension) {}

  CodeKind kind() const { return kind_; }
  const CodeRanges& ranges() const { return ranges_; }
  void UseFloats();
  void UseRanges(CodeRanges ranges);
  // Learns ranges from `count` vectors (LearnRanges); where these are too large, floats are used.
  void Learn(size_t count, absl::FunctionRef<const float*(size_t i)> vector, bool trimmed);

  // Writes code and bias of a node. False: the code is so far from the vector that it may hide it.
  bool Write(const float* v, const NodeLayout& layout, char* node) const;

 private:
  const VectorMetric metric_;
  const size_t dimension_;
  CodeKind kind_ = CodeKind::kFloat;
  CodeRanges ranges_;
  double usual_residual_ = 0;
};

}  // namespace fletch

#endif  // FLETCH_INDEX_GRAPH_SNAPSHOT_H_
