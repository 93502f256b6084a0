// SPDX-License-Identifier: Apache-2.0
#include "server/engine/maintenance.h"

#include <sys/resource.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/time_text.h"
#include "storage/fact_maintenance.h"

namespace fletch {
namespace {

constexpr int64_t kIntervalMs = 1000;
constexpr int64_t kAfterFailureMs = 10'000;  // a full disk does not empty itself in a second
constexpr uint64_t kFoldRowsPerStep = 20'000;
constexpr uint64_t kDropEntitiesPerStep = 2'000;
constexpr int64_t kMinRaiseMicros = 1'000'000;
constexpr int64_t kRaisesPerRetention = 100;
constexpr int kNice = 10;

}  // namespace

Maintenance::Maintenance(KvStore* store, const Catalog* catalog, Horizons* horizons,
                         CommitPipeline* pipeline, const Clock* clock, MetricRegistry* metrics,
                         std::function<bool()> paused)
    : store_(store),
      catalog_(catalog),
      horizons_(horizons),
      pipeline_(pipeline),
      clock_(clock),
      paused_(std::move(paused)),
      folded_(
          metrics->GetCounter("fletch_maintenance_facts_folded_total", "Facts moved into blocks.")),
      dropped_(metrics->GetCounter("fletch_maintenance_facts_dropped_total",
                                   "Facts dropped, past their view's horizon.")),
      failures_(metrics->GetCounter("fletch_maintenance_failures_total",
                                    "Maintenance passes that ended with an error.")),
      latency_(metrics->GetHistogram("fletch_maintenance_seconds",
                                     "Time of one maintenance pass over one view.")) {
  metrics->AddGauge("fletch_maintenance_last_run_seconds",
                    "When a maintenance pass last ended, seconds since the epoch; 0: none yet.", {},
                    [this] { return static_cast<double>(last_run_.load()) / 1e6; });
}

void Maintenance::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Maintenance::Stop() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void Maintenance::Run() {
  setpriority(PRIO_PROCESS, 0, kNice);  // Linux: of this thread alone
  while (!stopping_) {
    const absl::Status status = RunDue();
    const bool failed = !status.ok() && !absl::IsCancelled(status);
    if (failed) {
      failures_->Add();
      Log(LogLevel::kWarning, "maintenance failed; it is tried again",
          {{"error", std::string(status.message())}});
    }
    MutexLock lock(&mu_);
    if (!stopping_) wake_.WaitForMs(&mu_, failed ? kAfterFailureMs : kIntervalMs);
  }
}

absl::Status Maintenance::RunDue() {
  if (paused_()) return absl::OkStatus();
  const auto keep_going = [this] {
    return stopping_ ? absl::CancelledError("stopping") : absl::OkStatus();
  };
  const std::vector<std::shared_ptr<const View>> views = catalog_->Snapshot()->AllViews();
  for (const std::shared_ptr<const View>& view : views) {
    RETURN_IF_ERROR(keep_going());
    Done done;
    RETURN_IF_ERROR(Work(*view, /*all=*/false, keep_going, &done));
  }
  MutexLock lock(&mu_);
  absl::erase_if(progress_, [&views](const auto& entry) {
    return std::none_of(views.begin(), views.end(),
                        [&entry](const auto& view) { return view->schema.view_id == entry.first; });
  });
  return absl::OkStatus();
}

absl::StatusOr<Maintenance::Done> Maintenance::RunNow(const std::string& project,
                                                      const Call& call) {
  Done done;
  for (const std::shared_ptr<const View>& view : catalog_->Snapshot()->AllViews()) {
    if (!project.empty() && view->schema.project != project) continue;
    RETURN_IF_ERROR(Work(
        *view, /*all=*/true, [&call] { return call.Check(); }, &done));
  }
  return done;
}

absl::Status Maintenance::Work(const View& view, bool all, KeepGoing keep_going, Done* done) {
  const ViewId view_id = view.schema.view_id;
  RETURN_IF_ERROR(Raise(view, all));
  const bool drop = horizons_->Of(view_id).time > ProgressOf(view_id).dropped_to;
  const bool fold = all || FoldIsDue(view_id);
  if (!drop && !fold) return absl::OkStatus();
  const int64_t start = SteadyMicros();
  const Done before = *done;
  if (drop) RETURN_IF_ERROR(Drop(view, keep_going, done));
  if (fold) RETURN_IF_ERROR(Fold(view, keep_going, done));
  const int64_t took = SteadyMicros() - start;
  latency_->Observe(took);
  last_run_.store(clock_->NowMicros());
  const uint64_t folded = done->facts_folded - before.facts_folded;
  const uint64_t dropped = done->facts_dropped - before.facts_dropped;
  if (folded + dropped > 0) {
    Log(LogLevel::kInfo, "maintained a view",
        {{"project", view.schema.project},
         {"view", view.schema.versioned_name()},
         {"facts_folded", StrCat(folded)},
         {"facts_dropped", StrCat(dropped)},
         {"took", DurationText(took)}});
  }
  return absl::OkStatus();
}

absl::Status Maintenance::Raise(const View& view, bool all) {
  const ViewSchema& schema = view.schema;
  if (schema.retention_micros == 0) return absl::OkStatus();
  const int64_t now = clock_->NowMicros();
  const int64_t time = now - schema.retention_micros;
  if (time <= limits::kMinTimeMicros) return absl::OkStatus();
  const int64_t before = horizons_->Of(schema.view_id).time;
  const int64_t step =
      all ? 1 : std::max(kMinRaiseMicros, schema.retention_micros / kRaisesPerRetention);
  if (before != INT64_MIN && time - before < step) return absl::OkStatus();
  // Settled here: no later commit can get a time at or before it.
  ASSIGN_OR_RETURN(const uint64_t floor, pipeline_->Resolve({.by_time = true, .time = time}));
  absl::Status raised;
  pipeline_->RunExclusive([&] {
    if (catalog_->Snapshot()->FindViewById(schema.view_id) == nullptr) return;
    raised = horizons_->Raise(store_, schema.view_id, {time, floor});
  });
  return raised;
}

absl::Status Maintenance::Drop(const View& view, KeepGoing keep_going, Done* done) {
  const Horizon horizon = horizons_->Of(view.schema.view_id);
  std::string resume_key;
  do {
    RETURN_IF_ERROR(keep_going());
    ASSIGN_OR_RETURN(const bool there, Step(view, [&]() -> absl::Status {
                       ASSIGN_OR_RETURN(
                           DropResult result,
                           DropHistory(store_, view.schema, horizon.time, horizon.floor, resume_key,
                                       kDropEntitiesPerStep));
                       resume_key = std::move(result.resume_key);
                       done->facts_dropped += result.facts_dropped;
                       dropped_->Add(result.facts_dropped);
                       return absl::OkStatus();
                     }));
    if (!there) return absl::OkStatus();
  } while (!resume_key.empty());
  MutexLock lock(&mu_);
  Progress& progress = progress_[view.schema.view_id];
  progress.dropped_to = std::max(progress.dropped_to, horizon.time);
  return absl::OkStatus();
}

absl::Status Maintenance::Fold(const View& view, KeepGoing keep_going, Done* done) {
  const ViewId view_id = view.schema.view_id;
  const uint64_t folded_at = pipeline_->FactsCommitted(view_id);
  uint64_t seen = 0;
  uint64_t folded = 0;
  uint64_t marks = 0;  // since `swept`
  std::string swept = ViewPrefix(view_id);
  std::string resume_key;
  do {
    RETURN_IF_ERROR(keep_going());
    ASSIGN_OR_RETURN(const bool there, Step(view, [&]() -> absl::Status {
                       ASSIGN_OR_RETURN(FoldResult result, FoldView(store_, view.schema, resume_key,
                                                                    kFoldRowsPerStep));
                       resume_key = std::move(result.resume_key);
                       seen += result.rows_seen;
                       folded += result.rows_folded;
                       marks += result.rows_folded;
                       done->facts_folded += result.rows_folded;
                       folded_->Add(result.rows_folded);
                       return absl::OkStatus();
                     }));
    if (!there) return absl::OkStatus();
    if (marks >= limits::kFoldMarksSwept && !resume_key.empty()) {
      RETURN_IF_ERROR(SweepMarks(swept, resume_key));
      swept = resume_key;
      marks = 0;
    }
  } while (!resume_key.empty());
  marks += ProgressOf(view_id).marks;  // of passes that folded too little to be swept
  if (marks >= limits::kFoldMarksSwept) {
    RETURN_IF_ERROR(SweepMarks(ViewPrefix(view_id), ViewPrefixEnd(view_id)));
    marks = 0;
  }
  MutexLock lock(&mu_);
  Progress& progress = progress_[view_id];
  progress.folded_once = true;
  progress.folded_at = folded_at;
  progress.left = seen - folded;
  progress.marks = marks;
  return absl::OkStatus();
}

// A seek walks over the marks of folded facts until it meets one that is not.
absl::Status Maintenance::SweepMarks(const std::string& begin, const std::string& end) {
  const KeyRange facts{Family::kFacts, begin, end};
  return store_->Compact({&facts, 1});
}

absl::StatusOr<bool> Maintenance::Step(const View& view, absl::FunctionRef<absl::Status()> step) {
  Enter(/*yielding=*/true);
  absl::Status status;
  const bool there = catalog_->Snapshot()->FindViewById(view.schema.view_id) != nullptr;
  if (paused_()) {
    status = MakeError(absl::StatusCode::kUnavailable, "ERASURE_UNFINISHED",
                       "an erasure could not be finished, so facts are left as they are; it goes "
                       "on with the next write or erasure, once the store takes writes again");
  } else if (there) {
    status = step();
  }
  Leave();
  if (!status.ok()) return status;
  return there;
}

bool Maintenance::FoldIsDue(ViewId view_id) const {
  const Progress progress = ProgressOf(view_id);
  const uint64_t fresh = pipeline_->FactsCommitted(view_id) - progress.folded_at;
  return !progress.folded_once ||
         fresh >= std::max<uint64_t>(limits::kFoldTriggerFacts, progress.left / 4);
}

Maintenance::Progress Maintenance::ProgressOf(ViewId view_id) const {
  MutexLock lock(&mu_);
  const auto found = progress_.find(view_id);
  return found == progress_.end() ? Progress{} : found->second;
}

void Maintenance::Enter(bool yielding) {
  MutexLock lock(&mu_);
  waiting_ += yielding ? 0 : 1;
  while (busy_ || (yielding && waiting_ > 0)) turn_.Wait(&mu_);
  waiting_ -= yielding ? 0 : 1;
  busy_ = true;
}

void Maintenance::Leave() {
  MutexLock lock(&mu_);
  busy_ = false;
  turn_.NotifyAll();
}

}  // namespace fletch
