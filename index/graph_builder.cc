// SPDX-License-Identifier: Apache-2.0
#include "index/graph_builder.h"

#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <exception>
#include <numeric>
#include <string>
#include <string_view>
#include <unordered_map>

#include "absl/status/status.h"
#include "base/status.h"
#include "index/graph_distance.h"

namespace fletch {
namespace {

constexpr size_t kRowsPerCancelCheck = 64;  // about 10 ms

using Hnsw = hnswlib::HierarchicalNSW<float>;

// Our kernels under hnswlib's graph: its own are fixed when it is compiled, ours are chosen when it
// runs.
class Space : public hnswlib::SpaceInterface<float> {
 public:
  Space(VectorMetric metric, size_t dimension) : parameters_{metric, dimension, GraphSum(metric)} {}
  size_t get_data_size() override { return parameters_.dimension * sizeof(float); }
  hnswlib::DISTFUNC<float> get_dist_func() override { return &Space::Distance; }
  void* get_dist_func_param() override { return &parameters_; }

 private:
  struct Parameters {
    VectorMetric metric;
    size_t dimension;
    float (*sum)(const float* a, const float* b, size_t d);
  };
  static float Distance(const void* a, const void* b, const void* parameters) {
    const auto& p = *static_cast<const Parameters*>(parameters);
    const float sum =
        p.sum(static_cast<const float*>(a), static_cast<const float*>(b), p.dimension);
    return GraphDistance(p.metric, sum);
  }
  Parameters parameters_;
};

// Makes nodes of the rows, in the order of each node's first row.
void GroupEqualRows(const std::vector<uint32_t>& rows,
                    absl::FunctionRef<absl::Span<const float>(uint32_t row)> vector,
                    GraphParts* parts) {
  std::unordered_map<std::string_view, uint32_t> node_of;
  std::vector<uint32_t> nodes;
  nodes.reserve(rows.size());
  for (const uint32_t row : rows) {
    const absl::Span<const float> v = vector(row);
    const std::string_view bytes(reinterpret_cast<const char*>(v.data()), v.size() * sizeof(float));
    nodes.push_back(
        node_of.try_emplace(bytes, static_cast<uint32_t>(node_of.size())).first->second);
  }
  parts->row_start.resize(node_of.size() + 1);
  for (const uint32_t node : nodes) ++parts->row_start[node + 1];
  std::partial_sum(parts->row_start.begin(), parts->row_start.end(), parts->row_start.begin());
  std::vector<uint32_t> next(parts->row_start.begin(), parts->row_start.end() - 1);
  parts->rows.resize(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) parts->rows[next[nodes[i]]++] = rows[i];
}

void CopyList(const hnswlib::linklistsizeint* list, uint32_t count, uint32_t* out) {
  out[0] = count;
  const auto* links = list + 1;
  for (uint32_t i = 0; i < count; ++i) out[1 + i] = links[i];
}

// hnswlib's nodes are numbered as they were added, as their rows were grouped.
void CopyOut(const Hnsw& hnsw, GraphParts* parts) {
  const size_t count = parts->node_count();
  parts->entry = hnsw.enterpoint_node_;
  parts->top_level = hnsw.maxlevel_;
  parts->width0 = hnsw.maxM0_;
  parts->upper_width = hnsw.maxM_;
  parts->links0.resize(count * (1 + parts->width0));
  parts->upper_start.resize(count);
  parts->vectors.reserve(count * parts->dimension);
  size_t upper_words = 0;
  for (size_t node = 0; node < count; ++node) {
    parts->upper_start[node] = static_cast<uint32_t>(upper_words);
    upper_words += static_cast<size_t>(hnsw.element_levels_[node]) * (1 + parts->upper_width);
  }
  parts->upper_links.resize(upper_words);
  for (hnswlib::tableint node = 0; node < count; ++node) {
    auto* list = hnsw.get_linklist0(node);
    CopyList(list, hnsw.getListCount(list), &parts->links0[node * (1 + parts->width0)]);
    for (int level = 1; level <= hnsw.element_levels_[node]; ++level) {
      list = hnsw.get_linklist(node, level);
      CopyList(list, hnsw.getListCount(list),
               &parts->upper_links[parts->upper_start[node] +
                                   static_cast<size_t>(level - 1) * (1 + parts->upper_width)]);
    }
    const auto* floats = reinterpret_cast<const float*>(hnsw.getDataByInternalId(node));
    parts->vectors.insert(parts->vectors.end(), floats, floats + parts->dimension);
  }
}

// Links are cut while a graph grows, and a node may lose the last that leads to it (many equal
// vectors do that).
std::vector<uint32_t> FindOrphans(const GraphParts& parts) {
  std::vector<bool> reached(parts.node_count());
  std::vector<uint32_t> todo = {parts.entry};
  reached[parts.entry] = true;
  while (!todo.empty()) {
    const uint32_t node = todo.back();
    todo.pop_back();
    for (const uint32_t next : parts.Links(0, node)) {
      if (reached[next]) continue;
      reached[next] = true;
      todo.push_back(next);
    }
  }
  std::vector<uint32_t> orphans;
  for (size_t node = 0; node < reached.size(); ++node) {
    if (reached[node]) continue;
    const absl::Span<const uint32_t> rows = parts.Rows(static_cast<uint32_t>(node));
    orphans.insert(orphans.end(), rows.begin(), rows.end());
  }
  std::sort(orphans.begin(), orphans.end());
  return orphans;
}

}  // namespace

absl::StatusOr<GraphParts> BuildGraphParts(
    VectorMetric metric, size_t dimension, const GraphParameters& parameters,
    const std::vector<uint32_t>& rows,
    absl::FunctionRef<absl::Span<const float>(uint32_t row)> vector,
    absl::FunctionRef<bool()> cancelled) {
  GraphParts parts;
  parts.metric = metric;
  parts.dimension = dimension;
  GroupEqualRows(rows, vector, &parts);
  try {
    Space space(metric, dimension);
    Hnsw hnsw(&space, parts.node_count(), parameters.m, parameters.ef_construction);
    for (uint32_t node = 0; node < parts.node_count(); ++node) {
      if (node % kRowsPerCancelCheck == 0 && cancelled()) {
        return absl::CancelledError("the graph's building was cancelled");
      }
      hnsw.addPoint(GraphVector(metric, vector(parts.Rows(node)[0])).data(), node);
    }
    CopyOut(hnsw, &parts);
  } catch (const std::exception& e) {
    return MakeError(absl::StatusCode::kResourceExhausted, "OUT_OF_MEMORY",
                     "a graph of " + std::to_string(parts.rows.size()) + " vectors of dimension " +
                         std::to_string(dimension) + " could not be built: " + e.what());
  }
  parts.orphans = FindOrphans(parts);
  return parts;
}

}  // namespace fletch
