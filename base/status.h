// SPDX-License-Identifier: Apache-2.0
// Errors as values. Every error that the outside can cause carries a stable reason for programs, a
// message for people (what was wrong, where, what would be right) and, where one is at fault, the
// path of a field.
#ifndef FLETCH_BASE_STATUS_H_
#define FLETCH_BASE_STATUS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace fletch {

// An error of `code` with `reason` ("QUEUE_FULL"), `message`, and optionally the path of the field
// at fault
// ("batches[0].columns.temperature_c"). REQUIRES: code is not kOk.
absl::Status MakeError(absl::StatusCode code, std::string_view reason, std::string_view message,
                       std::string_view field = "");

// The same error with `prefix` put before its field path ("batches[0]" + "columns.t" ->
// "batches[0].columns.t"); an error without a field gets `prefix` itself. OK stays OK.
absl::Status PrefixField(absl::Status status, std::string_view prefix);

// The same error with a hint when to try again.
absl::Status WithRetryAfterMs(absl::Status status, int64_t retry_after_ms);

// What MakeError and its friends put in; empty, empty, 0 where nothing was.
std::string ErrorReason(const absl::Status& status);
std::string ErrorField(const absl::Status& status);
int64_t ErrorRetryAfterMs(const absl::Status& status);

// Short forms of MakeError with the code's usual reason.
absl::Status InvalidArgument(std::string_view message,
                             std::string_view field = "");                       // INVALID_ARGUMENT
absl::Status NotFound(std::string_view message, std::string_view field = "");    // NOT_FOUND
absl::Status OutOfRange(std::string_view message, std::string_view field = "");  // OUT_OF_RANGE
absl::Status FailedPrecondition(std::string_view reason, std::string_view message,
                                std::string_view field = "");
absl::Status DataLoss(std::string_view message);  // DATA_LOSS

}  // namespace fletch

#define FLETCH_CONCAT_INNER(a, b) a##b
#define FLETCH_CONCAT(a, b) FLETCH_CONCAT_INNER(a, b)

// Returns the status from the function unless it is OK.
#define RETURN_IF_ERROR(expr)                                                           \
  do {                                                                                  \
    if (absl::Status fletch_error_ = (expr); !fletch_error_.ok()) return fletch_error_; \
  } while (false)

// ASSIGN_OR_RETURN(auto x, F()): x = *F(), or returns its status.
#define ASSIGN_OR_RETURN(lhs, expr) \
  ASSIGN_OR_RETURN_IMPL(FLETCH_CONCAT(statusor_, __LINE__), lhs, expr)
#define ASSIGN_OR_RETURN_IMPL(statusor, lhs, expr)         \
  auto statusor = (expr);                                  \
  if (!statusor.ok()) return std::move(statusor).status(); \
  lhs = std::move(statusor).value()

#endif  // FLETCH_BASE_STATUS_H_
