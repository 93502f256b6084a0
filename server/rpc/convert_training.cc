// SPDX-License-Identifier: Apache-2.0
// Training sets.
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "server/engine/proto_column.h"
#include "server/rpc/convert.h"
#include "server/rpc/convert_common.h"

namespace fletch {
namespace {

template <class Request>
absl::Status CheckNamedSet(const Request& request) {
  RETURN_IF_ERROR(CheckGiven(request.project(), "project"));
  return CheckGiven(request.name(), "name");
}

void FillColumns(std::vector<NamedColumn>&& columns,
                 google::protobuf::Map<std::string, v1::Column>* out) {
  for (NamedColumn& named : columns) ToProto(std::move(named.column), &(*out)[named.name]);
}

}  // namespace

absl::Status CheckRequest(const v1::GetTrainingSetRequest& request) {
  return CheckNamedSet(request);
}

absl::Status CheckRequest(const v1::VerifyTrainingSetRequest& request) {
  return CheckNamedSet(request);
}

absl::Status CheckRequest(const v1::DeleteTrainingSetRequest& request) {
  return CheckNamedSet(request);
}

absl::Status CheckRequest(const v1::ListTrainingSetsRequest& request) {
  RETURN_IF_ERROR(CheckGiven(request.project(), "project"));
  return CheckAtMost(request.page_size(), limits::kMaxPageSize, "max_page_size", "page_size");
}

void FillAnswer(TrainingSetBatch&& batch, v1::GetTrainingSetResponse* out) {
  *out->mutable_training_set() = std::move(batch.info);
  if (batch.spine.row_count == 0) return;  // described only
  v1::SpineBatch* spine = out->mutable_spine();
  spine->set_row_count(batch.spine.row_count);
  FillColumns(std::move(batch.spine.keys), spine->mutable_keys());
  spine->mutable_timestamps()->mutable_micros()->Add(batch.spine.timestamps.begin(),
                                                     batch.spine.timestamps.end());
  FillColumns(std::move(batch.spine.request_context), spine->mutable_request_context());
  for (Column& column : batch.columns) ToProto(std::move(column), out->add_columns());
}

}  // namespace fletch
