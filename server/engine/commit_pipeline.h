// SPDX-License-Identifier: Apache-2.0
// One ordered queue and one thread through which everything changes: requests are grouped into one
// store batch with one fsync, applied in order to the online table, the vector collections and the
// windows' events, and then published and answered.
#ifndef FLETCH_SERVER_ENGINE_COMMIT_PIPELINE_H_
#define FLETCH_SERVER_ENGINE_COMMIT_PIPELINE_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/call.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "server/engine/catalog.h"
#include "server/engine/collections.h"
#include "server/engine/commit_facts.h"
#include "server/engine/commit_log.h"
#include "server/engine/event_index.h"
#include "server/engine/field_indexes.h"
#include "server/engine/horizon.h"
#include "server/engine/types.h"
#include "server/engine/write_encoder.h"
#include "storage/fact_store.h"
#include "storage/kv_store.h"
#include "storage/online_table.h"

namespace fletch {

// A checked request on its way to its commit.
struct CommitRequest {
  EncodedWrite write;
  // Why there is no write; the request is then answered only if it was committed before.
  absl::Status refusal;
  bool sync = true;
  std::string request_key;  // commit_log.h's RequestKey; empty: none
  uint64_t payload_hash = 0;
  Call call;
  std::function<void(absl::StatusOr<WriteReceipt>)> done;
};

// What commits are checked against and what takes them in.
struct CommitTargets {
  const Catalog* catalog;
  const Horizons* horizons;
  OnlineTable* online;
  FieldIndexes* field_indexes;
  Collections* collections;
  EventIndex* events;
  // Run on the commit thread before each group; its error refuses the whole group.
  std::function<absl::Status()> before_group;
};

// Thread-safe. `done` is called exactly once for every accepted request, from the commit thread.
class CommitPipeline {
 public:
  // Starts from `state` (OpenCommitLog). All pointers outlive the pipeline.
  CommitPipeline(KvStore* store, CommitTargets targets, const Clock* clock, MetricRegistry* metrics,
                 CommitState state);
  // Commits what was accepted, then marks a clean stop.
  ~CommitPipeline();

  // RESOURCE_EXHAUSTED (QUEUE_FULL) when too much waits; then `done` is not called.
  absl::Status Submit(CommitRequest request);

  // Runs `task` on the commit thread between two groups, with nothing under way; returns when it
  // has run. REQUIRES: not called from the commit thread.
  void RunExclusive(std::function<void()> task);
  // A commit without facts, for a task of RunExclusive: `work` gets its number and time and a batch
  // that holds them, to add to and to write. The number is published when `work` succeeds.
  absl::StatusOr<WriteReceipt> CommitExclusive(
      absl::FunctionRef<absl::Status(const WriteReceipt&, KvBatch*)> work);

  // Facts of the view committed since the start.
  uint64_t FactsCommitted(ViewId view_id) const;

  // The newest commit that every read sees, and its time.
  uint64_t applied_seq() const { return applied_seq_.load(std::memory_order_acquire); }
  int64_t applied_time() const { return applied_time_.load(std::memory_order_acquire); }

  // The commit a known_at names. FAILED_PRECONDITION (NOT_YET_KNOWN) when it is not reached,
  // DATA_LOSS in a lost range. May wait for a group that is under way.
  absl::StatusOr<uint64_t> Resolve(const KnownAt& known_at);
  // The same for a time each, with one wait for all: for AS_SERVED. `times` must not be beyond the
  // clock.
  absl::StatusOr<std::vector<uint64_t>> ResolveTimes(absl::Span<const int64_t> times);

  // Waits until applied_seq() >= seq. FAILED_PRECONDITION (NOT_CAUGHT_UP) when the deadline is
  // near, or after a second without one.
  absl::Status WaitForSeq(uint64_t seq, const Call& call);

 private:
  struct Group;
  struct GroupMember;

  void Run();
  // What shares the next store batch.
  std::vector<CommitRequest> NextGroup() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CommitGroup(std::vector<CommitRequest> requests);
  absl::Status CheckVectorRoom(const EncodedWrite& write) const;
  absl::Status Admit(CommitRequest* request, Group* group);
  absl::Status Renew(EncodedWrite* write) const;
  absl::StatusOr<bool> FindReplay(const CommitRequest& request, const Group& group,
                                  GroupMember* member) const;
  absl::Status FillBatch(Group* group);
  int64_t StampTime();
  absl::Status ReserveNumbers(size_t count);
  void RememberRequests(Group* group);
  void Publish(const Group& group);
  void ApplyFacts(const Group& group);
  // Later commits get a time after `time`, and none at or before it is under way when this returns.
  void SettleTime(int64_t time);

  KvStore* const store_;
  const CommitTargets targets_;
  const CommitFacts commit_facts_;
  const Clock* const clock_;
  Counter* const commits_;
  Counter* const groups_;
  Counter* const facts_;
  Histogram* const group_latency_;
  const std::vector<std::pair<uint64_t, uint64_t>> lost_;

  std::atomic<uint64_t> applied_seq_;
  std::atomic<int64_t> applied_time_;

  // Of the commit thread alone.
  uint64_t next_seq_;
  uint64_t reserved_;
  std::deque<std::pair<uint64_t, std::string>> remembered_;  // (commit, request key), oldest first

  mutable Mutex mu_;
  CondVar work_;      // something was queued, or stop
  CondVar progress_;  // a group or a task is done
  std::deque<CommitRequest> queue_ ABSL_GUARDED_BY(mu_);
  size_t queued_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mu_);
  uint64_t tasks_queued_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t tasks_done_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t last_time_ ABSL_GUARDED_BY(mu_);  // the next group's time is not before it
  uint64_t groups_stamped_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t groups_ended_ ABSL_GUARDED_BY(mu_) = 0;  // published or failed
  absl::flat_hash_map<ViewId, uint64_t> facts_committed_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_COMMIT_PIPELINE_H_
