// SPDX-License-Identifier: Apache-2.0
#include "index/graph_check.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/limits.h"
#include "base/status.h"

namespace fletch {
namespace {

uint32_t WordAt(const char* at) {
  uint32_t word = 0;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

bool AllFinite(const std::vector<float>& floats) {
  return std::all_of(floats.begin(), floats.end(), [](float f) { return std::isfinite(f); });
}

bool CodesFit(const GraphData& graph) {
  const size_t ranges = graph.code == CodeKind::kInt8 ? graph.dimension : 0;
  return (graph.code == CodeKind::kInt8 || graph.code == CodeKind::kFloat) &&
         graph.low.size() == ranges && graph.step.size() == ranges && AllFinite(graph.low) &&
         AllFinite(graph.step);
}

bool SizesFit(const GraphData& graph) {
  const NodeLayout layout(graph.code, graph.dimension, graph.parameters.m);
  const size_t count = graph.node_count();
  return count > 0 && graph.node_bytes == layout.bytes &&
         graph.nodes.size() == count * layout.bytes && graph.upper_start.size() == count &&
         graph.entry < count && graph.top_level >= 0 && graph.top_level <= kMaxGraphLevels;
}

bool Ascending(absl::Span<const uint32_t> numbers) {
  return std::is_sorted(numbers.begin(), numbers.end(), std::less_equal<uint32_t>());
}

// Each row is of one node at most.
bool RowsFit(const GraphData& graph) {
  if (graph.row_start.front() != 0 || !Ascending(graph.row_start) ||
      graph.row_start.back() != graph.rows.size()) {
    return false;
  }
  std::vector<bool> seen(graph.row_limit);
  for (size_t node = 0; node < graph.node_count(); ++node) {
    for (uint32_t i = graph.row_start[node]; i < graph.row_start[node + 1]; ++i) {
      const uint32_t row = graph.rows[i];
      if (row >= graph.row_limit || seen[row]) return false;
      if (i > graph.row_start[node] && row < graph.rows[i - 1]) return false;
      seen[row] = true;
    }
  }
  return Ascending(graph.orphans) &&
         (graph.orphans.empty() || graph.orphans.back() < graph.row_limit);
}

// How many upper levels each node is on; empty: the words do not fit.
std::vector<uint8_t> Levels(const GraphData& graph) {
  const size_t level_words = 1 + graph.parameters.m;
  std::vector<uint8_t> levels;
  levels.reserve(graph.node_count());
  for (size_t node = 0; node < graph.node_count(); ++node) {
    const size_t begin = graph.upper_start[node];
    const bool is_last = node + 1 == graph.node_count();
    const size_t end = is_last ? graph.upper_links.size() : graph.upper_start[node + 1];
    if (begin > end || end > graph.upper_links.size() || (end - begin) % level_words != 0 ||
        (end - begin) / level_words > kMaxGraphLevels || (node == 0 && begin != 0)) {
      return {};
    }
    levels.push_back(static_cast<uint8_t>((end - begin) / level_words));
  }
  return levels;
}

bool NodeFits(const GraphData& graph, const NodeLayout& layout, size_t node) {
  const char* const at = graph.nodes.data() + node * layout.bytes;
  float bias = 0;
  std::memcpy(&bias, at + layout.bias, sizeof(bias));
  const uint32_t links = WordAt(at + layout.link_count);
  if (!std::isfinite(bias) || links > 2 * graph.parameters.m) return false;
  for (uint32_t i = 0; i < links; ++i) {
    if (WordAt(at + layout.links + i * sizeof(uint32_t)) >= graph.node_count()) return false;
  }
  return true;
}

// Links of level L lead to nodes that are on level L.
bool UpperLinksFit(const GraphData& graph, const std::vector<uint8_t>& levels, size_t node) {
  const uint32_t* list = graph.upper_links.data() + graph.upper_start[node];
  for (uint8_t level = 1; level <= levels[node]; ++level, list += 1 + graph.parameters.m) {
    if (*list > graph.parameters.m) return false;
    for (uint32_t i = 1; i <= *list; ++i) {
      if (list[i] >= graph.node_count() || levels[list[i]] < level) return false;
    }
  }
  return true;
}

bool LinksFit(const GraphData& graph) {
  const std::vector<uint8_t> levels = Levels(graph);
  if (levels.empty() || levels[graph.entry] < graph.top_level) return false;
  const NodeLayout layout(graph.code, graph.dimension, graph.parameters.m);
  for (size_t node = 0; node < graph.node_count(); ++node) {
    if (!NodeFits(graph, layout, node) || !UpperLinksFit(graph, levels, node)) return false;
  }
  return true;
}

bool EffortFits(const GraphData& graph) {
  double recall = 0;
  uint32_t ef = 1;
  for (const EffortPoint& point : graph.effort) {
    if (!(point.recall >= recall && point.recall <= 1) || point.ef < ef ||
        point.ef > limits::kMaxEf) {
      return false;
    }
    recall = point.recall;
    ef = point.ef;
  }
  return true;
}

}  // namespace

absl::Status CheckGraph(const GraphData& graph) {
  if (!CodesFit(graph)) return DataLoss("its codes' ranges are none");
  if (!SizesFit(graph)) return DataLoss("its numbers of nodes do not fit together");
  if (!RowsFit(graph)) return DataLoss("its nodes' rows do not fit");
  if (!LinksFit(graph)) return DataLoss("a link leads nowhere");
  if (!EffortFits(graph)) return DataLoss("its search effort is none");
  return absl::OkStatus();
}

}  // namespace fletch
