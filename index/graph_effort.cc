// SPDX-License-Identifier: Apache-2.0
#include "index/graph_effort.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/limits.h"
#include "index/graph_distance.h"

namespace fletch {
namespace {

constexpr size_t kNeighbours = 10;
constexpr size_t kLargestEf = 2560;
constexpr double kFoundAll = 0.999;
// Recall .95 on all data we tried, where nothing was measured (small graphs).
constexpr double kUnmeasuredEf = 128;
// A walk of so many candidates takes 10 to 40 µs, a call through gRPC as much besides.
constexpr double kLeastEf = 48;
// Of what a search may miss.
constexpr double kAimedLoss = 0.8;

// The kNeighbours least of the numbers offered.
class Nearest {
 public:
  Nearest() { std::fill(std::begin(least_), std::end(least_), kNone); }
  void Offer(float distance) {
    if (!(distance < least_[kNeighbours - 1])) return;
    size_t at = kNeighbours - 1;
    for (; at > 0 && distance < least_[at - 1]; --at) least_[at] = least_[at - 1];
    least_[at] = distance;
  }
  float last() const { return least_[kNeighbours - 1]; }
  size_t CountTo(float distance) const {
    return static_cast<size_t>(std::upper_bound(std::begin(least_), std::end(least_), distance) -
                               std::begin(least_));
  }

 private:
  static constexpr float kNone = std::numeric_limits<float>::infinity();
  float least_[kNeighbours];
};

// Share of the ten nearest that a walk finds, re-scored as vector_index does.
double RecallOf(const Graph& graph, const EffortProbe& probe, size_t ef,
                absl::FunctionRef<const float*(uint32_t node)> vector) {
  const GraphData& data = graph.data();
  const auto sum = GraphSum(data.metric);
  const auto walk =
      graph.Walk({.vector = probe.vector, .ef = ef, .check = [] { return absl::OkStatus(); }});
  Nearest nearest;
  for (const GraphCandidate& candidate : walk->found) {
    if (candidate.distance > nearest.last() + walk->error) break;
    nearest.Offer(GraphDistance(data.metric,
                                sum(probe.vector.data(), vector(candidate.node), data.dimension)));
  }
  return static_cast<double>(nearest.CountTo(probe.tenth_distance)) / kNeighbours;
}

}  // namespace

std::vector<EffortProbe> MakeEffortProbes(VectorMetric metric,
                                          std::vector<std::vector<float>> probes, size_t node_count,
                                          absl::FunctionRef<const float*(uint32_t node)> vector) {
  const auto sum = GraphSum(metric);
  std::vector<Nearest> nearest(probes.size());
  for (uint32_t node = 0; node < node_count; ++node) {
    const float* const v = vector(node);
    for (size_t i = 0; i < probes.size(); ++i) {
      nearest[i].Offer(GraphDistance(metric, sum(probes[i].data(), v, probes[i].size())));
    }
  }
  std::vector<EffortProbe> out;
  for (size_t i = 0; i < probes.size(); ++i) {
    out.push_back({std::move(probes[i]), nearest[i].last()});
  }
  return out;
}

std::vector<EffortPoint> MeasureEffort(const Graph& graph, const std::vector<EffortProbe>& probes,
                                       absl::FunctionRef<const float*(uint32_t node)> vector) {
  std::vector<EffortPoint> effort;
  double best = 0;
  for (double exact_ef = kNeighbours; exact_ef <= kLargestEf; exact_ef *= std::sqrt(2.0)) {
    const size_t ef = static_cast<size_t>(exact_ef);
    double recall = 0;
    for (const EffortProbe& probe : probes) recall += RecallOf(graph, probe, ef, vector);
    best = std::max(best, recall / static_cast<double>(probes.size()));
    effort.push_back({best, static_cast<uint32_t>(ef)});
    if (best >= kFoundAll || ef >= graph.node_count()) break;
  }
  return effort;
}

double EfAt(absl::Span<const EffortPoint> effort, double recall) {
  size_t i = 0;
  while (i + 1 < effort.size() && effort[i].recall < recall) ++i;
  const double ef = effort[i].ef;
  if (i == 0 || effort[i].recall <= recall) return ef;
  const EffortPoint& before = effort[i - 1];
  return before.ef +
         (ef - before.ef) * (recall - before.recall) / (effort[i].recall - before.recall);
}

size_t ChooseEf(absl::Span<const EffortPoint> effort, double target_recall, size_t top_k) {
  double ef = kUnmeasuredEf;
  if (!effort.empty()) ef = EfAt(effort, 1 - kAimedLoss * (1 - target_recall));
  ef = std::max(ef, kLeastEf);
  // More neighbours lie farther out, but a wider beam also finds more of them on its way.
  const double wanted = static_cast<double>(top_k) / kNeighbours;
  ef *= std::max(1.0, std::sqrt(wanted));
  const size_t least = std::min(limits::kMaxEf, top_k + top_k / 4);
  return std::max({least, top_k, std::min(limits::kMaxEf, static_cast<size_t>(std::ceil(ef)))});
}

}  // namespace fletch
