// SPDX-License-Identifier: Apache-2.0
#include "server/engine/work_sharing.h"

#include <atomic>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "gtest/gtest.h"

namespace fletch {
namespace {

TEST(WorkSharingTest, EveryPieceOnce) {
  for (const size_t threads : {1, 2, 5}) {
    WorkSharing workers(threads);
    std::vector<std::atomic<int>> calls(1000);
    ASSERT_TRUE(workers
                    .Run(calls.size(),
                         [&](size_t i) {
                           ++calls[i];
                           return absl::OkStatus();
                         })
                    .ok());
    for (const auto& count : calls) EXPECT_EQ(count, 1);
    EXPECT_TRUE(workers.Run(0, [](size_t) { return DataLoss("never called"); }).ok());
  }
}

TEST(WorkSharingTest, TheFirstFaultEndsTheJob) {
  WorkSharing workers(3);
  std::atomic<size_t> calls = 0;
  const absl::Status status = workers.Run(100'000, [&](size_t i) -> absl::Status {
    ++calls;
    return i == 7 ? DataLoss("seven") : i == 9 ? DataLoss("nine") : absl::OkStatus();
  });
  EXPECT_EQ(status.message(), "seven");
  EXPECT_LT(calls, 100'000u);
}

TEST(WorkSharingTest, CallersWorkWhenHelpersAreBusy) {
  WorkSharing workers(2);
  Mutex mu;
  CondVar changed;
  int inside = 0;
  bool leave = false;
  std::thread first([&] {  // its two pieces hold it and the only helper
    EXPECT_TRUE(workers
                    .Run(2,
                         [&](size_t) {
                           MutexLock lock(&mu);
                           ++inside;
                           changed.NotifyAll();
                           while (!leave) changed.Wait(&mu);
                           return absl::OkStatus();
                         })
                    .ok());
  });
  {
    MutexLock lock(&mu);
    while (inside < 2) changed.Wait(&mu);
  }
  std::atomic<int> calls = 0;
  EXPECT_TRUE(workers
                  .Run(10,
                       [&](size_t) {
                         ++calls;
                         return absl::OkStatus();
                       })
                  .ok());
  EXPECT_EQ(calls, 10);
  {
    MutexLock lock(&mu);
    leave = true;
    changed.NotifyAll();
  }
  first.join();
}

}  // namespace
}  // namespace fletch
