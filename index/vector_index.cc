// SPDX-License-Identifier: Apache-2.0
#include "index/vector_index.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <utility>

#include "base/mutex.h"
#include "base/status.h"
#include "index/graph.h"
#include "index/graph_builder.h"
#include "index/graph_distance.h"
#include "index/graph_effort.h"
#include "index/planner.h"
#include "index/row_scan.h"
#include "index/row_store.h"

namespace fletch {
namespace {

constexpr size_t kCandidatesAhead = 4;  // rows fetched while others are scored
constexpr size_t kBytesAhead = 1024;    // of each
// When fewer pass, a walk asks of what it meets and not of what it found.
constexpr double kMinUnfilteredShare = 0.5;

// How a search asks what is accepted.
enum class Way {
  kAskAfterwards,  // of what a walk found
  kAskOnTheWay,    // of what a walk meets
  kCompareAll,     // and walks no graph
};

bool MayAskAfterwards(const IndexQuery& query) {
  return query.unfiltered && query.selectivity >= kMinUnfilteredShare;
}

std::shared_ptr<const Graph> GraphOf(const std::shared_ptr<GraphFile>& file) {
  GraphData data = file->graph();
  data.owner = file;
  return std::make_shared<const Graph>(std::move(data));
}

RowStore::Saved RowsOf(const std::shared_ptr<GraphFile>& file) {
  RowStore::Saved saved = file->rows();
  saved.owner = file;
  return saved;
}

}  // namespace

struct VectorIndex::State {
  explicit State(const IndexOptions& o) : options(o), rows(o.metric, o.dimension, o.folder) {}
  State(const IndexOptions& o, const std::shared_ptr<GraphFile>& file)
      : options(o), rows(o.metric, o.dimension, o.folder, RowsOf(file)), graph(GraphOf(file)) {}

  std::shared_ptr<const Graph> TakeGraph() const {
    MutexLock lock(&mu);
    return graph;
  }
  absl::Status Extend(const std::vector<RowId>& fresh, uint32_t row_limit,
                      const std::shared_ptr<const Graph>& before,
                      absl::FunctionRef<bool()> cancelled,
                      absl::FunctionRef<void(double)> progress);
  size_t ChooseEffort(const Graph& walked, const IndexQuery& query, bool ask_afterwards) const;
  SearchPlan Plan(const Graph* graph_now, const IndexQuery& query, uint32_t row_count, Way way,
                  IndexAnswer* answer) const;
  absl::StatusOr<bool> SearchGraph(const Graph& walked, const IndexQuery& query,
                                   const SearchPlan& plan, uint32_t row_count, RowScan* scan,
                                   IndexAnswer* answer) const;
  void ScoreCandidates(const Graph& walked, const GraphWalk& walk, const IndexQuery& query,
                       RowScan* scan, IndexAnswer* answer) const;

  const IndexOptions options;
  RowStore rows;
  mutable Mutex mu;  // held for the copy of a pointer only
  std::shared_ptr<const Graph> graph ABSL_GUARDED_BY(mu);
  // The builder's.
  std::unique_ptr<GraphBuilder> builder;
  std::atomic<size_t> builder_bytes{0};
};

VectorIndex::VectorIndex(const IndexOptions& options) : state_(std::make_unique<State>(options)) {}

VectorIndex::VectorIndex(const IndexOptions& options, std::shared_ptr<GraphFile> file)
    : state_(std::make_unique<State>(options, file)) {}

VectorIndex::~VectorIndex() = default;

const IndexOptions& VectorIndex::options() const { return state_->options; }

RowId VectorIndex::Add(absl::Span<const float> vector) { return state_->rows.Add(vector); }

void VectorIndex::Blank(RowId row) { state_->rows.Blank(row); }

size_t VectorIndex::row_count() const { return state_->rows.row_count(); }

absl::Span<const float> VectorIndex::vector(RowId row) const { return state_->rows.vector(row); }

absl::Status VectorIndex::State::Extend(const std::vector<RowId>& fresh, uint32_t row_limit,
                                        const std::shared_ptr<const Graph>& before,
                                        absl::FunctionRef<bool()> cancelled,
                                        absl::FunctionRef<void(double)> progress) {
  const auto vector = [this](RowId row) { return rows.vector(row); };
  if (!builder) {
    builder = std::make_unique<GraphBuilder>(options.metric, options.dimension, options.parameters);
    if (before) RETURN_IF_ERROR(builder->Resume(before, vector));
  }
  RETURN_IF_ERROR(builder->Add(fresh, vector, cancelled, progress));
  ASSIGN_OR_RETURN(GraphData data, builder->Take(row_limit, cancelled));
  builder_bytes = builder->bytes();
  auto after = std::make_shared<const Graph>(std::move(data));
  // The old graph, if this was its last holder, is freed after the lock.
  MutexLock lock(&mu);
  graph.swap(after);
  return absl::OkStatus();
}

absl::Status VectorIndex::ExtendGraph(absl::FunctionRef<bool(RowId)> live,
                                      absl::FunctionRef<bool()> cancelled,
                                      absl::FunctionRef<void(double)> progress) {
  const uint32_t row_limit = state_->rows.row_count();
  const std::shared_ptr<const Graph> before = state_->TakeGraph();
  std::vector<RowId> fresh;
  for (RowId row = before ? before->row_limit() : 0; row < row_limit; ++row) {
    if (live(row)) fresh.push_back(row);
  }
  if (fresh.empty() && !before) return absl::OkStatus();
  const absl::Status status = state_->Extend(fresh, row_limit, before, cancelled, progress);
  if (!status.ok()) ForgetBuilder();
  return status;
}

void VectorIndex::ForgetBuilder() {
  state_->builder.reset();
  state_->builder_bytes = 0;
}

bool VectorIndex::has_builder() const { return state_->builder != nullptr; }

absl::Status VectorIndex::Save(const std::string& path, uint64_t commit_seq,
                               absl::FunctionRef<std::string(RowId)> label,
                               absl::FunctionRef<bool()> cancelled) const {
  const std::shared_ptr<const Graph> graph = state_->TakeGraph();
  if (!graph) return FailedPrecondition("NO_GRAPH", "there is no graph to be saved yet");
  const auto bytes = [&](RowId row) {
    return label(row).empty() ? absl::Span<const char>() : state_->rows.bytes(row);
  };
  return WriteGraphFile(path, graph->data(),
                        {.commit_seq = commit_seq, .bytes = bytes, .label = label}, cancelled);
}

size_t VectorIndex::graph_row_limit() const {
  const std::shared_ptr<const Graph> graph = state_->TakeGraph();
  return graph ? graph->row_limit() : 0;
}

IndexFigures VectorIndex::figures() const {
  IndexFigures figures;
  const std::shared_ptr<const Graph> graph = state_->TakeGraph();
  figures.rows = row_count();
  figures.buffered_rows = figures.rows;
  figures.builder_bytes = state_->builder_bytes;
  figures.row_file_bytes = state_->rows.file_bytes();
  figures.row_memory_bytes = state_->rows.memory_bytes();
  figures.warning = state_->rows.warning();
  if (!graph) return figures;
  const GraphData& data = graph->data();
  figures.graph_rows = graph->row_count();
  figures.buffered_rows -= graph->row_limit();
  figures.orphans = data.orphans.size();
  figures.graph_bytes =
      data.nodes.size() +
      sizeof(uint32_t) * (data.row_start.size() + data.rows.size() + data.orphans.size() +
                          data.upper_start.size() + data.upper_links.size());
  figures.code = data.code;
  figures.effort = data.effort;
  return figures;
}

size_t VectorIndex::CountUnreachable(absl::FunctionRef<bool(RowId)> live) const {
  const std::shared_ptr<const Graph> graph = state_->TakeGraph();
  if (!graph) return 0;
  const std::vector<bool> reached = graph->Reached();
  size_t unreachable = 0;
  for (uint32_t node = 0; node < graph->node_count(); ++node) {
    if (reached[node]) continue;
    for (const RowId row : graph->Rows(node)) unreachable += live(row) ? 1 : 0;
  }
  return unreachable;
}

// Nearest first, until what follows cannot matter.
void VectorIndex::State::ScoreCandidates(const Graph& walked, const GraphWalk& walk,
                                         const IndexQuery& query, RowScan* scan,
                                         IndexAnswer* answer) const {
  const absl::Span<const uint32_t> orphans = walked.orphans();
  const size_t most = query.rescore > 0 ? std::max(query.rescore, query.top_k) : walk.found.size();
  for (size_t i = 0; i < walk.found.size() && answer->rescored < most; ++i) {
    const GraphCandidate& candidate = walk.found[i];
    if (scan->full() &&
        candidate.distance > DistanceOfScore(options.metric, scan->worst().score) + walk.error) {
      break;
    }
    if (i + kCandidatesAhead < walk.found.size()) {
      rows.Prefetch(walked.Rows(walk.found[i + kCandidatesAhead].node)[0], kBytesAhead);
    }
    ++answer->rescored;
    for (const RowId row : walked.Rows(candidate.node)) {
      if (!std::binary_search(orphans.begin(), orphans.end(), row)) scan->Offer(row);
    }
  }
}

size_t VectorIndex::State::ChooseEffort(const Graph& walked, const IndexQuery& query,
                                        bool ask_afterwards) const {
  const double recall = query.target_recall > 0 ? query.target_recall : options.target_recall;
  size_t ef = query.ef > 0 ? query.ef : ChooseEf(walked.data().effort, recall, query.top_k);
  ef = std::max(ef, query.top_k);
  if (!ask_afterwards) return ef;
  // Some of what is found will be refused.
  return static_cast<size_t>(static_cast<double>(ef) * std::pow(query.selectivity, -0.75));
}

// False: the graph could not give what an exact search would.
absl::StatusOr<bool> VectorIndex::State::SearchGraph(const Graph& walked, const IndexQuery& query,
                                                     const SearchPlan& plan, uint32_t row_count,
                                                     RowScan* scan, IndexAnswer* answer) const {
  const auto accept = plan.strategy == SearchStrategy::kGraph
                          ? std::optional<absl::FunctionRef<bool(RowId)>>()
                          : std::make_optional(query.accept);
  ASSIGN_OR_RETURN(const GraphWalk walk, walked.Walk({.vector = query.vector,
                                                      .ef = answer->ef,
                                                      .accept = accept,
                                                      .prepare = query.prepare,
                                                      .selectivity = query.selectivity,
                                                      .visit_limit = plan.visit_limit,
                                                      .check = query.check}));
  answer->visited += walk.visited;
  if (walk.given_up) return false;
  // First what must be compared anyway: then fewer of the candidates can matter.
  RETURN_IF_ERROR(scan->OfferList(walked.orphans()));
  RETURN_IF_ERROR(scan->OfferRange(walked.row_limit(), row_count));
  ScoreCandidates(walked, walk, query, scan, answer);
  return scan->full() || scan->beyond_threshold() > 0;
}

// How the query is best answered in this way.
SearchPlan VectorIndex::State::Plan(const Graph* graph_now, const IndexQuery& query,
                                    uint32_t row_count, Way way, IndexAnswer* answer) const {
  PlanInput in{.rows = row_count,
               .matches = query.selectivity * static_cast<double>(row_count),
               .filtered = way != Way::kAskAfterwards,
               .dear = query.accept_is_dear,
               .listed = query.listing.has_value(),
               .listed_rows = query.listing.has_value() ? query.listing->count : 0,
               .dimension = options.dimension};
  if (graph_now != nullptr && way != Way::kCompareAll) {
    answer->ef = ChooseEffort(*graph_now, query, way == Way::kAskAfterwards);
    in.graph_rows = graph_now->row_count();
    in.buffered_rows = answer->buffered;
    in.ef = answer->ef;
  }
  return PlanSearch(in);
}

absl::StatusOr<IndexAnswer> VectorIndex::Search(const IndexQuery& query) const {
  IndexAnswer answer;
  if (query.top_k == 0) return answer;
  // The graph first: then all its rows are within the count.
  const std::shared_ptr<const Graph> graph = state_->TakeGraph();
  const uint32_t row_count = state_->rows.row_count();
  RowScan scan(state_->options.metric, state_->rows, query);
  answer.buffered = row_count - (graph ? graph->row_limit() : 0);
  Way way = query.exact               ? Way::kCompareAll
            : MayAskAfterwards(query) ? Way::kAskAfterwards
                                      : Way::kAskOnTheWay;
  SearchPlan plan;
  while (true) {
    plan = state_->Plan(graph.get(), query, row_count, way, &answer);
    if (query.most_nanos > 0 && plan.nanos > query.most_nanos) {
      answer.too_long = true;
      return answer;
    }
    scan.Restart();
    if (plan.strategy == SearchStrategy::kExactMatches ||
        plan.strategy == SearchStrategy::kExactScan) {
      break;
    }
    ASSIGN_OR_RETURN(answer.used_graph,
                     state_->SearchGraph(*graph, query, plan, row_count, &scan, &answer));
    if (answer.used_graph) break;
    // Near rows are refused more than others: then only those that pass are worth a step.
    way = way == Way::kAskAfterwards ? Way::kAskOnTheWay : Way::kCompareAll;
  }
  if (answer.used_graph) {
    answer.segments = 1;
  } else {
    const std::optional<std::vector<RowId>> listed =
        plan.strategy == SearchStrategy::kExactMatches ? query.listing->rows() : std::nullopt;
    RETURN_IF_ERROR(listed ? scan.OfferList(*listed) : scan.OfferRange(0, row_count));
  }
  answer.reason = query.exact               ? "asked for"
                  : way == Way::kCompareAll ? "the graph's answer was not complete"
                                            : std::move(plan.reason);
  answer.visited += scan.compared();
  answer.hits = scan.Take();
  return answer;
}

}  // namespace fletch
