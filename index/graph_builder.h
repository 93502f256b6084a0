// SPDX-License-Identifier: Apache-2.0
// Makes graphs, with hnswlib.
#ifndef FLETCH_INDEX_GRAPH_BUILDER_H_
#define FLETCH_INDEX_GRAPH_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "index/distance.h"
#include "index/graph.h"

namespace fletch {

// DEFAULT: what hnswlib's own benchmarks use.
struct GraphParameters {
  size_t m = 16;  // links a node on the upper levels; twice that on level 0
  size_t ef_construction = 200;
};

// A graph of `rows` (ascending, at least one), whose floats `vector` gives. In the calling thread,
// about 0.2 ms a row at 100-d; the same rows give the same graph. CANCELLED; RESOURCE_EXHAUSTED
// (reason OUT_OF_MEMORY).
absl::StatusOr<GraphParts> BuildGraphParts(
    VectorMetric metric, size_t dimension, const GraphParameters& parameters,
    const std::vector<uint32_t>& rows,
    absl::FunctionRef<absl::Span<const float>(uint32_t row)> vector,
    absl::FunctionRef<bool()> cancelled);

}  // namespace fletch

#endif  // FLETCH_INDEX_GRAPH_BUILDER_H_
