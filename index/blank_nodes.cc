// SPDX-License-Identifier: Apache-2.0
#include "index/blank_nodes.h"

#include <vector>

#include "index/graph_distance.h"

namespace fletch {
namespace {

// The mean of the neighbours that have a place; empty: none has.
std::vector<float> MiddleOf(const Graph& graph, uint32_t node, const std::vector<bool>& placed,
                            absl::FunctionRef<float*(uint32_t node)> floats) {
  std::vector<float> middle;
  float count = 0;
  for (const uint32_t next : graph.Links(0, node)) {
    if (!placed[next]) continue;
    middle.resize(graph.data().dimension);
    ++count;
    const float* const v = floats(next);
    // A running mean: the sum of huge floats would overflow.
    for (size_t i = 0; i < middle.size(); ++i) middle[i] += (v[i] - middle[i]) / count;
  }
  return middle;
}

}  // namespace

void PlaceBlankNodes(const Graph& graph, absl::Span<const uint32_t> blank,
                     absl::FunctionRef<float*(uint32_t node)> floats) {
  std::vector<bool> placed(graph.node_count(), true);
  for (const uint32_t node : blank) placed[node] = false;
  std::vector<uint32_t> waiting(blank.begin(), blank.end());
  for (size_t before = waiting.size() + 1; waiting.size() < before;) {
    before = waiting.size();
    std::vector<uint32_t> later;
    for (const uint32_t node : waiting) {
      const std::vector<float> middle = MiddleOf(graph, node, placed, floats);
      if (middle.empty()) {
        later.push_back(node);
      } else {
        WriteGraphVector(graph.data().metric, middle, floats(node));
        placed[node] = true;
      }
    }
    waiting.swap(later);
  }
}

}  // namespace fletch
