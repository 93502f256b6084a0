// SPDX-License-Identifier: Apache-2.0
#include "base/status.h"

#include <cstdlib>
#include <optional>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "base/strings.h"

namespace fletch {
namespace {

// Payloads travel with every copy of an absl::Status, so no error type of our own is needed.
constexpr absl::string_view kReasonUrl = "fletch/reason";
constexpr absl::string_view kFieldUrl = "fletch/field";
constexpr absl::string_view kRetryUrl = "fletch/retry_after_ms";

std::string PayloadText(const absl::Status& status, absl::string_view url) {
  const absl::optional<absl::Cord> payload = status.GetPayload(url);
  return payload.has_value() ? std::string(*payload) : std::string();
}

}  // namespace

absl::Status MakeError(absl::StatusCode code, std::string_view reason, std::string_view message,
                       std::string_view field) {
  if (code == absl::StatusCode::kOk) std::abort();  // an error that is none would be lost silently
  absl::Status status(code, ToAbsl(message));
  if (!reason.empty()) status.SetPayload(kReasonUrl, absl::Cord(ToAbsl(reason)));
  if (!field.empty()) status.SetPayload(kFieldUrl, absl::Cord(ToAbsl(field)));
  return status;
}

absl::Status PrefixField(absl::Status status, std::string_view prefix) {
  if (status.ok() || prefix.empty()) return status;
  const std::string field = ErrorField(status);
  const bool joined = field.empty() || field.front() == '[';
  status.SetPayload(kFieldUrl, absl::Cord(StrCat(prefix, joined ? "" : ".", field)));
  return status;
}

absl::Status WithRetryAfterMs(absl::Status status, int64_t retry_after_ms) {
  status.SetPayload(kRetryUrl, absl::Cord(StrCat(retry_after_ms)));  // does nothing to OK
  return status;
}

std::string ErrorReason(const absl::Status& status) { return PayloadText(status, kReasonUrl); }

std::string ErrorField(const absl::Status& status) { return PayloadText(status, kFieldUrl); }

int64_t ErrorRetryAfterMs(const absl::Status& status) {
  int64_t ms = 0;
  return absl::SimpleAtoi(PayloadText(status, kRetryUrl), &ms) ? ms : 0;
}

absl::Status InvalidArgument(std::string_view message, std::string_view field) {
  return MakeError(absl::StatusCode::kInvalidArgument, "INVALID_ARGUMENT", message, field);
}

absl::Status NotFound(std::string_view message, std::string_view field) {
  return MakeError(absl::StatusCode::kNotFound, "NOT_FOUND", message, field);
}

absl::Status OutOfRange(std::string_view message, std::string_view field) {
  return MakeError(absl::StatusCode::kOutOfRange, "OUT_OF_RANGE", message, field);
}

absl::Status FailedPrecondition(std::string_view reason, std::string_view message,
                                std::string_view field) {
  return MakeError(absl::StatusCode::kFailedPrecondition, reason, message, field);
}

absl::Status DataLoss(std::string_view message) {
  return MakeError(absl::StatusCode::kDataLoss, "DATA_LOSS", message);
}

}  // namespace fletch
