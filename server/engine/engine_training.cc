// SPDX-License-Identifier: Apache-2.0
// What is kept of training: sets, lineage, the audit of parity.
#include <utility>

#include "base/status.h"
#include "server/engine/engine_parts.h"
#include "server/engine/parity_audit.h"
#include "server/engine/training_set_access.h"

namespace fletch {

TrainingSetAccess Engine::Parts::SetAccess() const {
  return {training_sets.get(), catalog.get(), Sources(), join_workers.get(), pipeline.get(), clock};
}

absl::StatusOr<std::unique_ptr<TrainingSetWriter>> Engine::CreateTrainingSet(
    const std::string& name, const std::string& description, const HistoricalHeader& header,
    const Call& call) {
  HistoricalHeader whole = header;
  whole.event_times = true;  // they are part of the digest
  auto read = BeginHistorical(whole, call);
  if (!read.ok()) return PrefixField(read.status(), "read");
  return BeginTrainingSet(parts_->SetAccess(), name, description, whole, *std::move(read));
}

absl::StatusOr<TrainingSetBatch> Engine::GetTrainingSet(const v1::GetTrainingSetRequest& request,
                                                        const Call& call) {
  return ReadTrainingSet(parts_->SetAccess(), request, call);
}

absl::StatusOr<v1::ListTrainingSetsResponse> Engine::ListTrainingSets(
    const v1::ListTrainingSetsRequest& request) const {
  return fletch::ListTrainingSets(parts_->SetAccess(), request);
}

absl::StatusOr<v1::VerifyTrainingSetResponse> Engine::VerifyTrainingSet(
    const v1::VerifyTrainingSetRequest& request, const Call& call) {
  return fletch::VerifyTrainingSet(parts_->SetAccess(), request, call);
}

absl::Status Engine::DeleteTrainingSet(const v1::DeleteTrainingSetRequest& request) {
  RETURN_IF_ERROR(parts_->catalog->Snapshot()->CheckProject(request.project()));
  return parts_->training_sets->Delete(request.project(), request.name());
}

absl::StatusOr<v1::GetLineageResponse> Engine::GetLineage(
    const v1::GetLineageRequest& request) const {
  return LineageWithTrainingSets(parts_->SetAccess(), request);
}

absl::StatusOr<v1::AuditParityResponse> Engine::AuditParity(const v1::AuditParityRequest& request,
                                                            const Call& call) {
  const auto catalog = parts_->catalog->Snapshot();
  const ParityAudit audit{*catalog, parts_->Sources(), *parts_->parity_checker, *parts_->clock,
                          [this](const OnlineRequest& question, const Call& asker) {
                            return GetOnline(question, asker);
                          }};
  return audit.Run(request, call);
}

}  // namespace fletch
