// SPDX-License-Identifier: Apache-2.0
// A fixed number of threads behind a bounded queue.
#ifndef FLETCH_BASE_EXECUTOR_H_
#define FLETCH_BASE_EXECUTOR_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "base/mutex.h"

namespace fletch {

// Thread-safe. Tasks start in the order they came.
class Executor {
 public:
  // `name` stands in errors and thread names. REQUIRES: threads >= 1, queue_limit >= 1.
  Executor(std::string name, int threads, size_t queue_limit);
  // As Stop().
  ~Executor();

  // Runs `task` later. RESOURCE_EXHAUSTED (reason QUEUE_FULL) at once when queue_limit tasks wait
  // already; UNAVAILABLE after Stop().
  absl::Status Submit(std::function<void()> task);

  // Takes no more tasks, runs those accepted, joins the threads. Idempotent. REQUIRES: not called
  // by a task.
  void Stop();

  size_t queued() const;

 private:
  void Work();

  const std::string name_;
  const size_t queue_limit_;
  mutable Mutex mu_;
  CondVar wake_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mu_);
};

}  // namespace fletch

#endif  // FLETCH_BASE_EXECUTOR_H_
