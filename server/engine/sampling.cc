// SPDX-License-Identifier: Apache-2.0
#include "server/engine/sampling.h"

#include <sys/resource.h>

#include "base/call.h"

namespace fletch {
namespace {

constexpr int kLowestPriority = 19;

}  // namespace

uint64_t ShareOf::NextRandom() {
  // xorshift64*: of a sample nobody asks more. Each thread begins elsewhere.
  thread_local uint64_t state =
      (reinterpret_cast<uintptr_t>(&state) * 0x9E3779B97F4A7C15u + SteadyMicros()) | 1;
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return state * 0x2545F4914F6CDD1Du;
}

void TakeLowestPriority() {
  // On Linux this is the thread's alone.
  setpriority(PRIO_PROCESS, 0, kLowestPriority);
}

}  // namespace fletch
