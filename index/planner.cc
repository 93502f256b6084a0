// SPDX-License-Identifier: Apache-2.0
#include "index/planner.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

namespace fletch {
namespace {

// Nanoseconds on a 2.5 GHz server core with rows out of cache, beside other work. Whether the
// border that they draw is where both ways cost the same is what fletch-bench p6 shows. A row of a
// list at full precision: its cache misses, then its products.
double ListedRow(size_t dimension) { return 30 + 0.15 * static_cast<double>(dimension); }
// A row of a scan: read in order, but it has to be asked for its acceptance.
double ScannedRow(size_t dimension) { return 20 + 0.1 * static_cast<double>(dimension); }
// A node of a walk: its code, its place among the candidates, a share of its neighbours' links.
double WalkedNode(size_t dimension) { return 30 + 0.1 * static_cast<double>(dimension); }
// A row on a list, found and asked whether it is accepted, its cache misses overlapped.
constexpr double kListedMatch = 30;
// A row of a scan that is asked and refused.
constexpr double kAskedInOrder = 20;
// A neighbour on a walk that is: its row, its entity, what the filter needs of that.
constexpr double kAskedNode = 100;
// The same, of a filter over fields without an index; and how often, for each candidate of a walk,
// an exact search asks before its hits are the nearest.
constexpr double kDearQuestion = 1000;
constexpr double kAskedPerCandidate = 4;
// A walk among accepted nodes alone is longer.
constexpr double kDetour = 1.7;

// Nodes compared by a walk: it grows a little slower than ef, and with the logarithm of the graph.
double Walked(const PlanInput& in) {
  const double depth = std::log2(static_cast<double>(std::max<size_t>(in.graph_rows, 2)));
  const double walked = 3 * depth * std::pow(static_cast<double>(in.ef), 0.8);
  return in.filtered ? kDetour * walked : walked;
}

// What dear questions add to an exact search, which asks about rows that are near enough only.
double DearQuestions(const PlanInput& in, double compared) {
  return in.dear
             ? std::min(compared, kAskedPerCandidate * static_cast<double>(in.ef)) * kDearQuestion
             : 0;
}

std::string Percent(double share) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g %%", 100 * share);
  return text;
}

}  // namespace

SearchPlan PlanSearch(const PlanInput& in) {
  const double rows = static_cast<double>(std::max<size_t>(in.rows, 1));
  const double matches = in.filtered ? std::clamp(in.matches, 0.0, rows) : rows;
  const double scan = in.dear ? rows * ScannedRow(in.dimension) + DearQuestions(in, rows)
                              : rows * kAskedInOrder + matches * ScannedRow(in.dimension);
  const double list = static_cast<double>(in.listed_rows) * kListedMatch +
                      matches * ListedRow(in.dimension) + DearQuestions(in, matches);
  const bool by_list = in.listed && list < scan;
  const SearchStrategy strategy =
      by_list ? SearchStrategy::kExactMatches : SearchStrategy::kExactScan;
  const double exact = by_list ? list : scan;
  if (in.graph_rows == 0) return {strategy, "there is no graph yet", exact};
  const double selectivity = std::max(matches / rows, 1 / rows);
  // The fewer are accepted, the more each step asks: a node's neighbours' neighbours.
  const double asked = in.filtered ? std::min(1 / selectivity, 100.0) : 0;
  const double question = in.dear ? kDearQuestion : kAskedNode;
  const double walk = Walked(in) * (WalkedNode(in.dimension) + asked * question) +
                      static_cast<double>(in.buffered_rows) * ScannedRow(in.dimension);
  if (exact < walk) {
    return {strategy,
            "comparing with all " + Percent(selectivity) + " of the rows that pass is cheaper",
            exact};
  }
  if (!in.filtered) return {SearchStrategy::kGraph, "no filter", walk};
  return {SearchStrategy::kFilteredGraph, Percent(selectivity) + " of the rows pass", walk,
          static_cast<size_t>(exact / WalkedNode(in.dimension)) + 1};
}

}  // namespace fletch
