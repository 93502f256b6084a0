// SPDX-License-Identifier: Apache-2.0
// What the work of one request must know about its caller.
#ifndef FLETCH_BASE_CALL_H_
#define FLETCH_BASE_CALL_H_

#include <cstdint>
#include <functional>
#include <limits>

#include "absl/status/status.h"

namespace fletch {

// Copyable; thread-safe as far as `cancelled` is. Deadlines are on the steady clock, so a set clock
// moves none.
struct Call {
  static constexpr int64_t kNoDeadline = std::numeric_limits<int64_t>::max();

  // Microseconds of the steady clock (SteadyMicros).
  int64_t deadline_steady_micros = kNoDeadline;
  // True once the caller is gone. May be empty: never.
  std::function<bool()> cancelled;

  // OK, DEADLINE_EXCEEDED or CANCELLED. About 30 ns; call it before work and every few thousand
  // rows of it.
  absl::Status Check() const;
  // Time left in ms, 0 when none, at most INT32_MAX.
  int64_t RemainingMs() const;
};

int64_t SteadyMicros();

}  // namespace fletch

#endif  // FLETCH_BASE_CALL_H_
