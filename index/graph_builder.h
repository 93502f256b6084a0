// SPDX-License-Identifier: Apache-2.0
// Makes graphs, with hnswlib, and makes them larger.
#ifndef FLETCH_INDEX_GRAPH_BUILDER_H_
#define FLETCH_INDEX_GRAPH_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "index/distance.h"
#include "index/graph.h"
#include "index/graph_data.h"

namespace fletch {

// One thread at a time. The same calls make the same graphs. After an error other than of its
// arguments it is fit to be destroyed only. Every call: CANCELLED; RESOURCE_EXHAUSTED (reason
// OUT_OF_MEMORY).
class GraphBuilder {
 public:
  // A row's floats; all zeros, or none, of a row that no longer has any. Called in the calling
  // thread.
  using VectorOfRow = absl::FunctionRef<absl::Span<const float>(uint32_t row)>;
  using Cancelled = absl::FunctionRef<bool()>;

  GraphBuilder(VectorMetric metric, size_t dimension, const GraphParameters& parameters);
  ~GraphBuilder();

  // Takes over nodes and links. The graph's memory is kept as long as its codes are of use.
  // REQUIRES: nothing was added; the graph is of this metric, dimension and parameters.
  absl::Status Resume(const std::shared_ptr<const Graph>& graph, VectorOfRow vector);

  // Adds rows: about 0.2 ms each at 100-d. When they make the graph half as large again as it was,
  // some of them are held back at first: what effort finds them is measured, the ranges of the
  // codes are learned anew, and whether bytes do at all. `progress` hears a share, 0 to 1.
  // REQUIRES: `rows` are ascending and were not added before.
  absl::Status Add(
      absl::Span<const uint32_t> rows, VectorOfRow vector, Cancelled cancelled,
      absl::FunctionRef<void(double)> progress = [](double) {});

  // The graph as it is now; the builder can go on. Nodes that have lost their last link get
  // another; rows of those that cannot, and rows far outside the ranges of the codes, are its
  // orphans. REQUIRES: something was added.
  absl::StatusOr<GraphData> Take(uint32_t row_limit, Cancelled cancelled);

  size_t row_count() const;
  // Of memory held, about; without a snapshot taken.
  size_t bytes() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace fletch

#endif  // FLETCH_INDEX_GRAPH_BUILDER_H_
