// SPDX-License-Identifier: Apache-2.0
#include "base/call.h"

#include <algorithm>
#include <chrono>

#include "base/status.h"

namespace fletch {

absl::Status Call::Check() const {
  if (cancelled && cancelled()) {
    return MakeError(absl::StatusCode::kCancelled, "CANCELLED", "the caller is gone");
  }
  if (deadline_steady_micros != kNoDeadline && SteadyMicros() >= deadline_steady_micros) {
    return MakeError(absl::StatusCode::kDeadlineExceeded, "DEADLINE_EXCEEDED",
                     "the call's deadline has passed; allow more time or ask for less");
  }
  return absl::OkStatus();
}

int64_t Call::RemainingMs() const {
  constexpr int64_t kMax = std::numeric_limits<int32_t>::max();
  if (deadline_steady_micros == kNoDeadline) return kMax;
  const int64_t micros = deadline_steady_micros - SteadyMicros();
  if (micros <= 0) return 0;
  return std::min((micros - 1) / 1000 + 1, kMax);  // rounded up: 0 only when none is left
}

int64_t SteadyMicros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace fletch
