// SPDX-License-Identifier: Apache-2.0
#include "base/limits.h"
#include "base/status.h"
#include "server/rpc/convert.h"
#include "server/rpc/convert_common.h"

namespace fletch {

absl::Status CheckRequest(const v1::CompactRequest& request) { return absl::OkStatus(); }

absl::Status CheckRequest(const v1::ListErasuresRequest& request) {
  return CheckAtMost(request.page_size(), limits::kMaxPageSize, "max_page_size", "page_size");
}

absl::Status CheckRequest(const v1::AuditParityRequest& request) {
  RETURN_IF_ERROR(CheckGiven(request.project(), "project"));
  if (!request.feature_service().empty() && request.features_size() > 0) {
    return InvalidArgument(
        "feature_service and features are both given; give one of them, or neither for every view",
        "features");
  }
  RETURN_IF_ERROR(CheckAtMost(request.features_size(), limits::kMaxFeaturesPerRequest,
                              "max_features_per_request", "features"));
  return CheckAtMost(request.entities(), limits::kMaxParityEntities, "max_parity_entities",
                     "entities");
}

absl::StatusOr<EraseRequest> ToEngine(const v1::EraseRequest& request) {
  EraseRequest out;
  RETURN_IF_ERROR(CheckGiven(request.project(), "project"));
  RETURN_IF_ERROR(CheckGiven(request.entity(), "entity"));
  RETURN_IF_ERROR(
      CheckCount(request.row_count(), limits::kMaxEraseKeys, "max_erase_keys", "row_count"));
  out.project = request.project();
  out.entity = request.entity();
  out.row_count = request.row_count();
  ASSIGN_OR_RETURN(out.keys, ToColumns(request.keys(), out.row_count, "keys"));
  return out;
}

}  // namespace fletch
