// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/grpc_status.h"

#include <google/protobuf/any.pb.h>

#include <string>

#include "base/status.h"
#include "base/strings.h"
#include "fletch/v1/errors.pb.h"

namespace fletch {
namespace {

constexpr std::string_view kCodeNames[] = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};

void AddDetail(std::string_view type, const google::protobuf::MessageLite& message,
               v1::ErrorStatus* details) {
  google::protobuf::Any* any = details->add_details();
  any->set_type_url(StrCat("type.googleapis.com/google.rpc.", type));
  message.SerializeToString(any->mutable_value());
}

}  // namespace

bool IsServerFault(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      return true;
    case absl::StatusCode::kDataLoss:
      return ErrorReason(status) != "LOST_COMMIT";
    default:
      return false;
  }
}

std::string_view CodeName(absl::StatusCode code) {
  const auto number = static_cast<size_t>(code);
  return number < std::size(kCodeNames) ? kCodeNames[number] : kCodeNames[2];
}

std::string CutText(std::string_view text, size_t limit) {
  if (text.size() <= limit) return std::string(text);
  size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return StrCat(text.substr(0, end), "…");
}

std::string ReasonOf(const absl::Status& status) {
  std::string reason = ErrorReason(status);
  return reason.empty() ? std::string(CodeName(status.code())) : reason;
}

grpc::Status ToGrpcStatus(const absl::Status& status, std::string_view request_id) {
  if (status.ok()) return grpc::Status::OK;
  const std::string message = CutText(FromAbsl(status.message()), kMaxErrorMessageBytes);
  v1::ErrorStatus details;
  details.set_code(static_cast<int32_t>(status.code()));
  details.set_message(message);

  v1::ErrorInfo info;
  info.set_reason(ReasonOf(status));
  info.set_domain("fletch");
  if (!request_id.empty()) (*info.mutable_metadata())["request_id"] = std::string(request_id);
  AddDetail("ErrorInfo", info, &details);
  if (const std::string field = ErrorField(status); !field.empty()) {
    v1::BadRequest bad_request;
    auto* violation = bad_request.add_field_violations();
    violation->set_field(CutText(field, kMaxErrorFieldBytes));
    violation->set_description(message);
    AddDetail("BadRequest", bad_request, &details);
  }
  if (const int64_t retry_ms = ErrorRetryAfterMs(status); retry_ms > 0) {
    v1::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(retry_ms / 1000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(retry_ms % 1000) * 1'000'000);
    AddDetail("RetryInfo", retry, &details);
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), message,
                      details.SerializeAsString());
}

}  // namespace fletch
