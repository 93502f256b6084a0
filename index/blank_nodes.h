// SPDX-License-Identifier: Apache-2.0
// Nodes of which only the links are left.
#ifndef FLETCH_INDEX_BLANK_NODES_H_
#define FLETCH_INDEX_BLANK_NODES_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "index/graph.h"

namespace fletch {

// Puts `blank` nodes in the middle of those they link to, which is about where they were: all at
// zero they would crowd out what is near it. `floats` gives the dimension floats of a node, as the
// graph holds them; those of blank nodes are written. A node that links to blank ones alone, and
// they to no others, stays as it is.
void PlaceBlankNodes(const Graph& graph, absl::Span<const uint32_t> blank,
                     absl::FunctionRef<float*(uint32_t node)> floats);

}  // namespace fletch

#endif  // FLETCH_INDEX_BLANK_NODES_H_
