// SPDX-License-Identifier: Apache-2.0
#include "server/engine/work_sharing.h"

#include <algorithm>
#include <thread>

#include "base/limits.h"
#include "base/mutex.h"

namespace fletch {
namespace {

// A job; helpers that come when it is over find nothing left to take.
class Job {
 public:
  Job(size_t count, const std::function<absl::Status(size_t)>* piece)
      : piece_(piece), count_(count), failed_at_(count) {}

  void Work() {
    for (;;) {
      size_t i;
      {
        MutexLock lock(&mu_);
        if (next_ >= count_) return;
        i = next_++;
        ++running_;
      }
      absl::Status status = (*piece_)(i);
      MutexLock lock(&mu_);
      if (!status.ok()) {
        next_ = count_;
        if (i < failed_at_) {
          failed_at_ = i;
          status_ = std::move(status);
        }
      }
      if (--running_ == 0) idle_.NotifyAll();
    }
  }

  // REQUIRES: the caller's Work returned.
  absl::Status Wait() {
    MutexLock lock(&mu_);
    while (running_ > 0) idle_.Wait(&mu_);
    return status_;
  }

 private:
  const std::function<absl::Status(size_t)>* const piece_;  // used while next_ < count_ alone
  const size_t count_;
  Mutex mu_;
  CondVar idle_;
  size_t next_ ABSL_GUARDED_BY(mu_) = 0;
  size_t running_ ABSL_GUARDED_BY(mu_) = 0;
  size_t failed_at_ ABSL_GUARDED_BY(mu_);
  absl::Status status_ ABSL_GUARDED_BY(mu_);
};

size_t ThreadCount(size_t wanted) {
  return wanted > 0 ? wanted : std::max(1u, std::thread::hardware_concurrency());
}

std::unique_ptr<Executor> MakeHelpers(size_t count) {
  if (count == 0) return nullptr;
  return std::make_unique<Executor>("share", static_cast<int>(count), limits::kSharedWorkQueue);
}

}  // namespace

WorkSharing::WorkSharing(size_t threads)
    : threads_(ThreadCount(threads)), helpers_(MakeHelpers(threads_ - 1)) {}

absl::Status WorkSharing::Run(size_t count, const std::function<absl::Status(size_t)>& piece) {
  auto job = std::make_shared<Job>(count, &piece);
  for (size_t i = 1; i < std::min(count, threads_); ++i) {
    // A full queue means that the helpers have enough to do.
    if (!helpers_->Submit([job] { job->Work(); }).ok()) break;
  }
  job->Work();
  return job->Wait();
}

}  // namespace fletch
