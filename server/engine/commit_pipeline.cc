// SPDX-License-Identifier: Apache-2.0
#include "server/engine/commit_pipeline.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/status.h"
#include "storage/row_codec.h"

namespace fletch {
namespace {

using EntityRef = std::pair<ViewId, std::string_view>;

EntityRef EntityOf(const PendingFact& fact) {
  return {fact.view->schema.view_id, fact.identity.entity_key};
}

// Which requests may share a group, where those that ask what is stored must not follow what they
// would have to see: a retraction goes alone, a partial update joins while no request before it in
// the group touches its entities.
class GroupRule {
 public:
  explicit GroupRule(const std::vector<CommitRequest>* group) : group_(group) {}

  bool MayJoin(const EncodedWrite& write) {
    if (group_->empty()) return true;
    if (IsRetraction(group_->front().write) || IsRetraction(write)) return false;
    if (write.partials.empty()) return true;
    for (; counted_ < group_->size(); ++counted_) {
      for (const PendingFact& fact : (*group_)[counted_].write.facts) {
        touched_.insert(EntityOf(fact));
      }
    }
    return std::none_of(write.facts.begin(), write.facts.end(), [this](const PendingFact& fact) {
      return fact.partial >= 0 && touched_.contains(EntityOf(fact));
    });
  }

 private:
  const std::vector<CommitRequest>* const group_;
  size_t counted_ = 0;                      // requests whose entities are in touched_
  absl::flat_hash_set<EntityRef> touched_;  // point into the requests' facts
};

absl::Status ReusedId() {
  return MakeError(absl::StatusCode::kInvalidArgument, "REQUEST_ID_REUSED",
                   "this request_id was used with another payload; use a new id for new rows",
                   "request_id");
}

}  // namespace

struct CommitPipeline::GroupMember {
  CommitRequest request;
  WriteReceipt receipt;
  bool replay = false;            // its request id is known: nothing to write
  std::optional<size_t> same_as;  // the member of this group with the same request id
};

// One group on its way: requests admitted, their numbers, what changes.
struct CommitPipeline::Group {
  int64_t commit_time = 0;
  uint64_t last_seq = 0;
  bool sync = false;
  std::vector<GroupMember> members;
  absl::flat_hash_map<std::string, size_t> request_ids;  // -> the first member with it
  LatestChanges changes;
  KvBatch batch;
};

CommitPipeline::CommitPipeline(KvStore* store, CommitTargets targets, const Clock* clock,
                               MetricRegistry* metrics, CommitState state)
    : store_(store),
      targets_(std::move(targets)),
      commit_facts_(store, targets_.online, targets_.horizons),
      clock_(clock),
      commits_(metrics->GetCounter("fletch_commits_total", "Requests committed.")),
      groups_(
          metrics->GetCounter("fletch_commit_groups_total", "Store batches; commits share them.")),
      facts_(metrics->GetCounter("fletch_facts_written_total", "Facts committed.")),
      group_latency_(metrics->GetHistogram("fletch_commit_group_seconds",
                                           "Time to store and publish one group.")),
      lost_(std::move(state.lost)),
      applied_seq_(state.last_seq),
      applied_time_(state.last_time),
      next_seq_(state.next_seq),
      reserved_(state.reserved),
      remembered_(std::move(state.remembered)),
      last_time_(state.last_time) {
  metrics->AddGauge("fletch_commit_queue_requests", "Requests that wait for their commit.", {},
                    [this] {
                      MutexLock lock(&mu_);
                      return static_cast<double>(queue_.size());
                    });
  thread_ = std::thread([this] { Run(); });
}

CommitPipeline::~CommitPipeline() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    work_.NotifyAll();
  }
  thread_.join();
  absl::Status status = MarkCleanStop(store_, next_seq_ - 1);
  if (!status.ok()) {
    Log(LogLevel::kWarning, "could not mark a clean stop",
        {{"error", std::string(status.message())}});
  }
}

absl::Status CommitPipeline::Submit(CommitRequest request) {
  MutexLock lock(&mu_);
  if (stopping_)
    return MakeError(absl::StatusCode::kUnavailable, "DRAINING", "the daemon is stopping");
  if (queue_.size() >= limits::kCommitQueueRequests ||
      queued_bytes_ + request.write.bytes > limits::kCommitQueueBytes) {
    return WithRetryAfterMs(
        MakeError(absl::StatusCode::kResourceExhausted, "QUEUE_FULL",
                  absl::StrCat("the commit queue is full (", queue_.size(), " requests, ",
                               queued_bytes_, " bytes); write less at once or try again later")),
        100);
  }
  queued_bytes_ += request.write.bytes;
  queue_.push_back(std::move(request));
  work_.NotifyOne();
  return absl::OkStatus();
}

void CommitPipeline::RunExclusive(std::function<void()> task) {
  MutexLock lock(&mu_);
  uint64_t ticket = ++tasks_queued_;
  tasks_.push_back(std::move(task));
  work_.NotifyOne();
  while (tasks_done_ < ticket) progress_.Wait(&mu_);
}

void CommitPipeline::Run() {
  while (true) {
    std::vector<CommitRequest> requests;
    std::function<void()> task;
    {
      MutexLock lock(&mu_);
      while (queue_.empty() && tasks_.empty() && !stopping_) work_.Wait(&mu_);
      if (queue_.empty() && tasks_.empty()) return;
      if (!tasks_.empty()) {
        task = std::move(tasks_.front());
        tasks_.pop_front();
      } else {
        requests = NextGroup();
      }
    }
    if (!task) {
      CommitGroup(std::move(requests));
      continue;
    }
    task();
    MutexLock lock(&mu_);
    ++tasks_done_;
    progress_.NotifyAll();
  }
}

std::vector<CommitRequest> CommitPipeline::NextGroup() {
  std::vector<CommitRequest> requests;
  size_t bytes = 0;
  GroupRule rule(&requests);
  while (!queue_.empty() && requests.size() < limits::kCommitGroupRequests &&
         bytes < limits::kCommitGroupBytes && rule.MayJoin(queue_.front().write)) {
    bytes += queue_.front().write.bytes;
    requests.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  queued_bytes_ -= bytes;
  return requests;
}

void CommitPipeline::CommitGroup(std::vector<CommitRequest> requests) {
  const int64_t start = SteadyMicros();
  Group group;
  absl::Status status = targets_.before_group();
  for (CommitRequest& request : requests) {
    absl::Status admitted = status.ok() ? Admit(&request, &group) : status;
    if (!admitted.ok()) request.done(std::move(admitted));
  }
  if (group.members.empty()) return;
  status = ReserveNumbers(group.members.size());
  if (status.ok()) {
    group.commit_time = StampTime();
    status = FillBatch(&group);
    if (status.ok() && (!group.batch.empty() || group.sync)) {
      status = store_->Write(group.batch, group.sync);
    }
    if (status.ok()) Publish(group);
    MutexLock lock(&mu_);
    ++groups_ended_;
    progress_.NotifyAll();
  }
  group_latency_->Observe(SteadyMicros() - start);
  for (GroupMember& member : group.members) {
    if (status.ok()) {
      member.request.done(
          group.members[member.same_as.value_or(&member - group.members.data())].receipt);
    } else {
      member.request.done(status);
    }
  }
}

// The time of what is now under way, until groups_ended_ says that it is over.
int64_t CommitPipeline::StampTime() {
  MutexLock lock(&mu_);
  last_time_ = std::max(last_time_, clock_->NowMicros());
  ++groups_stamped_;
  return last_time_;
}

absl::StatusOr<WriteReceipt> CommitPipeline::CommitExclusive(
    absl::FunctionRef<absl::Status(const WriteReceipt&, KvBatch*)> work) {
  RETURN_IF_ERROR(ReserveNumbers(1));
  const WriteReceipt receipt{next_seq_++, StampTime(), 0};
  KvBatch batch;
  AddCommitTime(receipt.commit_seq, receipt.commit_time, &batch);
  const absl::Status status = work(receipt, &batch);
  if (status.ok()) {
    applied_time_.store(receipt.commit_time, std::memory_order_release);
    applied_seq_.store(receipt.commit_seq, std::memory_order_release);
    commits_->Add();
  }
  MutexLock lock(&mu_);
  ++groups_ended_;
  progress_.NotifyAll();
  if (!status.ok()) return status;
  return receipt;
}

// Takes the views as they are now; NOT_FOUND names one that is gone.
absl::Status CommitPipeline::Renew(EncodedWrite* write) const {
  auto catalog = targets_.catalog->Snapshot();
  for (std::shared_ptr<const View>& view : write->views) {
    std::shared_ptr<const View> now = catalog->FindViewById(view->schema.view_id);
    if (now == nullptr) {
      return NotFound(
          absl::StrCat("view ", view->schema.versioned_name(), " was deleted meanwhile"));
    }
    if (now == view) continue;
    for (PendingFact& fact : write->facts) {
      if (fact.view == view.get()) fact.view = now.get();
    }
    view = std::move(now);
  }
  return absl::OkStatus();
}

// Whether the request was committed before, or is by a member of this group: then there is nothing
// to write but to answer.
absl::StatusOr<bool> CommitPipeline::FindReplay(const CommitRequest& request, const Group& group,
                                                GroupMember* member) const {
  if (request.request_key.empty()) return false;
  ASSIGN_OR_RETURN(const std::optional<RequestRecord> known,
                   FindRequest(*store_, request.request_key));
  if (known.has_value()) {
    if (known->payload_hash != request.payload_hash) return ReusedId();
    member->receipt = {known->commit_seq, known->commit_time, known->rows};
    return true;
  }
  const auto first = group.request_ids.find(request.request_key);
  if (first == group.request_ids.end()) return false;
  if (group.members[first->second].request.payload_hash != request.payload_hash) return ReusedId();
  member->same_as = first->second;
  return true;
}

// Vectors that would pass their index's memory budget are refused before anything is stored.
absl::Status CommitPipeline::CheckVectorRoom(const EncodedWrite& write) const {
  for (const std::shared_ptr<const View>& view : write.views) {
    if (!targets_.collections->IsSearchable(view->schema.view_id)) continue;
    std::vector<std::string_view> keys;
    for (const PendingFact& fact : write.facts) {
      const bool is_row = fact.view == view.get() && fact.form == FactForm::kRow;
      // An entity's facts stand together.
      if (is_row && (keys.empty() || keys.back() != fact.identity.entity_key)) {
        keys.push_back(fact.identity.entity_key);
      }
    }
    if (!keys.empty()) {
      RETURN_IF_ERROR(targets_.collections->CheckRoom(view->schema.view_id, keys));
    }
  }
  return absl::OkStatus();
}

// Checks what can only be known now; moves the request into the group.
absl::Status CommitPipeline::Admit(CommitRequest* request, Group* group) {
  RETURN_IF_ERROR(request->call.Check());
  GroupMember member;
  ASSIGN_OR_RETURN(member.replay, FindReplay(*request, *group, &member));
  if (!member.replay) {
    RETURN_IF_ERROR(request->refusal);
    RETURN_IF_ERROR(Renew(&request->write));
    RETURN_IF_ERROR(CheckVectorRoom(request->write));
    RETURN_IF_ERROR(commit_facts_.Settle(&request->write));
    if (!request->request_key.empty()) {
      group->request_ids.try_emplace(request->request_key, group->members.size());
    }
  }
  group->sync = group->sync || request->sync;
  member.request = std::move(*request);
  group->members.push_back(std::move(member));
  return absl::OkStatus();
}

absl::Status CommitPipeline::ReserveNumbers(size_t count) {
  if (next_seq_ + count - 1 <= reserved_) return absl::OkStatus();
  uint64_t upto = next_seq_ + count - 1 + limits::kCommitSeqBlock;
  RETURN_IF_ERROR(ReserveCommits(store_, upto));
  reserved_ = upto;
  return absl::OkStatus();
}

absl::Status CommitPipeline::FillBatch(Group* group) {
  for (GroupMember& member : group->members) {
    if (member.replay) continue;
    const uint64_t seq = next_seq_++;
    group->last_seq = seq;
    const CommitRequest& request = member.request;
    member.receipt = {seq, group->commit_time, request.write.facts.size()};
    RETURN_IF_ERROR(commit_facts_.Add(request.write, seq, &group->batch, &group->changes));
  }
  if (group->last_seq == 0) return absl::OkStatus();  // only replays
  for (const auto& [key, change] : group->changes) {
    group->batch.Put(Family::kLatest, LatestKey(key.first, key.second),
                     EncodeLatest(change.latest));
  }
  AddCommitTime(group->last_seq, group->commit_time, &group->batch);
  RememberRequests(group);
  return absl::OkStatus();
}

void CommitPipeline::RememberRequests(Group* group) {
  for (const GroupMember& member : group->members) {
    if (member.replay || member.request.request_key.empty()) continue;
    const WriteReceipt& receipt = member.receipt;
    AddRequest(member.request.request_key,
               {member.request.payload_hash, receipt.commit_seq, receipt.commit_time, receipt.rows},
               &group->batch);
    remembered_.emplace_back(receipt.commit_seq, member.request.request_key);
  }
  while (remembered_.size() > limits::kRequestIdsRemembered) {
    ForgetRequest(remembered_.front().second, remembered_.front().first, &group->batch);
    remembered_.pop_front();
  }
}

void CommitPipeline::Publish(const Group& group) {
  if (group.last_seq == 0) return;
  for (const auto& [key, change] : group.changes) {
    const Latest& latest = change.latest;
    std::string row;
    if (latest.state == Latest::State::kRow) row = WithoutVectors(change.view->layout, latest.row);
    const OnlineSlot slot{key.first,         latest.state,       latest.event_time,
                          latest.commit_seq, latest.changed_seq, row};
    targets_.online->Set(change.view->schema.entity_id, key.second, slot);
    targets_.field_indexes->Apply(*change.view, key.second, slot);
    targets_.collections->Apply(*change.view, key.second, latest);
  }
  ApplyFacts(group);
  applied_time_.store(group.commit_time, std::memory_order_release);
  applied_seq_.store(group.last_seq, std::memory_order_release);
  groups_->Add();
  for (const GroupMember& member : group.members) {
    if (member.replay) continue;
    commits_->Add();
    facts_->Add(member.receipt.rows);
  }
}

// Hands the facts of sources to the windows, commit after commit, and counts them by view.
void CommitPipeline::ApplyFacts(const Group& group) {
  absl::flat_hash_map<ViewId, uint64_t> counts;
  std::vector<FactChange> changes;
  for (const GroupMember& member : group.members) {
    if (member.replay) continue;
    changes.clear();
    const View* view = nullptr;
    bool is_source = false;
    uint64_t* count = nullptr;
    for (const PendingFact& fact : member.request.write.facts) {
      if (fact.view != view) {
        view = fact.view;
        is_source = targets_.events->IsSource(view->schema.view_id);
        count = &counts[view->schema.view_id];
      }
      ++*count;
      if (is_source) {
        changes.push_back({view->schema.view_id, &fact.identity, fact.form, fact.row});
      }
    }
    targets_.events->Apply(member.receipt.commit_seq, group.commit_time, changes);
  }
  MutexLock lock(&mu_);
  for (const auto& [view_id, count] : counts) facts_committed_[view_id] += count;
}

uint64_t CommitPipeline::FactsCommitted(ViewId view_id) const {
  MutexLock lock(&mu_);
  const auto found = facts_committed_.find(view_id);
  return found == facts_committed_.end() ? 0 : found->second;
}

}  // namespace fletch
