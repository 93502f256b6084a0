// SPDX-License-Identifier: Apache-2.0
#include "server/engine/parity.h"

#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/cell_bytes.h"
#include "server/engine/training_join.h"
#include "storage/entity_key.h"

namespace fletch {
namespace {

constexpr size_t kLoggedMismatches = 10;  // of one answer: enough to see which view it is

CellStatus StatusOf(const Column& column, size_t row) {
  return column.statuses.empty() ? CellStatus::kPresent : column.statuses[row];
}

// Which group's keys a column of the plan speaks of: SIZE_MAX: none (constants).
std::vector<size_t> GroupsOfColumns(const FeaturePlan& plan) {
  std::vector<size_t> groups(plan.columns.size() + plan.hidden.size(), SIZE_MAX);
  for (size_t g = 0; g < plan.groups.size(); ++g) {
    for (const PlanView& view : plan.groups[g].views) {
      for (const PlanField& field : view.fields) groups[field.column] = g;
    }
  }
  for (const PlanExpressions& expressions : plan.expressions) {
    size_t group = SIZE_MAX;
    for (const size_t column : expressions.input_columns) {
      if (group == SIZE_MAX && column != PlanExpressions::kUnused) group = groups[column];
    }
    for (const PlanField& field : expressions.fields) groups[field.column] = group;
  }
  return groups;
}

// Walks the same column of both answers.
class ColumnComparison {
 public:
  ColumnComparison(const Column& online, const Column& training)
      : online_(online), training_(training), online_cells_(online), training_cells_(training) {}

  // What the next row differs in; empty: in nothing.
  std::string_view Next() {
    const size_t row = row_++;
    const CellStatus status = StatusOf(online_, row);
    const bool same_status = status == StatusOf(training_, row);
    online_bytes_.clear();
    training_bytes_.clear();
    online_cells_.Next(&online_bytes_);
    training_cells_.Next(&training_bytes_);
    if (!same_status) return "status";
    if (status == CellStatus::kPresent && online_bytes_ != training_bytes_) return "value";
    if (online_.event_times == nullptr) return "";
    const int64_t training_time =
        training_.event_times == nullptr ? kUnsetTime : (*training_.event_times)[row];
    return (*online_.event_times)[row] == training_time ? "" : "event_timestamp";
  }

 private:
  const Column& online_;
  const Column& training_;
  CellBytes online_cells_;
  CellBytes training_cells_;
  std::string online_bytes_;
  std::string training_bytes_;
  size_t row_ = 0;
};

// The hash of the key that a cell is about; empty when it is about none.
std::string HashOf(const KeyHasher& hasher, const PlanGroup& group,
                   absl::Span<const Column* const> columns, size_t row) {
  const PlanView& view = group.views.front();
  const ViewSchema& schema =
      view.view != nullptr ? view.view->schema : view.windows->source->schema;
  std::string key;
  AppendKey(columns, row, &key);
  return hasher.Hash(schema.project, schema.entity, key);
}

void LogMismatch(const v1::ParityMismatch& mismatch, const PlanColumn& column) {
  Log(LogLevel::kError, "online and training disagree",
      {{"ref", column.ref},
       {"resolved", column.resolved},
       {"key_hash", absl::BytesToHexString(mismatch.key_hash())},
       {"as_of_micros", StrCat(mismatch.as_of_micros())},
       {"read_seq", StrCat(mismatch.read_seq())},
       {"differs_in", mismatch.differs_in()}});
}

}  // namespace

ParityChecker::ParityChecker(const ParitySources& sources, MetricRegistry* metrics)
    : sources_(sources),
      cells_(metrics->GetCounter("fletch_parity_cells_total",
                                 "Online cells asked again through the training path.")),
      mismatches_(metrics->GetCounter("fletch_parity_mismatches_total",
                                      "Online cells that the training path answered otherwise.")) {}

absl::StatusOr<std::vector<Column>> ParityChecker::AskTraining(const OnlineRequest& request,
                                                               const OnlineAnswer& answer,
                                                               const Call& call) {
  SpineBatch spine;
  spine.row_count = request.row_count;
  spine.keys = request.keys;
  spine.timestamps.assign(request.row_count, answer.as_of);
  spine.request_context = request.request_context;
  SpineJoinRequest join{.plan = answer.plan,
                        .batches = {},
                        .known_at = {answer.read_seq},
                        .event_times = request.event_times,
                        .mark_out_of_range = false,
                        .rows_before = 0};
  join.batches.push_back(std::move(spine));
  ASSIGN_OR_RETURN(const auto joined, JoinSpine(sources_.reads, &alone_, std::move(join), call));
  return joined->Batch(0, call);
}

bool ParityChecker::StillThere(const OnlineAnswer& answer, uint64_t erasures) const {
  bool under_way = false;
  if (sources_.sets->ErasureCount(&under_way) != erasures || under_way) return false;
  const auto catalog = sources_.catalog->Snapshot();
  for (const PlanGroup& group : answer.plan->groups) {
    for (const PlanView& view : group.views) {
      const View& stored = view.view != nullptr ? *view.view : *view.windows->source;
      if (catalog->FindViewById(stored.schema.view_id) == nullptr) return false;
    }
  }
  return true;
}

absl::StatusOr<std::optional<ParityChecker::Result>> ParityChecker::Check(
    const OnlineRequest& request, const OnlineAnswer& answer, uint64_t erasures, const Call& call) {
  const absl::StatusOr<std::vector<Column>> training = AskTraining(request, answer, call);
  if (!StillThere(answer, erasures)) return std::nullopt;
  RETURN_IF_ERROR(training.status());
  ASSIGN_OR_RETURN(Result result, Compare(request, answer, *training));
  cells_->Add(result.cells);
  mismatches_->Add(result.mismatches);
  return result;
}

absl::StatusOr<ParityChecker::Result> ParityChecker::Compare(
    const OnlineRequest& request, const OnlineAnswer& answer,
    absl::Span<const Column> training) const {
  const FeaturePlan& plan = *answer.plan;
  const std::vector<size_t> groups = GroupsOfColumns(plan);
  ASSIGN_OR_RETURN(const BoundKeys bound, BindKeys(plan, request.keys, request.row_count, "keys"));
  Result result;
  for (size_t c = 0; c < plan.columns.size(); ++c) {
    ColumnComparison comparison(answer.columns[c], training[c]);
    for (size_t row = 0; row < request.row_count; ++row) {
      const std::string_view differs_in = comparison.Next();
      ++result.cells;
      if (differs_in.empty()) continue;
      ++result.mismatches;
      if (result.examples.size() >= limits::kMaxParityExamples) continue;
      v1::ParityMismatch& example = result.examples.emplace_back();
      example.set_ref(plan.columns[c].ref);
      if (const size_t g = groups[c]; g != SIZE_MAX) {
        example.set_key_hash(HashOf(*sources_.hasher, plan.groups[g], bound.groups[g], row));
      }
      example.set_as_of_micros(answer.as_of);
      example.set_read_seq(answer.read_seq);
      example.set_differs_in(std::string(differs_in));
      if (result.examples.size() <= kLoggedMismatches) LogMismatch(example, plan.columns[c]);
    }
  }
  return result;
}

ParitySampler::ParitySampler(double share, ParityChecker* checker, MetricRegistry* metrics)
    : share_(share),
      checker_(checker),
      dropped_(metrics->GetCounter("fletch_parity_dropped_total",
                                   "Online answers of the parity sample that were not asked again: "
                                   "too much waited, or the read failed.")) {
  if (!share_.none()) thread_ = std::thread([this] { Run(); });
}

ParitySampler::~ParitySampler() {
  stopping_.store(true);
  {
    MutexLock lock(&mu_);
    queue_.clear();
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void ParitySampler::Take(const OnlineRequest& request, const OnlineAnswer& answer) {
  const size_t cells = request.row_count * answer.columns.size();
  bool taken = false;
  {
    MutexLock lock(&mu_);
    taken = queue_.size() < limits::kMaxParitySamples &&
            queued_cells_ + cells <= limits::kMaxParityCells;
    if (taken) queued_cells_ += cells;  // the copy is made outside
  }
  if (!taken) {
    dropped_->Add();
    return;
  }
  Sample sample{request, answer, checker_->ErasureCount(), cells};
  MutexLock lock(&mu_);
  queue_.push_back(std::move(sample));
  wake_.NotifyOne();
}

std::optional<ParitySampler::Sample> ParitySampler::Next() {
  MutexLock lock(&mu_);
  working_ = false;
  if (queue_.empty()) idle_.NotifyAll();
  while (queue_.empty() && !stopping_.load()) wake_.Wait(&mu_);
  if (stopping_.load()) return std::nullopt;
  Sample sample = std::move(queue_.front());
  queue_.pop_front();
  queued_cells_ -= sample.cells;
  working_ = true;
  return sample;
}

void ParitySampler::Run() {
  TakeLowestPriority();
  Call call;
  call.cancelled = [this] { return stopping_.load(); };
  while (const std::optional<Sample> sample = Next()) {
    const auto result = checker_->Check(sample->request, sample->answer, sample->erasures, call);
    if (result.ok() || stopping_.load()) continue;
    dropped_->Add();
    Log(LogLevel::kWarning, "an online answer could not be asked again for the parity audit",
        {{"code", std::string(absl::StatusCodeToString(result.status().code()))},
         {"reason", ErrorReason(result.status())}});
  }
}

void ParitySampler::Drain() {
  MutexLock lock(&mu_);
  while (!queue_.empty() || working_) idle_.Wait(&mu_);
}

}  // namespace fletch
