// SPDX-License-Identifier: Apache-2.0
// How training sets are read again, checked and listed.
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/training_join.h"
#include "server/engine/training_set.h"
#include "server/engine/training_set_access.h"
#include "server/engine/training_set_digest.h"

namespace fletch {
namespace {

constexpr size_t kDefaultSetsPerPage = 100;

// A set with what reading it needs.
struct OpenSet {
  TrainingSetRecordPtr record;
  std::shared_ptr<const FeaturePlan> plan;  // null: `readable` says why
  absl::Status readable;
};

OpenSet OpenRecord(const TrainingSetAccess& access, TrainingSetRecordPtr record) {
  OpenSet set{std::move(record), nullptr, absl::OkStatus()};
  auto plan = PlanOf(*access.catalog->Snapshot(), *set.record);
  if (!plan.ok()) {
    set.readable = plan.status();
    return set;
  }
  set.plan = *std::move(plan);
  set.readable =
      CheckReadable(*access.sources.store, *access.sources.horizons, *set.plan, *set.record);
  return set;
}

v1::TrainingSet Describe(const OpenSet& set) {
  return DescribeSet(*set.record, set.plan.get(), set.readable);
}

// The set as it is now: what was read of it before is right if this is OK.
absl::Status CheckStillReadable(const TrainingSetAccess& access, const OpenSet& set) {
  ASSIGN_OR_RETURN(const TrainingSetRecordPtr now,
                   access.sets->Find(set.record->project(), set.record->name()));
  if (now->id() != set.record->id()) {
    return NotFound(StrCat("training set \"", now->name(), "\" was deleted meanwhile"), "name");
  }
  return CheckReadable(*access.sources.store, *access.sources.horizons, *set.plan, *now);
}

struct JoinedBatch {
  SpineBatch spine;
  std::vector<Column> columns;
};

absl::StatusOr<JoinedBatch> JoinStored(const TrainingSetAccess& access, const OpenSet& set,
                                       uint64_t batch, bool event_times, const Call& call) {
  JoinedBatch out;
  ASSIGN_OR_RETURN(out.spine, access.sets->ReadBatch(*set.record, batch));
  SpineJoinRequest request{.plan = set.plan,
                           .batches = {out.spine},
                           .known_at = {},
                           .event_times = event_times,
                           .mark_out_of_range = set.record->mark_out_of_range(),
                           .rows_before = 0};
  ASSIGN_OR_RETURN(request.known_at,
                   CommitsOf(*access.sources.store, *set.record, out.spine.timestamps));
  request.known_at_each_row = set.record->known_at_mode() == v1::AS_SERVED;
  ASSIGN_OR_RETURN(const auto joined,
                   JoinSpine(access.sources, access.workers, std::move(request), call));
  ASSIGN_OR_RETURN(out.columns, joined->Batch(0, call));
  return out;
}

// What erasure or retention did meanwhile explains any other error.
absl::StatusOr<JoinedBatch> ReadBatch(const TrainingSetAccess& access, const OpenSet& set,
                                      uint64_t batch, bool event_times, const Call& call) {
  absl::StatusOr<JoinedBatch> joined = JoinStored(access, set, batch, event_times, call);
  RETURN_IF_ERROR(CheckStillReadable(access, set));
  return joined;
}

absl::StatusOr<std::string> DigestNow(const TrainingSetAccess& access, const OpenSet& set,
                                      const Call& call) {
  RETURN_IF_ERROR(set.readable);
  TrainingSetDigest digest(*set.plan);
  for (uint64_t i = 0; i < set.record->batch_count(); ++i) {
    RETURN_IF_ERROR(call.Check());
    ASSIGN_OR_RETURN(const JoinedBatch batch,
                     ReadBatch(access, set, i, /*event_times=*/true, call));
    digest.Add(batch.spine, batch.columns);
  }
  return digest.Finish();
}

}  // namespace

absl::StatusOr<TrainingSetBatch> ReadTrainingSet(const TrainingSetAccess& access,
                                                 const v1::GetTrainingSetRequest& request,
                                                 const Call& call) {
  RETURN_IF_ERROR(call.Check());
  RETURN_IF_ERROR(access.catalog->Snapshot()->CheckProject(request.project()));
  ASSIGN_OR_RETURN(TrainingSetRecordPtr record,
                   access.sets->Find(request.project(), request.name()));
  const OpenSet set = OpenRecord(access, std::move(record));
  TrainingSetBatch answer;
  answer.info = Describe(set);
  answer.plan = set.plan;
  if (request.describe_only()) return answer;
  if (request.batch() >= set.record->batch_count()) {
    return OutOfRange(StrCat("batch ", request.batch(), " does not exist; the training set has ",
                             set.record->batch_count(), ", from 0"),
                      "batch");
  }
  RETURN_IF_ERROR(set.readable);
  ASSIGN_OR_RETURN(JoinedBatch batch, ReadBatch(access, set, request.batch(),
                                                request.include_event_timestamps(), call));
  answer.spine = std::move(batch.spine);
  answer.columns = std::move(batch.columns);
  return answer;
}

absl::StatusOr<v1::ListTrainingSetsResponse> ListTrainingSets(
    const TrainingSetAccess& access, const v1::ListTrainingSetsRequest& request) {
  RETURN_IF_ERROR(access.catalog->Snapshot()->CheckProject(request.project()));
  if (request.page_size() > limits::kMaxPageSize) {
    return OutOfRange(StrCat("is ", request.page_size(), "; at most ", limits::kMaxPageSize,
                             " are allowed (max_page_size)"),
                      "page_size");
  }
  const size_t limit = request.page_size() == 0 ? kDefaultSetsPerPage : request.page_size();
  auto records = access.sets->List(request.project(), request.page_token(), limit + 1);
  v1::ListTrainingSetsResponse response;
  if (records.size() > limit) {
    records.pop_back();
    response.set_next_page_token(records.back()->name());
  }
  for (TrainingSetRecordPtr& record : records) {
    *response.add_training_sets() = Describe(OpenRecord(access, std::move(record)));
  }
  return response;
}

absl::StatusOr<v1::VerifyTrainingSetResponse> VerifyTrainingSet(
    const TrainingSetAccess& access, const v1::VerifyTrainingSetRequest& request,
    const Call& call) {
  RETURN_IF_ERROR(access.catalog->Snapshot()->CheckProject(request.project()));
  ASSIGN_OR_RETURN(TrainingSetRecordPtr record,
                   access.sets->Find(request.project(), request.name()));
  const OpenSet set = OpenRecord(access, std::move(record));
  v1::VerifyTrainingSetResponse response;
  *response.mutable_training_set() = Describe(set);
  const absl::StatusOr<std::string> digest = DigestNow(access, set, call);
  if (digest.ok()) {
    response.set_same(*digest == set.record->digest());
    if (!response.same()) {
      response.set_reason(
          "the rows that are read now have another digest than those it was made with: stored "
          "facts or spine rows are not what they were");
    }
    return response;
  }
  const absl::StatusCode code = digest.status().code();
  if (code != absl::StatusCode::kFailedPrecondition && code != absl::StatusCode::kDataLoss) {
    return digest.status();
  }
  response.set_reason(std::string(FromAbsl(digest.status().message())));
  return response;
}

}  // namespace fletch
