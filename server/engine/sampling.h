// SPDX-License-Identifier: Apache-2.0
// What the samplers of production requests share.
#ifndef FLETCH_SERVER_ENGINE_SAMPLING_H_
#define FLETCH_SERVER_ENGINE_SAMPLING_H_

#include <cstdint>

namespace fletch {

// Chooses a share of what it is asked about. Immutable, thread-safe; about 2 ns a choice.
class ShareOf {
 public:
  // 0 to 1.
  explicit ShareOf(double share)
      : threshold_(share <= 0   ? 0
                   : share >= 1 ? UINT64_MAX
                                : static_cast<uint64_t>(share * 18446744073709551616.0)) {}
  bool none() const { return threshold_ == 0; }
  bool Chooses() const { return threshold_ != 0 && NextRandom() <= threshold_; }

 private:
  static uint64_t NextRandom();
  const uint64_t threshold_;  // of 2^64
};

// The calling thread works when no other wants to. It may fail where priorities are not to be had.
void TakeLowestPriority();

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_SAMPLING_H_
