// SPDX-License-Identifier: Apache-2.0
#include "index/graph.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "base/status.h"
#include "index/graph_distance.h"
#include "index/kernels.h"
#include "index/quantizer.h"

namespace fletch {
namespace {

constexpr size_t kHopsPerCheck = 256;  // about 8,000 vectors
constexpr size_t kCacheLine = 64;

// What is found is off by more than this many standard deviations once in a hundred times.
constexpr float kDeviations = 2.5f;

// Accepted nodes that a filtered walk begins at besides the descent's end, and how many nodes are
// asked for them at most.
constexpr size_t kStarts = 16;
constexpr size_t kProbesPerStart = 8;
// So many times less is accepted where the descent ends than elsewhere: the walk gives up; is
// wider.
constexpr double kFarTimes = 2.2;
constexpr double kWideTimes = 1.25;
constexpr size_t kWideEffort = 4;

void Prefetch(const char* bytes, size_t size) {
  for (size_t at = 0; at < size; at += kCacheLine) __builtin_prefetch(bytes + at);
}

// The nearest nodes met, nearest first, and which of them were not yet expanded.
class Beam {
 public:
  void Reset(size_t capacity) {
    near_.resize(capacity + 1);
    capacity_ = capacity;
    size_ = next_ = 0;
    limit_ = std::numeric_limits<float>::infinity();
  }
  // Nothing this far or farther enters.
  float limit() const { return limit_; }
  size_t size() const { return size_; }
  const GraphCandidate& operator[](size_t i) const { return near_[i]; }

  void Add(float distance, uint32_t node) {
    if (size_ == capacity_ && !(distance < limit_)) return;
    size_t at = size_;
    if (size_ > 0 && distance < near_[size_ - 1].distance) {
      at = static_cast<size_t>(
          std::upper_bound(near_.begin(), near_.begin() + static_cast<ptrdiff_t>(size_), distance,
                           [](float d, const GraphCandidate& c) { return d < c.distance; }) -
          near_.begin());
    }
    if (size_ < capacity_) ++size_;
    std::memmove(&near_[at + 1], &near_[at], (size_ - 1 - at) * sizeof(GraphCandidate));
    near_[at] = {distance, node};
    if (size_ == capacity_) limit_ = near_[size_ - 1].distance;
    next_ = std::min(next_, at);
  }
  bool HasNext() const { return next_ < size_; }
  // The nearest that is not yet expanded, which it then is. REQUIRES: HasNext().
  uint32_t TakeNext() {
    const uint32_t node = near_[next_].node;
    near_[next_].node |= kExpanded;
    while (next_ < size_ && (near_[next_].node & kExpanded) != 0) ++next_;
    return node;
  }
  uint32_t PeekNext() const { return near_[next_].node; }
  std::vector<GraphCandidate> Take() const {
    std::vector<GraphCandidate> out(near_.begin(), near_.begin() + static_cast<ptrdiff_t>(size_));
    for (GraphCandidate& c : out) c.node &= ~kExpanded;
    return out;
  }

 private:
  static constexpr uint32_t kExpanded = 1u << 31;  // node numbers are below it

  std::vector<GraphCandidate> near_;
  size_t capacity_ = 0;
  size_t size_ = 0;
  size_t next_ = 0;  // all before it are expanded
  float limit_ = 0;
};

}  // namespace

// What one walk needs; kept for the next one.
struct Graph::Scratch {
  std::vector<uint16_t> seen;  // == tag: met by this walk; == tag + 1: done with
  uint16_t tag = 0;
  Beam beam;
  std::vector<uint32_t> fresh;
  std::vector<uint32_t> refused;
  std::vector<uint32_t> asked;       // nodes
  std::vector<uint32_t> asked_rows;  // theirs
  std::vector<float> distances;
  std::vector<int32_t> sums;
  std::vector<float> query;  // as the graph holds vectors
  CodeQuery code;
};

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
      scratch_->seen.resize(graph_->node_count());
    }
    scratch_->tag = static_cast<uint16_t>(scratch_->tag + 2);
    if (scratch_->tag == 0) {
      std::fill(scratch_->seen.begin(), scratch_->seen.end(), 0);
      scratch_->tag = 2;
    }
  }
  ~Lease() {
    MutexLock lock(&graph_->mu_);
    graph_->pool_.push_back(std::move(scratch_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  Scratch& operator*() const { return *scratch_; }

 private:
  const Graph* const graph_;
  std::unique_ptr<Scratch> scratch_;
};

// One walk.
class Graph::Walker {
 public:
  Walker(const Graph& graph, const GraphQuery& query, Scratch* scratch)
      : graph_(graph),
        data_(graph.data_),
        layout_(graph.layout_),
        query_(query),
        s_(*scratch),
        sum_(GraphSum(data_.metric)),
        code_bytes_(layout_.bias + sizeof(float)) {
    s_.query.resize(data_.dimension);
    WriteGraphVector(data_.metric, query.vector, s_.query.data());
    if (data_.code == CodeKind::kInt8) {
      s_.code.Set(data_.metric, data_.low, data_.step, s_.query);
    }
    const size_t room = std::max(4 * data_.parameters.m + 1, kStarts);
    s_.distances.resize(room);
    s_.sums.resize(room);
  }

  absl::StatusOr<GraphWalk> Run();

 private:
  // Distances of `nodes` into s_.distances, all codes being fetched before the first is read: their
  // cache misses overlap.
  void Compare(absl::Span<const uint32_t> nodes);
  uint32_t Descend();
  void GatherLinks(uint32_t node);
  void PrepareAsked();
  void AskNeighbours(uint32_t node);
  void GatherAccepted(uint32_t node);
  void AddStarts();
  void Begin(uint32_t start, bool accepted);
  void AddFresh();
  bool Accepted(uint32_t node) const {
    for (const uint32_t row : graph_.Rows(node)) {
      if ((*query_.accept)(row)) return true;
    }
    return false;
  }

  const Graph& graph_;
  const GraphData& data_;
  const NodeLayout& layout_;
  const GraphQuery& query_;
  Scratch& s_;
  float (*const sum_)(const float* a, const float* b, size_t d);
  const size_t code_bytes_;
  size_t asked_ = 0;
  GraphWalk walk_;
};

void Graph::Walker::Compare(absl::Span<const uint32_t> nodes) {
  walk_.visited += nodes.size();
  if (data_.code == CodeKind::kFloat) {
    for (size_t i = 0; i < nodes.size(); ++i) {
      const float* v = reinterpret_cast<const float*>(graph_.Node(nodes[i]));
      s_.distances[i] = GraphDistance(data_.metric, sum_(s_.query.data(), v, data_.dimension));
    }
    return;
  }
  BestKernels().dot_codes({reinterpret_cast<const uint8_t*>(data_.nodes.data()), layout_.bytes},
                          nodes.data(), nodes.size(), s_.code.weights.data(), s_.code.blocks,
                          s_.sums.data());
  for (size_t i = 0; i < nodes.size(); ++i) {
    float bias;
    std::memcpy(&bias, graph_.Node(nodes[i]) + layout_.bias, sizeof(bias));
    s_.distances[i] = bias + s_.code.offset - s_.code.scale * static_cast<float>(s_.sums[i]);
  }
}

uint32_t Graph::Walker::Descend() {
  uint32_t best = data_.entry;
  Compare({&best, 1});
  float best_distance = s_.distances[0];
  for (int level = data_.top_level; level > 0; --level) {
    for (bool moved = true; moved;) {
      moved = false;
      const absl::Span<const uint32_t> links = graph_.Links(level, best);
      for (const uint32_t node : links) Prefetch(graph_.Node(node), code_bytes_);
      Compare(links);
      for (size_t i = 0; i < links.size(); ++i) {
        if (s_.distances[i] >= best_distance) continue;
        best_distance = s_.distances[i];
        best = links[i];
        moved = true;
      }
    }
  }
  return best;
}

void Graph::Walker::GatherLinks(uint32_t node) {
  for (const uint32_t next : graph_.Links(0, node)) {
    if (s_.seen[next] == s_.tag) continue;
    s_.seen[next] = s_.tag;
    Prefetch(graph_.Node(next), code_bytes_);
    s_.fresh.push_back(next);
  }
}

// Of nodes that will be asked about: their rows, and what `accept` needs of them, are on the way
// into the cache.
void Graph::Walker::PrepareAsked() {
  if (!query_.prepare.has_value()) return;
  for (const uint32_t node : s_.asked) __builtin_prefetch(&data_.row_start[node]);
  for (const uint32_t node : s_.asked) __builtin_prefetch(&data_.rows[data_.row_start[node]]);
  s_.asked_rows.clear();
  for (const uint32_t node : s_.asked) {
    for (const uint32_t row : graph_.Rows(node)) s_.asked_rows.push_back(row);
  }
  (*query_.prepare)(s_.asked_rows);
}

// Asks about the neighbours that were not asked about before: accepted ones are fresh.
void Graph::Walker::AskNeighbours(uint32_t node) {
  s_.asked.clear();
  for (const uint32_t next : graph_.Links(0, node)) {
    if (s_.seen[next] != s_.tag && s_.seen[next] != s_.tag + 1) s_.asked.push_back(next);
  }
  PrepareAsked();
  asked_ += s_.asked.size();
  for (const uint32_t next : s_.asked) {
    if (!Accepted(next)) {
      s_.seen[next] = s_.tag;
      continue;
    }
    s_.seen[next] = s_.tag + 1;
    Prefetch(graph_.Node(next), code_bytes_);
    s_.fresh.push_back(next);
  }
}

// Accepted neighbours; and as long as these are fewer than a node has links, those beyond refused
// neighbours.
void Graph::Walker::GatherAccepted(uint32_t node) {
  AskNeighbours(node);
  s_.refused.clear();
  for (const uint32_t next : graph_.Links(0, node)) {
    if (s_.seen[next] == s_.tag) s_.refused.push_back(next);
  }
  const size_t enough = 2 * data_.parameters.m;
  for (size_t i = 0; i < s_.refused.size() && s_.fresh.size() < enough; ++i) {
    if (i + 1 < s_.refused.size()) {
      Prefetch(graph_.Node(s_.refused[i + 1]) + layout_.link_count,
               layout_.bytes - layout_.link_count);
    }
    s_.seen[s_.refused[i]] = s_.tag + 1;
    AskNeighbours(s_.refused[i]);
  }
}

void Graph::Walker::AddFresh() {
  Compare(s_.fresh);
  for (size_t i = 0; i < s_.fresh.size(); ++i) s_.beam.Add(s_.distances[i], s_.fresh[i]);
  s_.fresh.clear();
}

// Accepted nodes from all over the graph, so that a walk does not depend on accepted ones being
// near the query.
void Graph::Walker::AddStarts() {
  const double selectivity = std::max(query_.selectivity, 1.0 / kProbesPerStart);
  const size_t probes = static_cast<size_t>(2 * static_cast<double>(kStarts) / selectivity);
  uint64_t random = 0x9E3779B97F4A7C15;
  for (size_t i = 0; i < probes && s_.fresh.size() < kStarts; ++i) {
    random = random * 6364136223846793005 + 1442695040888963407;
    const auto node = static_cast<uint32_t>(((random >> 32) * graph_.node_count()) >> 32);
    ++asked_;
    if (s_.seen[node] == s_.tag + 1 || !Accepted(node)) continue;
    s_.seen[node] = s_.tag + 1;
    Prefetch(graph_.Node(node), code_bytes_);
    s_.fresh.push_back(node);
  }
  AddFresh();
}

// Where a filtered walk begins: around the descent's end and all over the graph. Where little near
// the query is accepted, the nearest accepted ones lie all around it, far from each other, and no
// walk meets them all.
void Graph::Walker::Begin(uint32_t start, bool accepted) {
  s_.beam.Reset(std::min(query_.ef, graph_.node_count()));
  if (!query_.accept.has_value()) {
    s_.seen[start] = s_.tag;
    s_.fresh.assign(1, start);
    return AddFresh();
  }
  s_.seen[start] = s_.tag + 1;
  s_.fresh.clear();
  GatherAccepted(start);
  const double usual = query_.selectivity * static_cast<double>(asked_);
  const double fewer =
      accepted ? 1 : usual / static_cast<double>(std::max<size_t>(1, s_.fresh.size()));
  walk_.given_up = fewer > kFarTimes;
  if (walk_.given_up) return;
  if (fewer > kWideTimes) {
    s_.beam.Reset(std::min(kWideEffort * query_.ef, graph_.node_count()));
  }
  if (accepted) s_.fresh.push_back(start);
  AddFresh();
  AddStarts();
}

absl::StatusOr<GraphWalk> Graph::Walker::Run() {
  if (data_.code == CodeKind::kInt8 && !std::isfinite(s_.code.offset)) {
    walk_.given_up = true;
    return std::move(walk_);
  }
  const uint32_t start = Descend();
  const bool filtered = query_.accept.has_value();
  Begin(start, filtered && Accepted(start));
  if (walk_.given_up) return std::move(walk_);
  for (size_t hop = 1; s_.beam.HasNext(); ++hop) {
    if (hop % kHopsPerCheck == 0) RETURN_IF_ERROR(query_.check());
    if (filtered && query_.visit_limit > 0 && walk_.visited + asked_ > query_.visit_limit) {
      walk_.given_up = true;
      break;
    }
    const uint32_t node = s_.beam.TakeNext();
    if (s_.beam.HasNext()) {
      Prefetch(graph_.Node(s_.beam.PeekNext()) + layout_.link_count,
               layout_.bytes - layout_.link_count);
    }
    if (filtered) {
      GatherAccepted(node);
    } else {
      // Two at a time: the misses of both overlap, and the second is rarely in vain.
      GatherLinks(node);
      if (s_.beam.HasNext()) GatherLinks(s_.beam.TakeNext());
      if (s_.beam.HasNext()) {
        Prefetch(graph_.Node(s_.beam.PeekNext()) + layout_.link_count,
                 layout_.bytes - layout_.link_count);
      }
    }
    AddFresh();
  }
  walk_.found = s_.beam.Take();
  if (data_.code == CodeKind::kInt8 && !walk_.found.empty()) {
    walk_.error = kDeviations * s_.code.DeviationAt(walk_.found.back().distance);
  }
  const size_t wanted = std::min(query_.ef, graph_.node_count());
  if (filtered && walk_.found.size() < wanted) walk_.given_up = true;
  walk_.found.resize(std::min(walk_.found.size(), wanted));
  return std::move(walk_);
}

Graph::Graph(GraphData data)
    : data_(std::move(data)), layout_(data_.code, data_.dimension, data_.parameters.m) {}

Graph::~Graph() = default;

absl::Span<const uint32_t> Graph::Links(int level, uint32_t node) const {
  const uint32_t* list =
      level == 0 ? reinterpret_cast<const uint32_t*>(Node(node) + layout_.link_count)
                 : &data_.upper_links[data_.upper_start[node] +
                                      static_cast<size_t>(level - 1) * (1 + data_.parameters.m)];
  return {list + 1, *list};
}

absl::StatusOr<GraphWalk> Graph::Walk(const GraphQuery& query) const {
  Lease scratch(this);
  return Walker(*this, query, &*scratch).Run();
}

std::vector<bool> Graph::Reached() const {
  return ReachedFrom(data_.entry, node_count(), [this](uint32_t node) { return Links(0, node); });
}

std::vector<bool> ReachedFrom(uint32_t entry, size_t node_count,
                              absl::FunctionRef<absl::Span<const uint32_t>(uint32_t node)> links) {
  std::vector<bool> reached(node_count);
  std::vector<uint32_t> todo = {entry};
  reached[entry] = true;
  while (!todo.empty()) {
    const uint32_t node = todo.back();
    todo.pop_back();
    for (const uint32_t next : links(node)) {
      if (reached[next]) continue;
      reached[next] = true;
      todo.push_back(next);
    }
  }
  return reached;
}

}  // namespace fletch
