// SPDX-License-Identifier: Apache-2.0
#include "result.h"

#include <nlohmann/json.hpp>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "fletch/errors.h"

namespace fletch::ctl {
namespace {

constexpr char kUsage[] = "fletchctl/usage";
constexpr char kAdvice[] = "fletchctl/advice";

std::string Advice(const absl::Status& status) {
  if (const auto advice = status.GetPayload(kAdvice)) return std::string(*advice);
  if (client::ErrorReason(status) == "CONNECTION_FAILED") {
    return "is fletchd running? start it with `fletchd` (or ./deploy/quickstart.sh), or name "
           "another with --address "
           "HOST:PORT or FLETCH_ADDRESS";
  }
  if (const absl::Duration wait = client::ErrorRetryAfter(status); wait > absl::ZeroDuration()) {
    return absl::StrCat("try again in ", absl::FormatDuration(wait));
  }
  if (status.code() == absl::StatusCode::kDeadlineExceeded) {
    return "allow more time with --timeout SECONDS";
  }
  return "";
}

// The path of a field as the command line knows it: a training read's header is what its flags say.
std::string FieldPath(const absl::Status& status) {
  const std::string field = client::ErrorField(status);
  absl::string_view path = field;
  absl::ConsumePrefix(&path, "header.");
  absl::ConsumePrefix(&path, "read.");
  return std::string(path);
}

}  // namespace

absl::Status UsageError(absl::string_view message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kUsage, absl::Cord("1"));
  return status;
}

int ExitCode(const absl::Status& status) {
  if (status.ok()) return 0;
  return status.GetPayload(kUsage) ? 2 : 1;
}

absl::Status WithAdvice(absl::Status status, absl::string_view advice) {
  if (!status.ok()) status.SetPayload(kAdvice, absl::Cord(advice));
  return status;
}

absl::Status Prefixed(const absl::Status& status, absl::string_view prefix) {
  if (status.ok()) return status;
  absl::Status result(status.code(), absl::StrCat(prefix, status.message()));
  status.ForEachPayload([&](absl::string_view type_url, const absl::Cord& payload) {
    result.SetPayload(type_url, payload);
  });
  return result;
}

std::string Explain(const absl::Status& status, bool json) {
  const std::string code = absl::StatusCodeToString(status.code());
  const std::string reason = client::ErrorReason(status);
  const std::string field = FieldPath(status);
  const std::string advice = Advice(status);
  if (json) {
    nlohmann::ordered_json error = {{"code", code}, {"message", std::string(status.message())}};
    if (!reason.empty()) error["reason"] = reason;
    if (!field.empty()) error["field"] = field;
    if (!advice.empty()) error["advice"] = advice;
    // Whatever bytes a message quotes, the document stays valid.
    return nlohmann::ordered_json{{"error", error}}.dump(
               -1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
           "\n";
  }
  std::string text = ExitCode(status) == 2
                         ? absl::StrCat("fletchctl: ", status.message(), "\n")
                         : absl::StrCat("fletchctl: ", code, ": ", status.message(), "\n");
  if (!field.empty()) absl::StrAppend(&text, "  field: ", field, "\n");
  if (!reason.empty() && reason != code) absl::StrAppend(&text, "  reason: ", reason, "\n");
  if (!advice.empty()) absl::StrAppend(&text, "  next: ", advice, "\n");
  return text;
}

}  // namespace fletch::ctl
