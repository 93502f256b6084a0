// SPDX-License-Identifier: Apache-2.0
#include "server/engine/commit_pipeline.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/status.h"
#include "storage/row_codec.h"

namespace fletch {
namespace {

constexpr int64_t kEndOfTime = std::numeric_limits<int64_t>::max();
constexpr uint64_t kNewest = std::numeric_limits<uint64_t>::max();
constexpr int64_t kMaxWaitMs = 1000;     // for min_seq without a deadline
constexpr int64_t kAnswerMarginMs = 20;  // left of the deadline to say why

bool IsRetraction(const CommitRequest& request) {
  return !request.write.facts.empty() && request.write.facts[0].form == FactForm::kRetraction;
}

absl::Status ReusedId() {
  return MakeError(absl::StatusCode::kInvalidArgument, "REQUEST_ID_REUSED",
                   "this request_id was used with another payload; use a new id for new rows",
                   "request_id");
}

}  // namespace

// One group on its way: requests admitted, their numbers, what changes.
struct CommitPipeline::Group {
  struct Member {
    CommitRequest request;
    WriteReceipt receipt;
    bool replay = false;            // its request id is known: nothing to write
    std::optional<size_t> same_as;  // the member of this group with the same request id
  };
  struct Change {
    const View* view;
    Latest latest;
  };
  int64_t commit_time = 0;
  uint64_t last_seq = 0;
  bool sync = false;
  std::vector<Member> members;
  absl::flat_hash_map<std::string, size_t> request_ids;  // -> the first member with it
  absl::flat_hash_map<std::pair<ViewId, std::string>, Change> changes;
  KvBatch batch;
};

CommitPipeline::CommitPipeline(KvStore* store, const Catalog* catalog, OnlineTable* online,
                               const Clock* clock, MetricRegistry* metrics, CommitState state,
                               ApplyLatest apply_latest)
    : store_(store),
      catalog_(catalog),
      online_(online),
      clock_(clock),
      apply_latest_(std::move(apply_latest)),
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
  // A retraction asks the stored facts, so it goes alone.
  while (!queue_.empty() && requests.size() < limits::kCommitGroupRequests &&
         bytes < limits::kCommitGroupBytes &&
         (requests.empty() || (!IsRetraction(requests[0]) && !IsRetraction(queue_.front())))) {
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
  for (CommitRequest& request : requests) {
    absl::Status admitted = Admit(&request, &group);
    if (!admitted.ok()) request.done(std::move(admitted));
  }
  if (group.members.empty()) return;
  absl::Status status = ReserveNumbers(group.members.size());
  if (status.ok()) {
    {
      MutexLock lock(&mu_);
      last_time_ = std::max(last_time_, clock_->NowMicros());
      group.commit_time = last_time_;
      ++groups_stamped_;
    }
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
  for (Group::Member& member : group.members) {
    if (status.ok()) {
      member.request.done(
          group.members[member.same_as.value_or(&member - group.members.data())].receipt);
    } else {
      member.request.done(status);
    }
  }
}

// Checks what can only be known now; moves the request into the group.
absl::Status CommitPipeline::Admit(CommitRequest* request, Group* group) {
  RETURN_IF_ERROR(request->call.Check());
  auto catalog = catalog_->Snapshot();
  for (const auto& view : request->write.views) {
    if (catalog->FindViewById(view->schema.view_id) == nullptr) {
      return NotFound(
          absl::StrCat("view ", view->schema.versioned_name(), " was deleted meanwhile"));
    }
  }
  if (IsRetraction(*request)) RETURN_IF_ERROR(CheckRetraction(*request));
  Group::Member member;
  if (!request->request_key.empty()) {
    ASSIGN_OR_RETURN(std::optional<RequestRecord> known,
                     FindRequest(*store_, request->request_key));
    if (known.has_value()) {
      if (known->payload_hash != request->payload_hash) {
        return ReusedId();
      }
      member.replay = true;
      member.receipt = {known->commit_seq, known->commit_time, known->rows};
    } else if (auto [first, added] =
                   group->request_ids.try_emplace(request->request_key, group->members.size());
               !added) {
      if (group->members[first->second].request.payload_hash != request->payload_hash)
        return ReusedId();
      member.replay = true;
      member.same_as = first->second;
    }
  }
  group->sync = group->sync || request->sync;
  member.request = std::move(*request);
  group->members.push_back(std::move(member));
  return absl::OkStatus();
}

absl::Status CommitPipeline::CheckRetraction(const CommitRequest& request) {
  for (const PendingFact& fact : request.write.facts) {
    HistoryQuery query{.entity_key = fact.identity.entity_key,
                       .start = fact.identity.event_time,
                       .end = fact.identity.event_time,
                       .known_at = kNewest,
                       .all_forms = true};
    bool found = false;
    auto token = ReadHistory(*store_, fact.view->schema, query, "",
                             std::numeric_limits<size_t>::max(), [&](const FactRef& stored) {
                               found =
                                   found || (stored.tombstone_identity == fact.identity.tombstone &&
                                             stored.event_key == fact.identity.event_key);
                               return absl::OkStatus();
                             });
    RETURN_IF_ERROR(token.status());
    if (found) continue;
    return NotFound(absl::StrCat("row ", fact.request_row, ": nothing was written to view ",
                                 fact.view->schema.versioned_name(),
                                 " with this key, event timestamp and event key, so there is "
                                 "nothing to retract"),
                    "keys");
  }
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
  for (Group::Member& member : group->members) {
    if (member.replay) continue;
    const uint64_t seq = next_seq_++;
    group->last_seq = seq;
    const CommitRequest& request = member.request;
    member.receipt = {seq, group->commit_time, request.write.facts.size()};
    RETURN_IF_ERROR(IsRetraction(request) ? AddRetraction(request, seq, group)
                                          : AddFacts(request, seq, group));
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
  for (const Group::Member& member : group->members) {
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

absl::StatusOr<Latest> CommitPipeline::CurrentLatest(const View& view,
                                                     const std::string& entity_key) {
  const ViewSchema& schema = view.schema;
  {
    OnlineTable::Reader reader(online_);
    const OnlineRecord* record = reader.Find(schema.entity_id, entity_key);
    OnlineSlot slot;
    if (record != nullptr && record->Find(schema.view_id, &slot)) {
      return Latest{slot.state, slot.event_time, slot.commit_seq, slot.changed_seq, {}};
    }
    if (online_->complete()) return Latest{};
  }
  ASSIGN_OR_RETURN(std::optional<std::string> stored,
                   store_->Get(Family::kLatest, LatestKey(schema.view_id, entity_key)));
  if (!stored.has_value()) return Latest{};
  return DecodeLatest(*stored);
}

absl::Status CommitPipeline::AddFacts(const CommitRequest& request, uint64_t seq, Group* group) {
  for (const PendingFact& pending : request.write.facts) {
    AddFact(Fact{{pending.view->schema.view_id, pending.identity, seq}, pending.form, pending.row},
            &group->batch);
    const auto key = std::make_pair(pending.view->schema.view_id, pending.identity.entity_key);
    auto found = group->changes.find(key);
    if (found == group->changes.end()) {
      ASSIGN_OR_RETURN(Latest current, CurrentLatest(*pending.view, pending.identity.entity_key));
      if (current.state != Latest::State::kAbsent &&
          current.event_time > pending.identity.event_time) {
        continue;  // a late fact
      }
      found = group->changes.try_emplace(key, Group::Change{pending.view, {}}).first;
    } else if (found->second.latest.event_time > pending.identity.event_time) {
      continue;
    }
    found->second.latest =
        Latest{pending.form == FactForm::kRow ? Latest::State::kRow : Latest::State::kTombstone,
               pending.identity.event_time, seq, seq, pending.row};
  }
  return absl::OkStatus();
}

// The newest that is left of each entity becomes its latest. Alone in its group, so the store holds
// all facts.
absl::Status CommitPipeline::AddRetraction(const CommitRequest& request, uint64_t seq,
                                           Group* group) {
  FactReader reader(store_);
  const auto& facts = request.write.facts;
  for (size_t begin = 0, end; begin < facts.size(); begin = end) {
    std::vector<Identity> withdrawn;
    for (end = begin;
         end < facts.size() && facts[end].identity.entity_key == facts[begin].identity.entity_key;
         ++end) {
      AddFact(
          Fact{{facts[end].view->schema.view_id, facts[end].identity, seq}, facts[end].form, {}},
          &group->batch);
      withdrawn.push_back(facts[end].identity);
    }
    const View& view = *facts[begin].view;
    const std::string& entity_key = facts[begin].identity.entity_key;
    ASSIGN_OR_RETURN(Latest current, CurrentLatest(view, entity_key));
    ASSIGN_OR_RETURN(Visible newest,
                     reader.FindVisible(view.schema, entity_key, kEndOfTime, kNewest, withdrawn));
    Latest latest;
    latest.changed_seq = seq;
    if (newest.has_value()) {
      if (current.state != Latest::State::kAbsent && newest->commit_seq == current.commit_seq &&
          newest->event_time == current.event_time && newest->form != FactForm::kRow) {
        continue;  // the same tombstone goes on
      }
      latest.state =
          newest->form == FactForm::kRow ? Latest::State::kRow : Latest::State::kTombstone;
      latest.event_time = newest->event_time;
      latest.commit_seq = newest->commit_seq;
      latest.row = std::string(newest->row);
    }
    group->changes.try_emplace({view.schema.view_id, entity_key},
                               Group::Change{&view, std::move(latest)});
  }
  return absl::OkStatus();
}

void CommitPipeline::Publish(const Group& group) {
  if (group.last_seq == 0) return;
  for (const auto& [key, change] : group.changes) {
    const Latest& latest = change.latest;
    std::string row;
    if (latest.state == Latest::State::kRow) row = WithoutVectors(change.view->layout, latest.row);
    online_->Set(change.view->schema.entity_id, key.second,
                 OnlineSlot{key.first, latest.state, latest.event_time, latest.commit_seq,
                            latest.changed_seq, row});
    apply_latest_(*change.view, key.second, latest);
  }
  applied_time_.store(group.commit_time, std::memory_order_release);
  applied_seq_.store(group.last_seq, std::memory_order_release);
  groups_->Add();
  for (const Group::Member& member : group.members) {
    if (member.replay) continue;
    commits_->Add();
    facts_->Add(member.receipt.rows);
  }
}

void CommitPipeline::SettleTime(int64_t time) {
  MutexLock lock(&mu_);
  const uint64_t until = last_time_ <= time ? groups_stamped_ : groups_ended_;
  last_time_ = std::max(last_time_, time + 1);
  while (groups_ended_ < until) progress_.Wait(&mu_);
}

absl::StatusOr<uint64_t> CommitPipeline::Resolve(const KnownAt& known_at) {
  if (known_at.by_time) {
    if (known_at.time > clock_->NowMicros()) {
      return FailedPrecondition(
          "NOT_YET_KNOWN", "known_at lies after the daemon's clock; ask for a time that has come",
          "known_at");
    }
    SettleTime(known_at.time);
    return CommitAtTime(*store_, known_at.time);
  }
  const uint64_t seq = known_at.commit_seq;
  for (const auto& [first, last] : lost_) {
    if (seq < first || seq > last) continue;
    return MakeError(
        absl::StatusCode::kDataLoss, "LOST_COMMIT",
        absl::StrCat("known_at ", seq, " lies in commits ", first, " to ", last,
                     ", which were lost when the machine or the daemon went down; ask at ",
                     first - 1, " or at a later commit"),
        "known_at");
  }
  if (seq > applied_seq()) {
    return FailedPrecondition(
        "NOT_YET_KNOWN",
        absl::StrCat("known_at ", seq, " is not reached; the newest commit is ", applied_seq()),
        "known_at");
  }
  return seq;
}

absl::StatusOr<std::vector<uint64_t>> CommitPipeline::ResolveTimes(
    absl::Span<const int64_t> times) {
  std::vector<uint64_t> seqs(times.size());
  if (times.empty()) return seqs;
  SettleTime(*std::max_element(times.begin(), times.end()));
  for (size_t i = 0; i < times.size(); ++i) {
    if (i > 0 && times[i] == times[i - 1]) {
      seqs[i] = seqs[i - 1];
      continue;
    }
    ASSIGN_OR_RETURN(seqs[i], CommitAtTime(*store_, times[i]));
  }
  return seqs;
}

absl::Status CommitPipeline::WaitForSeq(uint64_t seq, const Call& call) {
  const int64_t until =
      SteadyMicros() + 1000 * std::min(kMaxWaitMs, call.RemainingMs() - kAnswerMarginMs);
  MutexLock lock(&mu_);
  while (applied_seq() < seq) {
    RETURN_IF_ERROR(call.Check());
    const int64_t left_ms = (until - SteadyMicros()) / 1000;
    if (left_ms <= 0) {
      return FailedPrecondition(
          "NOT_CAUGHT_UP",
          absl::StrCat("commit ", seq, " is not readable yet; the newest is ", applied_seq()),
          "min_seq");
    }
    progress_.WaitForMs(&mu_, left_ms);
  }
  return absl::OkStatus();
}

}  // namespace fletch
