// SPDX-License-Identifier: Apache-2.0
#include "index/graph_builder.h"

#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "base/status.h"
#include "index/blank_nodes.h"
#include "index/graph_distance.h"
#include "index/graph_effort.h"
#include "index/graph_snapshot.h"

namespace fletch {
namespace {

constexpr size_t kRowsPerCancelCheck = 64;  // about 10 ms
// Smaller graphs hold floats: they cost nothing.
constexpr size_t kLeastCodedNodes = 1000;
constexpr size_t kProbes = 200;             // recall to about 0.005
constexpr size_t kLeastMeasuredRows = 500;  // a tenth of them are probes
// The graph's growth after which it is measured again.
constexpr double kMeasuredGrowth = 1.5;
// A larger share of such vectors is not scanned one by one: the ranges are made wider.
constexpr size_t kNodesPerFarOne = 2000;
constexpr size_t kMendEf = 64;
constexpr double kCheckedRecall = 0.95;

using Hnsw = hnswlib::HierarchicalNSW<float>;

// Our kernels under hnswlib's graph: its own are fixed when it is compiled, ours are chosen when it
// runs.
class Space : public hnswlib::SpaceInterface<float> {
 public:
  Space(VectorMetric metric, size_t dimension) : parameters_{metric, dimension, GraphSum(metric)} {}
  size_t get_data_size() override { return parameters_.dimension * sizeof(float); }
  hnswlib::DISTFUNC<float> get_dist_func() override { return &Space::Distance; }
  void* get_dist_func_param() override { return &parameters_; }

 private:
  struct Parameters {
    VectorMetric metric;
    size_t dimension;
    float (*sum)(const float* a, const float* b, size_t d);
  };
  static float Distance(const void* a, const void* b, const void* parameters) {
    const auto& p = *static_cast<const Parameters*>(parameters);
    const float sum =
        p.sum(static_cast<const float*>(a), static_cast<const float*>(b), p.dimension);
    return GraphDistance(p.metric, sum);
  }
  Parameters parameters_;
};

const float* FloatsOf(const Hnsw& hnsw, uint32_t node) {
  return reinterpret_cast<const float*>(hnsw.getDataByInternalId(node));
}

absl::Span<const uint32_t> LinksOf(const Hnsw& hnsw, uint32_t node, int level) {
  auto* const list = hnsw.get_linklist_at_level(node, level);
  return {list + 1, hnsw.getListCount(list)};
}

// Nodes by their floats, so that equal rows share one (many equal nodes link to each other only,
// and a walk would end among them).
struct NodeFloats {
  using is_transparent = void;
  std::string_view Bytes(const float* v) const {
    return {reinterpret_cast<const char*>(v), hnsw->data_size_};
  }
  std::string_view Bytes(uint32_t node) const { return Bytes(FloatsOf(*hnsw, node)); }
  const Hnsw* hnsw;
};
struct NodeHash : NodeFloats {
  template <typename T>
  size_t operator()(T node) const {
    return std::hash<std::string_view>()(Bytes(node));
  }
};
struct NodeEqual : NodeFloats {
  template <typename A, typename B>
  bool operator()(A a, B b) const {
    return Bytes(a) == Bytes(b);
  }
};

}  // namespace

class GraphBuilder::State {
 public:
  State(VectorMetric metric, size_t dimension, const GraphParameters& parameters)
      : metric_(metric),
        dimension_(dimension),
        parameters_(parameters),
        space_(metric, dimension),
        hnsw_(&space_, 16, parameters.m, parameters.ef_construction),
        by_floats_(0, NodeHash{{&hnsw_}}, NodeEqual{{&hnsw_}}),
        coder_(metric, dimension) {}

  void Resume(const std::shared_ptr<const Graph>& graph, VectorOfRow vector);
  absl::Status Add(absl::Span<const uint32_t> rows, VectorOfRow vector, Cancelled cancelled,
                   absl::FunctionRef<void(double)> progress);
  absl::StatusOr<GraphData> Take(uint32_t row_limit, Cancelled cancelled);
  size_t row_count() const { return row_of_.size(); }
  size_t bytes() const;

 private:
  size_t node_count() const { return hnsw_.cur_element_count; }
  void Reserve(size_t nodes);
  void FindFarNodes(absl::Span<const uint32_t> orphans);
  bool TakeFloats(uint32_t node, absl::Span<const uint32_t> rows, VectorOfRow vector);
  void AddRow(uint32_t row, absl::Span<const float> floats);
  void Measure(std::vector<std::vector<float>> probes);
  void LearnCodes(bool trimmed);
  void ForgetCodes();
  bool FloatsNeedHalfTheEffort(const std::vector<EffortProbe>& probes);
  std::vector<bool> Reached() const;
  std::vector<uint32_t> MendOrphans();
  bool LinkFromNearby(uint32_t node, const std::vector<bool>& reached);
  void WriteNodes(const NodeLayout& layout, char* out);
  void WriteUpperLinks(GraphSnapshot* out) const;
  GraphData MakeSnapshot(uint32_t row_limit, const std::vector<uint32_t>& lost_nodes);
  GraphData MakeCodedSnapshot(uint32_t row_limit, const std::vector<uint32_t>& lost_nodes);
  bool HasManyFarNodes() const { return far_nodes_.size() > node_count() / kNodesPerFarOne; }

  const VectorMetric metric_;
  const size_t dimension_;
  const GraphParameters parameters_;
  Space space_;
  Hnsw hnsw_;  // its labels are its node numbers
  absl::flat_hash_set<uint32_t, NodeHash, NodeEqual> by_floats_;
  std::vector<uint32_t> row_of_;  // row_of_[i] is of node node_of_[i]
  std::vector<uint32_t> node_of_;
  size_t measured_nodes_ = 0;  // how many there were
  NodeCoder coder_;
  std::vector<EffortPoint> effort_;
  std::vector<uint32_t> far_nodes_;    // of which the code says too little
  std::vector<uint32_t> blank_nodes_;  // that came without floats: their codes are not kept
  // The last snapshot: its nodes hold the codes of the first coded_nodes_ nodes.
  std::shared_ptr<const void> coded_owner_;
  const char* coded_ = nullptr;
  size_t coded_nodes_ = 0;
};

void GraphBuilder::State::Reserve(size_t nodes) {
  const size_t needed = node_count() + nodes;
  if (needed <= hnsw_.max_elements_) return;
  hnsw_.resizeIndex(std::max(needed, node_count() == 0 ? 0 : needed + needed / 8));
}

// Those among the orphans that were listed for their codes.
void GraphBuilder::State::FindFarNodes(absl::Span<const uint32_t> orphans) {
  const NodeLayout layout(coder_.kind(), dimension_, parameters_.m);
  std::vector<char> node_bytes(layout.bytes);
  for (size_t i = 0; i < row_of_.size(); ++i) {
    if (!std::binary_search(orphans.begin(), orphans.end(), row_of_[i])) continue;
    if (coder_.Write(FloatsOf(hnsw_, node_of_[i]), layout, node_bytes.data())) continue;
    far_nodes_.push_back(node_of_[i]);
  }
}

// Floats of the first row that has some. False: none has.
bool GraphBuilder::State::TakeFloats(uint32_t node, absl::Span<const uint32_t> rows,
                                     VectorOfRow vector) {
  for (const uint32_t row : rows) {
    const absl::Span<const float> floats = vector(row);
    if (std::all_of(floats.begin(), floats.end(), [](float x) { return x == 0; })) continue;
    WriteGraphVector(metric_, floats, reinterpret_cast<float*>(hnsw_.getDataByInternalId(node)));
    return true;
  }
  return false;
}

void GraphBuilder::State::Resume(const std::shared_ptr<const Graph>& graph, VectorOfRow vector) {
  const GraphData& data = graph->data();
  const size_t count = data.node_count();
  Reserve(count);
  std::memset(hnsw_.data_level0_memory_, 0, count * hnsw_.size_data_per_element_);
  for (uint32_t node = 0; node < count; ++node) {
    const absl::Span<const uint32_t> rows = graph->Rows(node);
    for (const uint32_t row : rows) {
      row_of_.push_back(row);
      node_of_.push_back(node);
    }
    hnsw_.setExternalLabel(node, node);
    if (!TakeFloats(node, rows, vector)) blank_nodes_.push_back(node);
    const size_t words = (node + 1 < count ? data.upper_start[node + 1] : data.upper_links.size()) -
                         data.upper_start[node];
    const int levels = static_cast<int>(words / (1 + parameters_.m));
    hnsw_.element_levels_[node] = levels;
    hnsw_.linkLists_[node] = nullptr;
    if (levels > 0) {
      hnsw_.linkLists_[node] = static_cast<char*>(
          std::calloc(1, hnsw_.size_links_per_element_ * static_cast<size_t>(levels) + 1));
      if (hnsw_.linkLists_[node] == nullptr) throw std::bad_alloc();
    }
    hnsw_.cur_element_count = node + 1;
    for (int level = 0; level <= levels; ++level) {
      const absl::Span<const uint32_t> links = graph->Links(level, node);
      auto* const list = hnsw_.get_linklist_at_level(node, level);
      hnsw_.setListCount(list, static_cast<unsigned short>(links.size()));
      std::copy(links.begin(), links.end(), list + 1);
    }
    if (blank_nodes_.empty() || blank_nodes_.back() != node) by_floats_.insert(node);
  }
  PlaceBlankNodes(*graph, blank_nodes_, [this](uint32_t node) {
    return reinterpret_cast<float*>(hnsw_.getDataByInternalId(node));
  });
  hnsw_.maxlevel_ = data.top_level;
  hnsw_.enterpoint_node_ = data.entry;
  hnsw_.level_generator_.seed(100 + count);  // not the levels of the first nodes again
  measured_nodes_ = data.effort.empty() ? 0 : count;
  effort_ = data.effort;
  if (data.code == CodeKind::kInt8) coder_.UseRanges({data.low, data.step});
  FindFarNodes(graph->orphans());
  coded_owner_ = graph;
  coded_ = data.nodes.data();
  coded_nodes_ = count;
}

void GraphBuilder::State::AddRow(uint32_t row, absl::Span<const float> floats) {
  const std::vector<float> v = GraphVector(metric_, floats);
  const auto known = by_floats_.find(v.data());
  uint32_t node = static_cast<uint32_t>(node_count());
  if (known != by_floats_.end()) {
    node = *known;
  } else {
    hnsw_.addPoint(v.data(), node);
    by_floats_.insert(node);
  }
  row_of_.push_back(row);
  node_of_.push_back(node);
}

absl::Status GraphBuilder::State::Add(absl::Span<const uint32_t> rows, VectorOfRow vector,
                                      Cancelled cancelled,
                                      absl::FunctionRef<void(double)> progress) {
  Reserve(rows.size());
  const size_t after = node_count() + rows.size();
  const bool measure =
      after >= kLeastCodedNodes && rows.size() >= kLeastMeasuredRows &&
      static_cast<double>(after) >= kMeasuredGrowth * static_cast<double>(measured_nodes_);
  // Every step-th row is held back as a probe.
  const size_t step = std::max<size_t>(10, rows.size() / kProbes);
  std::vector<uint32_t> held_back;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i % kRowsPerCancelCheck == 0) {
      if (cancelled()) return absl::CancelledError("the graph's building was cancelled");
      progress(static_cast<double>(i) / static_cast<double>(rows.size()));
    }
    if (measure && i % step == step / 2) {
      held_back.push_back(rows[i]);
    } else {
      AddRow(rows[i], vector(rows[i]));
    }
  }
  if (measure && node_count() >= kLeastCodedNodes / 2) {
    std::vector<std::vector<float>> probes;
    for (const uint32_t row : held_back) probes.push_back(GraphVector(metric_, vector(row)));
    Measure(std::move(probes));
  }
  for (const uint32_t row : held_back) AddRow(row, vector(row));
  progress(1);
  return absl::OkStatus();
}

void GraphBuilder::State::ForgetCodes() {
  coded_owner_.reset();
  coded_nodes_ = 0;
  far_nodes_.clear();
}

void GraphBuilder::State::LearnCodes(bool trimmed) {
  ForgetCodes();
  coder_.Learn(
      node_count(), [this](size_t node) { return FloatsOf(hnsw_, static_cast<uint32_t>(node)); },
      trimmed);
}

// A snapshot with codes that are learned anew.
GraphData GraphBuilder::State::MakeCodedSnapshot(uint32_t row_limit,
                                                 const std::vector<uint32_t>& lost_nodes) {
  // The largest elements decide inner products.
  const bool trimmed = metric_ != VectorMetric::kDot;
  LearnCodes(trimmed);
  GraphData data = MakeSnapshot(row_limit, lost_nodes);
  if (!trimmed || !HasManyFarNodes()) return data;
  LearnCodes(/*trimmed=*/false);
  return MakeSnapshot(row_limit, lost_nodes);
}

void GraphBuilder::State::Measure(std::vector<std::vector<float>> vectors) {
  const auto floats = [this](uint32_t node) { return FloatsOf(hnsw_, node); };
  measured_nodes_ = node_count();
  effort_.clear();
  const auto graph = std::make_unique<Graph>(MakeCodedSnapshot(0, {}));
  const std::vector<EffortProbe> probes =
      MakeEffortProbes(metric_, std::move(vectors), node_count(), floats);
  effort_ = MeasureEffort(*graph, probes, floats);
  if (coder_.kind() == CodeKind::kInt8 && FloatsNeedHalfTheEffort(probes)) {
    ForgetCodes();
    coder_.UseFloats();
    effort_ = MeasureEffort(Graph(MakeSnapshot(0, {})), probes, floats);
  }
}

// A float is compared in about twice the time of a byte.
bool GraphBuilder::State::FloatsNeedHalfTheEffort(const std::vector<EffortProbe>& probes) {
  const double ef = std::max(20.0, EfAt(effort_, kCheckedRecall));
  const double recall =
      std::find_if(effort_.begin(), effort_.end() - 1, [ef](const EffortPoint& p) {
        return p.ef >= ef;
      })->recall;
  hnsw_.setEf(static_cast<size_t>(ef / 2));
  size_t found = 0;
  for (const EffortProbe& probe : probes) {
    for (auto nearest = hnsw_.searchKnn(probe.vector.data(), 10); !nearest.empty(); nearest.pop()) {
      if (nearest.top().first <= probe.tenth_distance) ++found;
    }
  }
  return static_cast<double>(found) / static_cast<double>(10 * probes.size()) > recall;
}

std::vector<bool> GraphBuilder::State::Reached() const {
  return ReachedFrom(hnsw_.enterpoint_node_, node_count(),
                     [this](uint32_t node) { return LinksOf(hnsw_, node, 0); });
}

bool GraphBuilder::State::LinkFromNearby(uint32_t node, const std::vector<bool>& reached) {
  hnsw_.setEf(kMendEf);
  auto farthest_first = hnsw_.searchKnn(FloatsOf(hnsw_, node), kMendEf);
  std::vector<uint32_t> nearby;
  for (; !farthest_first.empty(); farthest_first.pop()) {
    nearby.push_back(static_cast<uint32_t>(farthest_first.top().second));
  }
  for (auto from = nearby.rbegin(); from != nearby.rend(); ++from) {
    auto* const list = hnsw_.get_linklist0(*from);
    const size_t links = hnsw_.getListCount(list);
    if (!reached[*from] || links >= hnsw_.maxM0_) continue;
    list[1 + links] = node;
    hnsw_.setListCount(list, static_cast<unsigned short>(links + 1));
    return true;
  }
  return false;
}

// Links are cut while a graph grows, and a node may lose the last that leads to it. Returns those
// that nothing near them has room to link to.
std::vector<uint32_t> GraphBuilder::State::MendOrphans() {
  std::vector<bool> reached = Reached();
  bool mended = false;
  for (uint32_t node = 0; node < reached.size(); ++node) {
    if (!reached[node] && LinkFromNearby(node, reached)) mended = reached[node] = true;
  }
  if (mended) reached = Reached();
  std::vector<uint32_t> lost;
  for (uint32_t node = 0; node < reached.size(); ++node) {
    if (!reached[node]) lost.push_back(node);
  }
  return lost;
}

void GraphBuilder::State::WriteNodes(const NodeLayout& layout, char* out) {
  for (uint32_t node = 0; node < node_count(); ++node) {
    char* const at = out + node * layout.bytes;
    const bool blank = std::binary_search(blank_nodes_.begin(), blank_nodes_.end(), node);
    if (node < coded_nodes_ && !blank) {
      std::memcpy(at, coded_ + node * layout.bytes, layout.link_count);
    } else if (!coder_.Write(FloatsOf(hnsw_, node), layout, at) && !blank) {
      far_nodes_.push_back(node);
    }
    const absl::Span<const uint32_t> links = LinksOf(hnsw_, node, 0);
    const auto count = static_cast<uint32_t>(links.size());
    std::memcpy(at + layout.link_count, &count, sizeof(count));
    std::memcpy(at + layout.links, links.data(), links.size() * sizeof(uint32_t));
    const size_t used = layout.links + links.size() * sizeof(uint32_t);
    std::memset(at + used, 0, layout.bytes - used);
  }
}

void GraphBuilder::State::WriteUpperLinks(GraphSnapshot* out) const {
  const size_t width = 1 + parameters_.m;
  out->upper_start.resize(node_count());
  for (uint32_t node = 0; node < node_count(); ++node) {
    out->upper_start[node] = static_cast<uint32_t>(out->upper_links.size());
    for (int level = 1; level <= hnsw_.element_levels_[node]; ++level) {
      const absl::Span<const uint32_t> links = LinksOf(hnsw_, node, level);
      const size_t end = out->upper_links.size() + width;
      out->upper_links.push_back(static_cast<uint32_t>(links.size()));
      out->upper_links.insert(out->upper_links.end(), links.begin(), links.end());
      out->upper_links.resize(end);
    }
  }
}

GraphData GraphBuilder::State::MakeSnapshot(uint32_t row_limit,
                                            const std::vector<uint32_t>& lost_nodes) {
  const NodeLayout layout(coder_.kind(), dimension_, parameters_.m);
  const auto out = std::make_shared<GraphSnapshot>(node_count() * layout.bytes);
  WriteNodes(layout, out->nodes.data());
  WriteUpperLinks(out.get());
  out->SetRows(node_count(), row_of_, node_of_);
  std::vector<uint32_t> lost = lost_nodes;
  lost.insert(lost.end(), far_nodes_.begin(), far_nodes_.end());
  out->SetOrphans(lost);
  GraphData data;
  data.metric = metric_;
  data.dimension = dimension_;
  data.parameters = parameters_;
  data.row_limit = row_limit;
  data.entry = hnsw_.enterpoint_node_;
  data.top_level = hnsw_.maxlevel_;
  data.code = coder_.kind();
  data.low = coder_.ranges().low;
  data.step = coder_.ranges().step;
  data.node_bytes = layout.bytes;
  data.nodes = out->nodes.span();
  data.row_start = out->row_start;
  data.rows = out->rows;
  data.orphans = out->orphans;
  data.upper_start = out->upper_start;
  data.upper_links = out->upper_links;
  data.effort = effort_;
  data.owner = out;
  coded_owner_ = out;
  coded_ = out->nodes.data();
  coded_nodes_ = node_count();
  return data;
}

absl::StatusOr<GraphData> GraphBuilder::State::Take(uint32_t row_limit, Cancelled cancelled) {
  const std::vector<uint32_t> lost = MendOrphans();
  if (cancelled()) return absl::CancelledError("the graph's building was cancelled");
  GraphData data = MakeSnapshot(row_limit, lost);
  if (coder_.kind() == CodeKind::kFloat || !HasManyFarNodes()) return data;
  // What came is unlike what the codes were learned from.
  measured_nodes_ = 0;
  return MakeCodedSnapshot(row_limit, lost);
}

size_t GraphBuilder::State::bytes() const {
  constexpr size_t kLabelBytes = 56;  // a node of std::unordered_map, its bucket, malloc's share
  const size_t per_node = hnsw_.size_data_per_element_ + sizeof(std::mutex) + sizeof(int) +
                          sizeof(char*) + sizeof(uint16_t) + kLabelBytes;
  return hnsw_.max_elements_ * per_node + by_floats_.capacity() * (sizeof(uint32_t) + 1) +
         (row_of_.capacity() + node_of_.capacity()) * sizeof(uint32_t);
}

GraphBuilder::GraphBuilder(VectorMetric metric, size_t dimension, const GraphParameters& parameters)
    : state_(std::make_unique<State>(metric, dimension, parameters)) {}

GraphBuilder::~GraphBuilder() = default;

namespace {

// hnswlib throws, and so does memory that is not there.
template <typename Work>
auto Guard(size_t rows, const Work& work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::exception& e) {
    return MakeError(
        absl::StatusCode::kResourceExhausted, "OUT_OF_MEMORY",
        "a graph of " + std::to_string(rows) + " vectors could not be built: " + e.what());
  }
}

}  // namespace

absl::Status GraphBuilder::Resume(const std::shared_ptr<const Graph>& graph, VectorOfRow vector) {
  return Guard(graph->row_count(), [&] {
    state_->Resume(graph, vector);
    return absl::OkStatus();
  });
}

absl::Status GraphBuilder::Add(absl::Span<const uint32_t> rows, VectorOfRow vector,
                               Cancelled cancelled, absl::FunctionRef<void(double)> progress) {
  return Guard(row_count() + rows.size(),
               [&] { return state_->Add(rows, vector, cancelled, progress); });
}

absl::StatusOr<GraphData> GraphBuilder::Take(uint32_t row_limit, Cancelled cancelled) {
  return Guard(row_count(), [&] { return state_->Take(row_limit, cancelled); });
}

size_t GraphBuilder::row_count() const { return state_->row_count(); }

size_t GraphBuilder::bytes() const { return state_->bytes(); }

}  // namespace fletch
