// SPDX-License-Identifier: Apache-2.0
#include "index/graph_builder.h"

#include <hnswlib/hnswlib.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "base/status.h"
#include "index/graph_distance.h"
#include "index/graph_effort.h"
#include "index/quantizer.h"

namespace fletch {
namespace {

constexpr size_t kRowsPerCancelCheck = 64;  // about 10 ms
// Smaller graphs hold floats: they cost nothing.
constexpr size_t kLeastCodedNodes = 1000;
constexpr size_t kProbes = 200;  // recall to about 0.005
// The graph's growth after which it is measured again.
constexpr double kMeasuredGrowth = 1.5;
// A code this many times farther from its vector than usual (squared: about a twentieth of the
// vectors' variance) may hide it.
constexpr double kFarResidual = 1000;
// A larger share of such vectors is not scanned one by one: the ranges are made wider.
constexpr size_t kNodesPerFarOne = 2000;
constexpr size_t kMendEf = 64;
constexpr size_t kHugePage = 2u << 20;
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

// Room for nodes in huge pages: a walk touches a page a node.
class NodeMemory {
 public:
  explicit NodeMemory(size_t bytes)
      : size_(bytes),
        bytes_(static_cast<char*>(
            std::aligned_alloc(kHugePage, (bytes + kHugePage - 1) / kHugePage * kHugePage))) {
    if (bytes_ == nullptr) throw std::bad_alloc();
    madvise(bytes_.get(), bytes, MADV_HUGEPAGE);
  }
  char* data() { return bytes_.get(); }
  absl::Span<const char> span() const { return {bytes_.get(), size_}; }

 private:
  struct Free {
    void operator()(char* p) const { std::free(p); }
  };
  size_t size_;
  std::unique_ptr<char, Free> bytes_;
};

// What a snapshot's spans point into.
struct Snapshot {
  explicit Snapshot(size_t node_bytes) : nodes(node_bytes) {}
  NodeMemory nodes;
  std::vector<uint32_t> row_start;
  std::vector<uint32_t> rows;
  std::vector<uint32_t> orphans;
  std::vector<uint32_t> upper_start;
  std::vector<uint32_t> upper_links;
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
        by_floats_(0, NodeHash{{&hnsw_}}, NodeEqual{{&hnsw_}}) {}

  void Resume(const std::shared_ptr<const Graph>& graph, VectorOfRow vector);
  absl::Status Add(absl::Span<const uint32_t> rows, VectorOfRow vector, Cancelled cancelled,
                   absl::FunctionRef<void(double)> progress);
  absl::StatusOr<GraphData> Take(uint32_t row_limit, Cancelled cancelled);
  size_t row_count() const { return row_of_.size(); }
  size_t bytes() const;

 private:
  size_t node_count() const { return hnsw_.cur_element_count; }
  void Reserve(size_t nodes);
  void TakeFloats(uint32_t node, absl::Span<const uint32_t> rows, VectorOfRow vector);
  void AddRow(uint32_t row, absl::Span<const float> floats);
  void Measure(std::vector<std::vector<float>> probes);
  void LearnCodes(bool trimmed);
  void UseFloats();
  bool FloatsNeedHalfTheEffort(const std::vector<EffortProbe>& probes);
  std::vector<bool> MarkReached() const;
  std::vector<uint32_t> MendOrphans();
  bool LinkFromNearby(uint32_t node, const std::vector<bool>& reached);
  void WriteCode(uint32_t node, const NodeLayout& layout, char* out);
  void WriteNodes(const NodeLayout& layout, Snapshot* out);
  void WriteRows(Snapshot* out) const;
  void WriteUpperLinks(Snapshot* out) const;
  GraphData MakeSnapshot(uint32_t row_limit, const std::vector<uint32_t>& lost_nodes);

  const VectorMetric metric_;
  const size_t dimension_;
  const GraphParameters parameters_;
  Space space_;
  Hnsw hnsw_;  // its labels are its node numbers
  absl::flat_hash_set<uint32_t, NodeHash, NodeEqual> by_floats_;
  std::vector<uint32_t> row_of_;  // row_of_[i] is of node node_of_[i]
  std::vector<uint32_t> node_of_;
  size_t measured_nodes_ = 0;  // how many there were
  CodeKind code_ = CodeKind::kFloat;
  CodeRanges ranges_;
  double usual_residual_ = 0;
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

// Floats of the first row that has some.
void GraphBuilder::State::TakeFloats(uint32_t node, absl::Span<const uint32_t> rows,
                                     VectorOfRow vector) {
  for (const uint32_t row : rows) {
    const absl::Span<const float> floats = vector(row);
    if (std::all_of(floats.begin(), floats.end(), [](float x) { return x == 0; })) continue;
    WriteGraphVector(metric_, floats, reinterpret_cast<float*>(hnsw_.getDataByInternalId(node)));
    return;
  }
  blank_nodes_.push_back(node);
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
    TakeFloats(node, rows, vector);
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
    by_floats_.insert(node);
  }
  hnsw_.maxlevel_ = data.top_level;
  hnsw_.enterpoint_node_ = data.entry;
  hnsw_.level_generator_.seed(100 + count);  // not the levels of the first nodes again
  measured_nodes_ = data.effort.empty() ? 0 : count;
  effort_ = data.effort;
  code_ = data.code;
  ranges_ = {data.low, data.step};
  usual_residual_ = UsualResidual(ranges_);
  const absl::Span<const uint32_t> orphans = data.orphans;
  if (code_ == CodeKind::kInt8 && !orphans.empty()) {
    std::vector<uint8_t> code(dimension_);
    for (uint32_t node = 0; node < count; ++node) {
      if (!std::binary_search(orphans.begin(), orphans.end(), graph->Rows(node)[0])) continue;
      if (EncodeVector(ranges_, FloatsOf(hnsw_, node), code.data()) >
          kFarResidual * usual_residual_) {
        far_nodes_.push_back(node);
      }
    }
  }
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
      after >= kLeastCodedNodes &&
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

void GraphBuilder::State::UseFloats() {
  code_ = CodeKind::kFloat;
  ranges_ = {};
  coded_owner_.reset();
  coded_nodes_ = 0;
  far_nodes_.clear();
}

void GraphBuilder::State::LearnCodes(bool trimmed) {
  UseFloats();
  const auto vector = [this](size_t node) { return FloatsOf(hnsw_, static_cast<uint32_t>(node)); };
  ranges_ = LearnRanges(dimension_, node_count(), vector, trimmed);
  if (!ranges_.low.empty()) code_ = CodeKind::kInt8;
  usual_residual_ = UsualResidual(ranges_);
}

void GraphBuilder::State::Measure(std::vector<std::vector<float>> vectors) {
  const auto floats = [this](uint32_t node) { return FloatsOf(hnsw_, node); };
  measured_nodes_ = node_count();
  effort_.clear();
  // The largest elements decide inner products.
  const bool trimmed = metric_ != VectorMetric::kDot;
  LearnCodes(trimmed);
  auto graph = std::make_unique<Graph>(MakeSnapshot(0, {}));
  if (trimmed && far_nodes_.size() > node_count() / kNodesPerFarOne) {
    LearnCodes(/*trimmed=*/false);
    graph = std::make_unique<Graph>(MakeSnapshot(0, {}));
  }
  const std::vector<EffortProbe> probes =
      MakeEffortProbes(metric_, std::move(vectors), node_count(), floats);
  effort_ = MeasureEffort(*graph, probes, floats);
  if (code_ == CodeKind::kInt8 && FloatsNeedHalfTheEffort(probes)) {
    UseFloats();
    effort_ = MeasureEffort(Graph(MakeSnapshot(0, {})), probes, floats);
  }
}

// A float is compared in about twice the time of a byte.
bool GraphBuilder::State::FloatsNeedHalfTheEffort(const std::vector<EffortProbe>& probes) {
  const size_t ef = ChooseEf(effort_, kCheckedRecall, 10);
  const double recall =
      std::find_if(effort_.begin(), effort_.end() - 1, [ef](const EffortPoint& p) {
        return p.ef >= ef;
      })->recall;
  hnsw_.setEf(std::max<size_t>(10, ef / 2));
  size_t found = 0;
  for (const EffortProbe& probe : probes) {
    for (auto nearest = hnsw_.searchKnn(probe.vector.data(), 10); !nearest.empty(); nearest.pop()) {
      if (nearest.top().first <= probe.tenth_distance) ++found;
    }
  }
  return static_cast<double>(found) / static_cast<double>(10 * probes.size()) > recall;
}

std::vector<bool> GraphBuilder::State::MarkReached() const {
  std::vector<bool> reached(node_count());
  std::vector<uint32_t> todo = {hnsw_.enterpoint_node_};
  reached[hnsw_.enterpoint_node_] = true;
  while (!todo.empty()) {
    const uint32_t node = todo.back();
    todo.pop_back();
    for (const uint32_t next : LinksOf(hnsw_, node, 0)) {
      if (reached[next]) continue;
      reached[next] = true;
      todo.push_back(next);
    }
  }
  return reached;
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
  std::vector<bool> reached = MarkReached();
  bool mended = false;
  for (uint32_t node = 0; node < reached.size(); ++node) {
    if (!reached[node] && LinkFromNearby(node, reached)) mended = reached[node] = true;
  }
  if (mended) reached = MarkReached();
  std::vector<uint32_t> lost;
  for (uint32_t node = 0; node < reached.size(); ++node) {
    if (!reached[node]) lost.push_back(node);
  }
  return lost;
}

void GraphBuilder::State::WriteCode(uint32_t node, const NodeLayout& layout, char* out) {
  const float* const floats = FloatsOf(hnsw_, node);
  float bias = 0;
  if (code_ == CodeKind::kFloat) {
    std::memcpy(out, floats, dimension_ * sizeof(float));
    bias = PlainBias(metric_, floats, dimension_);
  } else {
    auto* const code = reinterpret_cast<uint8_t*>(out);
    const double residual = EncodeVector(ranges_, floats, code);
    if (!(residual <= kFarResidual * usual_residual_)) far_nodes_.push_back(node);
    bias = CodeBias(metric_, ranges_, floats, code);
  }
  std::memcpy(out + layout.bias, &bias, sizeof(bias));
}

void GraphBuilder::State::WriteNodes(const NodeLayout& layout, Snapshot* out) {
  for (uint32_t node = 0; node < node_count(); ++node) {
    char* const at = out->nodes.data() + node * layout.bytes;
    if (node < coded_nodes_ &&
        !std::binary_search(blank_nodes_.begin(), blank_nodes_.end(), node)) {
      std::memcpy(at, coded_ + node * layout.bytes, layout.link_count);
    } else {
      std::memset(at, 0, layout.link_count);
      WriteCode(node, layout, at);
    }
    const absl::Span<const uint32_t> links = LinksOf(hnsw_, node, 0);
    const auto count = static_cast<uint32_t>(links.size());
    std::memcpy(at + layout.link_count, &count, sizeof(count));
    std::memcpy(at + layout.links, links.data(), links.size() * sizeof(uint32_t));
    const size_t used = layout.links + links.size() * sizeof(uint32_t);
    std::memset(at + used, 0, layout.bytes - used);
  }
}

void GraphBuilder::State::WriteRows(Snapshot* out) const {
  out->row_start.resize(node_count() + 1);
  for (const uint32_t node : node_of_) ++out->row_start[node + 1];
  std::partial_sum(out->row_start.begin(), out->row_start.end(), out->row_start.begin());
  std::vector<uint32_t> next(out->row_start.begin(), out->row_start.end() - 1);
  out->rows.resize(row_of_.size());
  for (size_t i = 0; i < row_of_.size(); ++i) out->rows[next[node_of_[i]]++] = row_of_[i];
  for (size_t node = 0; node < node_count(); ++node) {
    if (out->row_start[node + 1] - out->row_start[node] < 2) continue;
    std::sort(out->rows.begin() + out->row_start[node],
              out->rows.begin() + out->row_start[node + 1]);
  }
}

void GraphBuilder::State::WriteUpperLinks(Snapshot* out) const {
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
  const NodeLayout layout(code_, dimension_, parameters_.m);
  const auto out = std::make_shared<Snapshot>(node_count() * layout.bytes);
  WriteNodes(layout, out.get());
  WriteRows(out.get());
  WriteUpperLinks(out.get());
  std::vector<uint32_t> lost = lost_nodes;
  lost.insert(lost.end(), far_nodes_.begin(), far_nodes_.end());
  for (const uint32_t node : lost) {
    out->orphans.insert(out->orphans.end(), out->rows.begin() + out->row_start[node],
                        out->rows.begin() + out->row_start[node + 1]);
  }
  std::sort(out->orphans.begin(), out->orphans.end());
  out->orphans.erase(std::unique(out->orphans.begin(), out->orphans.end()), out->orphans.end());
  GraphData data;
  data.metric = metric_;
  data.dimension = dimension_;
  data.parameters = parameters_;
  data.row_limit = row_limit;
  data.entry = hnsw_.enterpoint_node_;
  data.top_level = hnsw_.maxlevel_;
  data.code = code_;
  if (code_ == CodeKind::kInt8) {
    data.low = ranges_.low;
    data.step = ranges_.step;
  }
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
  return MakeSnapshot(row_limit, lost);
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
