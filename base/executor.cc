// SPDX-License-Identifier: Apache-2.0
#include "base/executor.h"

#include <pthread.h>

#include <utility>

#include "base/status.h"
#include "base/strings.h"

namespace fletch {

namespace {
constexpr size_t kThreadNameBytes = 15;     // Linux takes no more
constexpr int64_t kQueueFullRetryMs = 100;  // a full queue of millisecond tasks has moved by then
}  // namespace

Executor::Executor(std::string name, int threads, size_t queue_limit)
    : name_(std::move(name)), queue_limit_(queue_limit) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

Executor::~Executor() { Stop(); }

absl::Status Executor::Submit(std::function<void()> task) {
  {
    MutexLock lock(&mu_);
    if (stopping_) {
      return MakeError(absl::StatusCode::kUnavailable, "STOPPING",
                       StrCat("the ", name_, " executor is stopping"));
    }
    if (queue_.size() >= queue_limit_) {
      return WithRetryAfterMs(
          MakeError(absl::StatusCode::kResourceExhausted, "QUEUE_FULL",
                    StrCat("the ", name_, " queue is full (", queue_limit_,
                           " wait already); send fewer at once or try again later")),
          kQueueFullRetryMs);
    }
    queue_.push_back(std::move(task));
  }
  wake_.NotifyOne();
  return absl::OkStatus();
}

void Executor::Stop() {
  std::vector<std::thread> threads;
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    threads.swap(threads_);
  }
  wake_.NotifyAll();
  for (std::thread& thread : threads) thread.join();
}

size_t Executor::queued() const {
  MutexLock lock(&mu_);
  return queue_.size();
}

void Executor::Work() {
  pthread_setname_np(pthread_self(), name_.substr(0, kThreadNameBytes).c_str());
  for (;;) {
    std::function<void()> task;
    {
      MutexLock lock(&mu_);
      while (queue_.empty() && !stopping_) wake_.Wait(&mu_);
      if (queue_.empty()) return;
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    task();
  }
}

}  // namespace fletch
