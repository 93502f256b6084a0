// SPDX-License-Identifier: Apache-2.0
// What a graph finds for which effort.
#ifndef FLETCH_INDEX_GRAPH_EFFORT_H_
#define FLETCH_INDEX_GRAPH_EFFORT_H_

#include <cstddef>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "index/graph.h"

namespace fletch {

// Vectors that are not in the graph, and how near their tenth neighbour is.
struct EffortProbe {
  std::vector<float> vector;  // as a graph holds it
  float tenth_distance = 0;
};

// Compares each of `probes` with all nodes, whose floats `vector` gives, as the graph holds them.
// REQUIRES: at least ten nodes.
std::vector<EffortProbe> MakeEffortProbes(VectorMetric metric,
                                          std::vector<std::vector<float>> probes, size_t node_count,
                                          absl::FunctionRef<const float*(uint32_t node)> vector);

// Recall@10 with rising ef, until more effort brings nothing or ef is large.
std::vector<EffortPoint> MeasureEffort(const Graph& graph, const std::vector<EffortProbe>& probes,
                                       absl::FunctionRef<const float*(uint32_t node)> vector);

// ef at which `recall` of the nearest ten was measured; the largest measured one if none reached
// it. REQUIRES: `effort` is not empty.
double EfAt(absl::Span<const EffortPoint> effort, double recall);

// ef for `target_recall` of the nearest `top_k`; at least top_k. Monotone in both. It aims a little
// higher, as the graph may have grown since it was measured, and is never so small that the walk
// costs less than the call that asks for it. Without measurements it is what served all data we
// tried.
size_t ChooseEf(absl::Span<const EffortPoint> effort, double target_recall, size_t top_k);

}  // namespace fletch

#endif  // FLETCH_INDEX_GRAPH_EFFORT_H_
