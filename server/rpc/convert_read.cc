// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/proto_column.h"
#include "server/rpc/convert.h"
#include "server/rpc/convert_common.h"

namespace fletch {
namespace {

absl::Status CheckKind(v1::ObjectKind kind, bool optional) {
  if (kind == v1::OBJECT_KIND_UNSPECIFIED) {
    return optional ? absl::OkStatus() : InvalidArgument("kind is required", "kind");
  }
  if (v1::ObjectKind_IsValid(kind)) return absl::OkStatus();
  return InvalidArgument(StrCat("kind ", static_cast<int>(kind), " is unknown"), "kind");
}

template <class Request>
absl::Status CheckNamed(const Request& request) {
  RETURN_IF_ERROR(CheckGiven(request.project(), "project"));
  RETURN_IF_ERROR(CheckKind(request.kind(), /*optional=*/false));
  return request.kind() == v1::PROJECT ? absl::OkStatus() : CheckGiven(request.name(), "name");
}

absl::StatusOr<KnownAtMode> ToMode(const v1::HistoricalHeader& header) {
  const bool has_known_at = header.has_known_at();
  switch (header.known_at_mode()) {
    case v1::KNOWN_AT_MODE_UNSPECIFIED:
      return has_known_at ? KnownAtMode::kFixed : KnownAtMode::kNewest;
    case v1::FIXED:
      if (has_known_at) return KnownAtMode::kFixed;
      return InvalidArgument("known_at_mode FIXED needs known_at", "known_at");
    case v1::NEWEST:
    case v1::AS_SERVED:
      if (has_known_at) {
        return InvalidArgument("known_at belongs to known_at_mode FIXED only", "known_at");
      }
      return header.known_at_mode() == v1::NEWEST ? KnownAtMode::kNewest : KnownAtMode::kAsServed;
    default:
      return InvalidArgument(
          StrCat("known_at_mode ", static_cast<int>(header.known_at_mode()), " is unknown"),
          "known_at_mode");
  }
}

absl::StatusOr<bool> ToMark(v1::OutOfRange out_of_range) {
  switch (out_of_range) {
    case v1::OUT_OF_RANGE_UNSPECIFIED:
    case v1::FAIL:
      return false;
    case v1::MARK:
      return true;
    default:
      return InvalidArgument(
          StrCat("out_of_range ", static_cast<int>(out_of_range), " is unknown; use FAIL or MARK"),
          "out_of_range");
  }
}

}  // namespace

absl::Status CheckRequest(const v1::ApplyRequest& request) {
  RETURN_IF_ERROR(CheckGiven(request.project(), "project"));
  return CheckAtMost(request.objects_size(), limits::kMaxObjectsPerApply, "max_objects_per_apply",
                     "objects");
}

absl::Status CheckRequest(const v1::GetRequest& request) { return CheckNamed(request); }

absl::Status CheckRequest(const v1::DeleteObjectRequest& request) { return CheckNamed(request); }

absl::Status CheckRequest(const v1::GetLineageRequest& request) {
  if (request.kind() == v1::PROJECT)
    return InvalidArgument("a project has no lineage; name one of its objects", "kind");
  return CheckNamed(request);
}

absl::Status CheckRequest(const v1::ListRequest& request) {
  RETURN_IF_ERROR(CheckKind(request.kind(), /*optional=*/true));
  if (request.kind() != v1::PROJECT) RETURN_IF_ERROR(CheckGiven(request.project(), "project"));
  return CheckAtMost(request.page_size(), limits::kMaxPageSize, "max_page_size", "page_size");
}

absl::StatusOr<OnlineRequest> ToEngine(const v1::GetOnlineFeaturesRequest& request) {
  OnlineRequest out;
  RETURN_IF_ERROR(CheckGiven(request.project(), "project"));
  RETURN_IF_ERROR(CheckCount(request.row_count(), limits::kMaxKeysPerOnlineRead,
                             "max_keys_per_online_read", "row_count"));
  out.project = request.project();
  out.selection = ToSelection(request);
  RETURN_IF_ERROR(CheckSelection(out.selection, /*optional=*/false));
  out.row_count = request.row_count();
  ASSIGN_OR_RETURN(out.keys, ToColumns(request.keys(), out.row_count, "keys"));
  ASSIGN_OR_RETURN(out.request_context, ToContext(request.request_context(), out.row_count));
  ASSIGN_OR_RETURN(out.as_of, ToOptionalInstant(request.has_as_of(), request.as_of(), "as_of"));
  ASSIGN_OR_RETURN(out.known_at, ToKnownAt(request.has_known_at(), request.known_at()));
  out.min_seq = request.min_seq();
  out.event_times = request.include_event_timestamps();
  return out;
}

absl::StatusOr<HistoricalHeader> ToEngine(const v1::HistoricalHeader& header) {
  HistoricalHeader out;
  RETURN_IF_ERROR(CheckGiven(header.project(), "project"));
  out.project = header.project();
  out.selection = ToSelection(header);
  RETURN_IF_ERROR(CheckSelection(out.selection, /*optional=*/false));
  ASSIGN_OR_RETURN(out.mode, ToMode(header));
  ASSIGN_OR_RETURN(out.known_at, ToKnownAt(header.has_known_at(), header.known_at()));
  out.min_seq = header.min_seq();
  out.event_times = header.include_event_timestamps();
  ASSIGN_OR_RETURN(out.mark_out_of_range, ToMark(header.out_of_range()));
  return out;
}

absl::StatusOr<SpineBatch> ToEngine(const v1::SpineBatch& spine) {
  SpineBatch out;
  RETURN_IF_ERROR(CheckCount(spine.row_count(), limits::kMaxSpineRowsPerBatch,
                             "max_spine_rows_per_batch", "row_count"));
  out.row_count = spine.row_count();
  ASSIGN_OR_RETURN(out.keys, ToColumns(spine.keys(), out.row_count, "keys"));
  ASSIGN_OR_RETURN(out.request_context, ToContext(spine.request_context(), out.row_count));
  ASSIGN_OR_RETURN(out.timestamps, TimesFromProto(spine.timestamps(), out.row_count, "timestamps"));
  return out;
}

absl::StatusOr<HistoryRequest> ToEngine(const v1::GetFeatureHistoryRequest& request) {
  HistoryRequest out;
  RETURN_IF_ERROR(CheckGiven(request.project(), "project"));
  RETURN_IF_ERROR(CheckGiven(request.feature_view(), "feature_view"));
  out.project = request.project();
  out.feature_view = request.feature_view();
  ASSIGN_OR_RETURN(out.keys, ToColumns(request.keys(), 1, "keys"));
  ASSIGN_OR_RETURN(out.start, ToOptionalInstant(request.has_start(), request.start(), "start"));
  ASSIGN_OR_RETURN(out.end, ToOptionalInstant(request.has_end(), request.end(), "end"));
  if (out.start.has_value() && out.end.has_value() && *out.start > *out.end) {
    return InvalidArgument("start is after end", "start");
  }
  out.last_k = request.last_k();
  ASSIGN_OR_RETURN(out.known_at, ToKnownAt(request.has_known_at(), request.known_at()));
  out.all_forms = request.all_forms();
  RETURN_IF_ERROR(CheckAtMost(request.page_size(), limits::kMaxHistoryPageSize,
                              "max_history_page_size", "page_size"));
  out.page_size = request.page_size() == 0 ? limits::kDefaultHistoryPageSize : request.page_size();
  out.page_token = request.page_token();
  return out;
}

}  // namespace fletch
