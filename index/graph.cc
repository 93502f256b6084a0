// SPDX-License-Identifier: Apache-2.0
#include "index/graph.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "index/graph_distance.h"
#include "index/kernels.h"

namespace fletch {
namespace {

constexpr size_t kHopsPerCheck = 256;  // about 8,000 vectors

// A filtered walk that has compared this share of all nodes costs more than the exact scan that
// replaces it.
size_t VisitLimit(size_t node_count, size_t ef) { return std::max(16 * ef, node_count / 4); }

}  // namespace

// A scratch taken from the pool for the length of one walk.
class Graph::Lease {
 public:
  explicit Lease(const Graph* graph) : graph_(graph) {
    {
      MutexLock lock(&graph_->mu_);
      if (!graph_->pool_.empty()) {
        scratch_ = std::move(graph_->pool_.back());
        graph_->pool_.pop_back();
      }
    }
    if (!scratch_) {
      scratch_ = std::make_unique<Scratch>();
      scratch_->visited.resize(graph_->parts_.node_count());
    }
    if (++scratch_->tag == 0) {
      std::fill(scratch_->visited.begin(), scratch_->visited.end(), 0);
      scratch_->tag = 1;
    }
    scratch_->open.clear();
    scratch_->found.clear();
  }
  ~Lease() {
    MutexLock lock(&graph_->mu_);
    graph_->pool_.push_back(std::move(scratch_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  Scratch* operator->() const { return scratch_.get(); }

 private:
  const Graph* const graph_;
  std::unique_ptr<Scratch> scratch_;
};

Graph::Graph(GraphParts parts) : parts_(std::move(parts)), sum_(GraphSum(parts_.metric)) {}

float Graph::Distance(const float* query, uint32_t node) const {
  return GraphDistance(parts_.metric,
                       sum_(query, &parts_.vectors[node * parts_.dimension], parts_.dimension));
}

uint32_t Graph::Descend(const float* query, size_t* visited) const {
  uint32_t best = parts_.entry;
  float best_distance = Distance(query, best);
  ++*visited;
  for (int level = parts_.top_level; level > 0; --level) {
    for (bool moved = true; moved;) {
      moved = false;
      for (const uint32_t node : parts_.Links(level, best)) {
        ++*visited;
        const float distance = Distance(query, node);
        if (distance < best_distance) {
          best_distance = distance;
          best = node;
          moved = true;
        }
      }
    }
  }
  return best;
}

absl::StatusOr<GraphWalk> Graph::Walk(absl::Span<const float> query, size_t ef,
                                      absl::FunctionRef<bool(uint32_t row)> accept,
                                      absl::FunctionRef<absl::Status()> check) const {
  const auto nearest_on_top = [](const Near& a, const Near& b) { return a.distance > b.distance; };
  const auto farthest_on_top = [](const Near& a, const Near& b) { return a.distance < b.distance; };
  Lease scratch(this);
  std::vector<Near>& open = scratch->open;
  std::vector<Near>& found = scratch->found;
  scratch->query = GraphVector(parts_.metric, query);
  const float* const q = scratch->query.data();
  const size_t visit_limit = VisitLimit(parts_.node_count(), ef);
  GraphWalk walk;

  const auto meet = [&](uint32_t node, float distance) {
    if (found.size() == ef && distance >= found.front().distance) return;
    open.push_back({distance, node});
    std::push_heap(open.begin(), open.end(), nearest_on_top);
    const absl::Span<const uint32_t> rows = parts_.Rows(node);
    if (std::none_of(rows.begin(), rows.end(), accept)) return;
    if (found.size() == ef) {
      std::pop_heap(found.begin(), found.end(), farthest_on_top);
      found.pop_back();
    }
    found.push_back({distance, node});
    std::push_heap(found.begin(), found.end(), farthest_on_top);
  };

  const uint32_t start = Descend(q, &walk.visited);
  scratch->visited[start] = scratch->tag;
  meet(start, Distance(q, start));
  for (size_t hop = 1; !open.empty(); ++hop) {
    if (hop % kHopsPerCheck == 0) RETURN_IF_ERROR(check());
    const Near current = open.front();
    if (found.size() == ef && current.distance > found.front().distance) break;
    if (walk.visited > visit_limit) {
      walk.given_up = true;
      break;
    }
    std::pop_heap(open.begin(), open.end(), nearest_on_top);
    open.pop_back();
    // All fresh neighbours are fetched before the first is compared: their cache misses overlap.
    scratch->fresh.clear();
    for (const uint32_t node : parts_.Links(0, current.node)) {
      if (scratch->visited[node] == scratch->tag) continue;
      scratch->visited[node] = scratch->tag;
      scratch->fresh.push_back(node);
      const char* bytes = reinterpret_cast<const char*>(&parts_.vectors[node * parts_.dimension]);
      const size_t size = std::min<size_t>(parts_.dimension * sizeof(float), 512);
      for (size_t at = 0; at < size; at += 64) __builtin_prefetch(bytes + at);
    }
    for (const uint32_t node : scratch->fresh) meet(node, Distance(q, node));
    walk.visited += scratch->fresh.size();
  }
  for (const Near& near : found) {
    for (const uint32_t row : parts_.Rows(near.node)) {
      if (accept(row)) walk.rows.push_back(row);
    }
  }
  return walk;
}

}  // namespace fletch
