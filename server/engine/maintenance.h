// SPDX-License-Identifier: Apache-2.0
// What happens to stored facts behind the readers, by and by or on demand: horizons rise towards
// now - retention, history behind them is dropped, facts are folded into blocks.
#ifndef FLETCH_SERVER_ENGINE_MAINTENANCE_H_
#define FLETCH_SERVER_ENGINE_MAINTENANCE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/call.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "server/engine/catalog.h"
#include "server/engine/commit_pipeline.h"
#include "server/engine/horizon.h"
#include "storage/kv_store.h"

namespace fletch {

// Thread-safe. In the background, once a second:
// - a view's horizon is raised when it would rise by a hundredth of the retention, at least a
//   second; then the history behind it is dropped in one pass over the view;
// - a view is folded when limits::kFoldTriggerFacts were committed to it since the last pass, and
//   at least a quarter of what that pass left, so that a fact is looked at about five times; and
//   once after a start, since what lies unfolded then is not known. After
//   limits::kFoldMarksSwept folded facts the store is asked to forget their places.
class Maintenance {
 public:
  // `paused`: asked before every step; while it is true nothing is done. Pointers outlive this.
  Maintenance(KvStore* store, const Catalog* catalog, Horizons* horizons, CommitPipeline* pipeline,
              const Clock* clock, MetricRegistry* metrics, std::function<bool()> paused);
  ~Maintenance() { Stop(); }

  // Starts the background thread, of low priority.
  void Start();
  // Ends it, after the step that is under way. Idempotent.
  void Stop();

  struct Done {
    uint64_t facts_folded = 0;
    uint64_t facts_dropped = 0;
  };
  // All of it now, of the project's views (empty: of all). UNAVAILABLE (ERASURE_UNFINISHED) when
  // paused; DEADLINE_EXCEEDED, CANCELLED between steps; else as KvStore::Write. Blocks.
  absl::StatusOr<Done> RunNow(const std::string& project, const Call& call);

  // While one lives no step runs: facts stand still but for commits. Waits for the step that is
  // under way, some ten milliseconds.
  class Standstill {
   public:
    explicit Standstill(Maintenance* maintenance) : maintenance_(maintenance) {
      maintenance_->Enter(/*yielding=*/false);
    }
    ~Standstill() { maintenance_->Leave(); }
    Standstill(const Standstill&) = delete;
    Standstill& operator=(const Standstill&) = delete;

   private:
    Maintenance* const maintenance_;
  };

 private:
  // What is known of a view since the start.
  struct Progress {
    bool folded_once = false;
    uint64_t folded_at = 0;  // FactsCommitted when the last pass began
    uint64_t left = 0;       // facts that it left unfolded
    uint64_t marks = 0;      // facts folded since the view's range was compacted, about
    int64_t dropped_to = INT64_MIN;
  };
  using KeepGoing = absl::FunctionRef<absl::Status()>;

  void Run();
  absl::Status RunDue();
  // One view: raise, drop and fold, each if due, or `all`.
  absl::Status Work(const View& view, bool all, KeepGoing keep_going, Done* done);
  absl::Status Raise(const View& view, bool all);
  absl::Status Drop(const View& view, KeepGoing keep_going, Done* done);
  absl::Status Fold(const View& view, KeepGoing keep_going, Done* done);
  // Runs `step` while no other runs. False: the view is gone.
  absl::StatusOr<bool> Step(const View& view, absl::FunctionRef<absl::Status()> step);
  absl::Status SweepMarks(const std::string& begin, const std::string& end);
  bool FoldIsDue(ViewId view_id) const;
  Progress ProgressOf(ViewId view_id) const;

  void Enter(bool yielding);
  void Leave();

  KvStore* const store_;
  const Catalog* const catalog_;
  Horizons* const horizons_;
  CommitPipeline* const pipeline_;
  const Clock* const clock_;
  const std::function<bool()> paused_;
  Counter* const folded_;
  Counter* const dropped_;
  Counter* const failures_;
  Histogram* const latency_;
  std::atomic<int64_t> last_run_{0};  // when a pass last ended, by the clock
  std::atomic<bool> stopping_{false};

  mutable Mutex mu_;
  CondVar wake_;  // stop
  CondVar turn_;  // a step ended
  bool busy_ ABSL_GUARDED_BY(mu_) = false;
  int waiting_ ABSL_GUARDED_BY(mu_) = 0;  // standstills that wait: they go first
  absl::flat_hash_map<ViewId, Progress> progress_ ABSL_GUARDED_BY(mu_);

  std::thread thread_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_MAINTENANCE_H_
