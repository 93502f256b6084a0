// SPDX-License-Identifier: Apache-2.0
// How a training set is made.
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/training_set.h"
#include "server/engine/training_set_access.h"
#include "server/engine/training_set_digest.h"
#include "storage/row_codec.h"

namespace fletch {
namespace {

absl::Status CheckSetName(std::string_view name) {
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  bool ok = !name.empty() && name.size() <= limits::kMaxNameBytes && letter(name[0]);
  for (const char c : name) {
    ok = ok && (letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-');
  }
  if (ok) return absl::OkStatus();
  return InvalidArgument(
      StrCat("\"", name.substr(0, limits::kMaxNameBytes),
             "\" is no name of a training set; write a lower-case letter, then at most ",
             limits::kMaxNameBytes - 1, " of a-z, 0-9, _ and -"),
      "name");
}

absl::Status CheckSetDescription(std::string_view description) {
  if (description.size() <= limits::kMaxDescriptionBytes) return absl::OkStatus();
  return OutOfRange(StrCat("has ", description.size(), " bytes; at most ",
                           limits::kMaxDescriptionBytes, " are allowed"),
                    "description");
}

v1::KnownAtMode ToProtoMode(KnownAtMode mode) {
  switch (mode) {
    case KnownAtMode::kNewest:
      return v1::NEWEST;
    case KnownAtMode::kFixed:
      return v1::FIXED;
    case KnownAtMode::kAsServed:
      return v1::AS_SERVED;
  }
  return v1::KNOWN_AT_MODE_UNSPECIFIED;
}

// Keys and context in the types that are read: what is stored and digested does not depend on
// which of the accepted ones a client sent.
void CoerceSpine(const FeaturePlan& plan, SpineBatch* batch) {
  for (NamedColumn& key : batch->keys) {
    const auto slot = plan.key_slot_by_name.find(key.name);
    if (slot == plan.key_slot_by_name.end()) continue;  // refused by the join
    CoerceColumn({.type = plan.key_fields[slot->second].type}, &key.column);
  }
  for (NamedColumn& column : batch->request_context) {
    for (const FieldSchema& field : plan.context) {
      if (field.name == column.name) CoerceColumn(field.type, &column.column);
    }
  }
}

class Writer : public TrainingSetWriter {
 public:
  Writer(const TrainingSetAccess& access, std::shared_ptr<const FeaturePlan> plan,
         std::unique_ptr<HistoricalRead> read, AnsweredRows answered,
         std::unique_ptr<TrainingSetStore::Draft> draft)
      : access_(access),
        plan_(std::move(plan)),
        read_(std::move(read)),
        answered_(std::move(answered)),
        draft_(std::move(draft)),
        digest_(*plan_) {}

  absl::StatusOr<uint64_t> Add(SpineBatch batch, const Call& call) override {
    RETURN_IF_ERROR(failure_);
    failure_ = AddBatch(std::move(batch), call);
    RETURN_IF_ERROR(failure_);
    return row_count_;
  }

  absl::StatusOr<v1::TrainingSet> Finish(const Call& call) override {
    RETURN_IF_ERROR(failure_);
    RETURN_IF_ERROR(call.Check());
    if (row_count_ == 0) {
      return InvalidArgument("the training set has no rows; send at least one spine batch first",
                             "spine");
    }
    v1::TrainingSetRecord record = std::move(answered_).Finish();
    record.set_row_count(row_count_);
    record.set_read_seq(read_->read_seq());
    record.set_digest(digest_.Finish());
    record.set_created_micros(access_.clock->NowMicros());
    failure_ = FailedPrecondition("TRAINING_SET_FINISHED", "the training set is finished");
    // Beside no change of the catalog, so that no view goes while the set that reads it comes.
    absl::StatusOr<v1::TrainingSet> answer;
    access_.pipeline->RunExclusive([&] { answer = Store(std::move(record)); });
    return answer;
  }

 private:
  absl::Status AddBatch(SpineBatch batch, const Call& call) {
    CoerceSpine(*plan_, &batch);
    std::vector<SpineBatch> one;
    one.push_back(batch);
    ASSIGN_OR_RETURN(const auto joined, read_->Join(std::move(one), call));
    ASSIGN_OR_RETURN(const std::vector<Column> columns, joined->Batch(0, call));
    RETURN_IF_ERROR(draft_->Append(batch));
    digest_.Add(batch, columns);
    answered_.Add(batch.timestamps);
    row_count_ += batch.row_count;
    return absl::OkStatus();
  }

  absl::StatusOr<v1::TrainingSet> Store(v1::TrainingSetRecord record) {
    ASSIGN_OR_RETURN(const auto plan, PlanOf(*access_.catalog->Snapshot(), record));
    RETURN_IF_ERROR(
        CheckReadable(*access_.sources.store, *access_.sources.horizons, *plan, record));
    ASSIGN_OR_RETURN(const TrainingSetRecordPtr stored, draft_->Finish(std::move(record)));
    return DescribeSet(*stored, plan.get(), absl::OkStatus());
  }

  const TrainingSetAccess access_;
  const std::shared_ptr<const FeaturePlan> plan_;
  const std::unique_ptr<HistoricalRead> read_;
  AnsweredRows answered_;
  const std::unique_ptr<TrainingSetStore::Draft> draft_;
  TrainingSetDigest digest_;
  uint64_t row_count_ = 0;
  absl::Status failure_;  // not OK: a batch is missing, or it is finished
};

}  // namespace

absl::StatusOr<std::unique_ptr<TrainingSetWriter>> BeginTrainingSet(
    const TrainingSetAccess& access, const std::string& name, const std::string& description,
    const HistoricalHeader& header, std::unique_ptr<HistoricalRead> read) {
  RETURN_IF_ERROR(CheckSetName(name));
  RETURN_IF_ERROR(CheckSetDescription(description));
  ASSIGN_OR_RETURN(auto draft, access.sets->Begin(header.project, name));
  const auto catalog = access.catalog->Snapshot();
  ASSIGN_OR_RETURN(const Service pinned,
                   PinSelection(*catalog, header.project, header.selection, read->plan()));
  v1::TrainingSetRecord record = DescribeReads(pinned, read->plan());
  record.set_project(header.project);
  record.set_name(name);
  record.set_description(description);
  record.set_feature_service(header.selection.feature_service);
  record.set_known_at_mode(ToProtoMode(header.mode));
  record.set_read_seq(read->read_seq());
  record.set_mark_out_of_range(header.mark_out_of_range);
  ASSIGN_OR_RETURN(const auto plan, PlanOf(*catalog, record));
  if (!SameReads(*plan, read->plan())) {
    return MakeError(absl::StatusCode::kAborted, "CATALOG_CHANGED",
                     "the catalog changed while the training set was begun; begin again");
  }
  ASSIGN_OR_RETURN(AnsweredRows answered,
                   AnsweredRows::Begin(*access.sources.store, *access.sources.horizons, *plan,
                                       std::move(record)));
  return std::make_unique<Writer>(access, plan, std::move(read), std::move(answered),
                                  std::move(draft));
}

}  // namespace fletch
