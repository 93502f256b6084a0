// SPDX-License-Identifier: Apache-2.0
// Whether numbers that came from outside are a graph.
#ifndef FLETCH_INDEX_GRAPH_CHECK_H_
#define FLETCH_INDEX_GRAPH_CHECK_H_

#include "absl/status/status.h"
#include "index/graph_data.h"

namespace fletch {

inline constexpr int kMaxGraphLevels = 64;  // a node is on each with 1/m the chance of the last

// OK when no walk of the graph can leave its memory or say a row twice; else DATA_LOSS, and what is
// wrong. Looks at every link. REQUIRES: dimension and parameters are within their limits.
absl::Status CheckGraph(const GraphData& graph);

}  // namespace fletch

#endif  // FLETCH_INDEX_GRAPH_CHECK_H_
