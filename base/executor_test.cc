// SPDX-License-Identifier: Apache-2.0
#include "base/executor.h"

#include <gtest/gtest.h>

#include <atomic>

#include "base/status.h"

namespace fletch {
namespace {

// Holds tasks back until it is opened.
class Gate {
 public:
  void Open() {
    MutexLock lock(&mu_);
    open_ = true;
    cv_.NotifyAll();
  }
  void Pass() {
    MutexLock lock(&mu_);
    ++waiting_;
    cv_.NotifyAll();
    while (!open_) cv_.Wait(&mu_);
  }
  void AwaitWaiting(int count) {
    MutexLock lock(&mu_);
    while (waiting_ < count) cv_.Wait(&mu_);
  }

 private:
  Mutex mu_;
  CondVar cv_;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
  int waiting_ ABSL_GUARDED_BY(mu_) = 0;
};

TEST(Executor, RunsInOrderOnOneThread) {
  std::vector<int> order;
  Executor executor("test", 1, 100);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(executor.Submit([&order, i] { order.push_back(i); }).ok());
  }
  executor.Stop();
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[i], i);
}

TEST(Executor, RefusesBeyondItsLimitAtOnce) {
  Gate gate;
  Executor executor("read", 1, 2);
  ASSERT_TRUE(executor.Submit([&gate] { gate.Pass(); }).ok());
  gate.AwaitWaiting(1);
  EXPECT_TRUE(executor.Submit([] {}).ok());
  EXPECT_TRUE(executor.Submit([] {}).ok());
  EXPECT_EQ(executor.queued(), 2u);
  const absl::Status full = executor.Submit([] {});
  EXPECT_TRUE(absl::IsResourceExhausted(full));
  EXPECT_EQ(ErrorReason(full), "QUEUE_FULL");
  EXPECT_GT(ErrorRetryAfterMs(full), 0);
  EXPECT_NE(full.message().find("read"), absl::string_view::npos);
  gate.Open();
  executor.Stop();
  EXPECT_EQ(executor.queued(), 0u);
}

TEST(Executor, StopRunsWhatWasAcceptedAndTakesNoMore) {
  Gate gate;
  std::atomic<int> ran{0};
  Executor executor("test", 2, 100);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(executor.Submit([&gate] { gate.Pass(); }).ok());
  gate.AwaitWaiting(2);
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(executor.Submit([&ran] { ++ran; }).ok());
  std::thread stopper([&executor] { executor.Stop(); });
  gate.Open();
  stopper.join();
  executor.Stop();
  EXPECT_EQ(ran, 50);
  EXPECT_TRUE(absl::IsUnavailable(executor.Submit([] {})));
}

TEST(Executor, ManySubmittersLoseNothing) {
  std::atomic<int> ran{0};
  std::atomic<int> accepted{0};
  {
    Executor executor("test", 3, 64);
    std::vector<std::thread> submitters;
    for (int t = 0; t < 4; ++t) {
      submitters.emplace_back([&] {
        for (int i = 0; i < 2000; ++i) {
          if (executor.Submit([&ran] { ++ran; }).ok()) ++accepted;
        }
      });
    }
    for (std::thread& submitter : submitters) submitter.join();
  }
  EXPECT_EQ(ran, accepted);
  EXPECT_GT(accepted, 0);
}

TEST(CondVar, WaitTimesOut) {
  Mutex mu;
  CondVar cv;
  MutexLock lock(&mu);
  EXPECT_FALSE(cv.WaitForMs(&mu, 5));
}

}  // namespace
}  // namespace fletch
