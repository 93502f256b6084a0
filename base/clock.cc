// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <chrono>

namespace fletch {

int64_t SystemClock::NowMicros() const {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace fletch
