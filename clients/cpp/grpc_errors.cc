// SPDX-License-Identifier: Apache-2.0
#include "grpc_errors.h"

#include <optional>
#include <string>

#include "fletch/errors.h"
#include "fletch/v1/errors.pb.h"

namespace fletch::client {
namespace {

constexpr char kErrorInfo[] = "type.googleapis.com/google.rpc.ErrorInfo";
constexpr char kBadRequest[] = "type.googleapis.com/google.rpc.BadRequest";
constexpr char kRetryInfo[] = "type.googleapis.com/google.rpc.RetryInfo";

template <typename Message>
std::optional<Message> Detail(const absl::Status& status, const char* type_url) {
  const absl::optional<absl::Cord> payload = status.GetPayload(type_url);
  Message message;
  if (!payload || !message.ParseFromString(std::string(*payload))) return std::nullopt;
  return message;
}

}  // namespace

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  v1::ErrorStatus details;
  if (!details.ParseFromString(status.error_details())) return result;
  for (const google::protobuf::Any& detail : details.details()) {
    result.SetPayload(detail.type_url(), absl::Cord(detail.value()));
  }
  return result;
}

absl::Status WithDetails(absl::Status status, absl::string_view reason, absl::string_view field) {
  v1::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain("fletch");
  status.SetPayload(kErrorInfo, absl::Cord(info.SerializeAsString()));
  if (field.empty()) return status;
  v1::BadRequest request;
  v1::BadRequest::FieldViolation& violation = *request.add_field_violations();
  violation.set_field(std::string(field));
  violation.set_description(std::string(status.message()));
  status.SetPayload(kBadRequest, absl::Cord(request.SerializeAsString()));
  return status;
}

std::string ErrorReason(const absl::Status& status) {
  const auto info = Detail<v1::ErrorInfo>(status, kErrorInfo);
  return info ? info->reason() : "";
}

std::string ErrorField(const absl::Status& status) {
  const auto request = Detail<v1::BadRequest>(status, kBadRequest);
  return request && request->field_violations_size() > 0 ? request->field_violations(0).field()
                                                         : "";
}

absl::Duration ErrorRetryAfter(const absl::Status& status) {
  const auto retry = Detail<v1::RetryInfo>(status, kRetryInfo);
  if (!retry) return absl::ZeroDuration();
  return absl::Seconds(retry->retry_delay().seconds()) +
         absl::Nanoseconds(retry->retry_delay().nanos());
}

}  // namespace fletch::client
