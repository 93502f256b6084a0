// SPDX-License-Identifier: Apache-2.0
// Who may come in: nobody before the daemon is ready or while it drains, and never more than a
// fixed number of calls and request bytes at once.
#ifndef FLETCH_SERVER_RPC_ADMISSION_H_
#define FLETCH_SERVER_RPC_ADMISSION_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>

#include "absl/status/status.h"
#include "base/mutex.h"

namespace fletch {

// Thread-safe.
class Admission {
 public:
  enum class State : int { kStarting, kServing, kDraining };

  // At most so many calls, and bytes of their requests, at once.
  Admission(size_t max_calls, size_t max_bytes);

  // OK: the caller is in, and says Leave(bytes) once. UNAVAILABLE (STARTING, DRAINING) with a retry
  // hint; RESOURCE_EXHAUSTED (QUEUE_FULL, MEMORY_BUDGET). `while_draining`: let it in then, too.
  absl::Status Enter(size_t bytes, bool while_draining = false);
  void Leave(size_t bytes);

  void SetServing();
  // From now on Enter refuses, and the listeners are called. Idempotent.
  void BeginDrain();
  State state() const { return state_.load(std::memory_order_acquire); }
  size_t in_flight() const { return calls_.load(std::memory_order_relaxed); }
  // True: nothing is in flight. False: `timeout_ms` passed first. REQUIRES: draining.
  bool WaitUntilEmpty(int64_t timeout_ms);

  // Calls `listener` when draining begins, at once if it has begun; without a lock held, so it may
  // still run once while or after it is removed. Returns an id for RemoveDrainListener.
  uint64_t AddDrainListener(std::function<void()> listener);
  void RemoveDrainListener(uint64_t id);

  // The refusal while draining.
  static absl::Status Draining();

 private:
  const size_t max_calls_;
  const size_t max_bytes_;
  std::atomic<State> state_{State::kStarting};
  std::atomic<size_t> calls_{0};
  std::atomic<size_t> bytes_{0};
  Mutex mu_;
  CondVar left_;
  std::map<uint64_t, std::function<void()>> listeners_ ABSL_GUARDED_BY(mu_);
  uint64_t next_listener_ ABSL_GUARDED_BY(mu_) = 1;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_RPC_ADMISSION_H_
