// SPDX-License-Identifier: Apache-2.0
// Errors of the command line: those of its use (exit 2) and those of the daemon (exit 1), told to
// people.
#ifndef FLETCH_CLIENTS_FLETCHCTL_RESULT_H_
#define FLETCH_CLIENTS_FLETCHCTL_RESULT_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace fletch::ctl {

// An error of what the user typed or of a file of theirs.
absl::Status UsageError(absl::string_view message);

// 0 OK, 2 usage, 1 all others.
int ExitCode(const absl::Status& status);

// The same error with `prefix` before its message.
absl::Status Prefixed(const absl::Status& status, absl::string_view prefix);

// The same error with what to do next.
absl::Status WithAdvice(absl::Status status, absl::string_view advice);

// The error in words: code, message, field, reason, what to do next. With `json`: one JSON
// document. REQUIRES: status is not OK.
std::string Explain(const absl::Status& status, bool json);

}  // namespace fletch::ctl

// Returns the status from the function unless it is OK.
#define CTL_RETURN_IF_ERROR(expr)                                     \
  do {                                                                \
    if (absl::Status status_ = (expr); !status_.ok()) return status_; \
  } while (false)

#define CTL_CONCAT_INNER(a, b) a##b
#define CTL_CONCAT(a, b) CTL_CONCAT_INNER(a, b)
// CTL_ASSIGN(auto x, F()): x = *F(), or returns its status.
#define CTL_ASSIGN(lhs, expr) CTL_ASSIGN_IMPL(CTL_CONCAT(statusor_, __LINE__), lhs, expr)
#define CTL_ASSIGN_IMPL(statusor, lhs, expr)               \
  auto statusor = (expr);                                  \
  if (!statusor.ok()) return std::move(statusor).status(); \
  lhs = std::move(statusor).value()

#endif  // FLETCH_CLIENTS_FLETCHCTL_RESULT_H_
