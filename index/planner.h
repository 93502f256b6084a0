// SPDX-License-Identifier: Apache-2.0
// Which way a search goes: a pure function of what is known about it.
#ifndef FLETCH_INDEX_PLANNER_H_
#define FLETCH_INDEX_PLANNER_H_

#include <cstddef>
#include <string>

namespace fletch {

enum class SearchStrategy {
  kGraph,          // a walk that asks nothing; what is refused is left out afterwards
  kFilteredGraph,  // a walk among accepted rows
  kExactMatches,   // all rows that can be accepted, one by one
  kExactScan,      // all rows
};

struct PlanInput {
  size_t rows = 0;           // to be searched, with or without a graph
  size_t graph_rows = 0;     // in the graph; 0: there is none
  size_t buffered_rows = 0;  // after the graph, to be compared one by one beside a walk
  double matches = 0;        // estimated rows that the filter accepts
  bool filtered = false;     // false: what a walk found is asked about, not what it meets
  bool dear = false;         // asking whether a row is accepted takes a microsecond
  bool listed = false;       // the rows that can be accepted can be listed
  size_t listed_rows = 0;    // then: how many are on the list, matches among them
  size_t ef = 0;             // of an unfiltered walk
  size_t dimension = 0;
};

struct SearchPlan {
  SearchStrategy strategy = SearchStrategy::kExactScan;
  std::string reason;  // for people
  double nanos = 0;    // what it is estimated to take
  // Of a filtered walk: vectors asked about or compared after which comparing with all matches
  // would have been cheaper.
  size_t visit_limit = 0;
};

SearchPlan PlanSearch(const PlanInput& input);

}  // namespace fletch

#endif  // FLETCH_INDEX_PLANNER_H_
