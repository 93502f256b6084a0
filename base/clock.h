// SPDX-License-Identifier: Apache-2.0
// Time, injected. Microseconds since 1970-01-01T00:00:00Z.
#ifndef FLETCH_BASE_CLOCK_H_
#define FLETCH_BASE_CLOCK_H_

#include <atomic>
#include <cstdint>

namespace fletch {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t NowMicros() const = 0;
};

// The machine's clock.
class SystemClock : public Clock {
 public:
  int64_t NowMicros() const override;
};

// A clock that tests move by hand.
class FakeClock : public Clock {
 public:
  explicit FakeClock(int64_t now_micros) : now_micros_(now_micros) {}
  int64_t NowMicros() const override { return now_micros_.load(); }
  void Set(int64_t now_micros) { now_micros_.store(now_micros); }
  void Advance(int64_t micros) { now_micros_.fetch_add(micros); }

 private:
  std::atomic<int64_t> now_micros_;
};

}  // namespace fletch

#endif  // FLETCH_BASE_CLOCK_H_
