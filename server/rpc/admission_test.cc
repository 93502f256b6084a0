// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/admission.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/status.h"

namespace fletch {
namespace {

TEST(AdmissionTest, RefusesBeforeReady) {
  Admission admission(10, 1000);
  const absl::Status status = admission.Enter(1);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ErrorReason(status), "STARTING");
  EXPECT_GT(ErrorRetryAfterMs(status), 0);
  admission.SetServing();
  EXPECT_TRUE(admission.Enter(1).ok());
  EXPECT_EQ(admission.in_flight(), 1u);
}

TEST(AdmissionTest, LimitsCallsAndBytes) {
  Admission admission(2, 1000);
  admission.SetServing();
  ASSERT_TRUE(admission.Enter(600).ok());
  EXPECT_EQ(ErrorReason(admission.Enter(401)), "MEMORY_BUDGET");
  ASSERT_TRUE(admission.Enter(400).ok());
  const absl::Status full = admission.Enter(0);
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(full), "QUEUE_FULL");
  EXPECT_GT(ErrorRetryAfterMs(full), 0);
  admission.Leave(600);
  admission.Leave(400);
  EXPECT_EQ(admission.in_flight(), 0u);
  EXPECT_TRUE(admission.Enter(5000).ok()) << "a message alone always fits";
}

TEST(AdmissionTest, DrainRefusesAndWaits) {
  Admission admission(10, 1000);
  admission.SetServing();
  ASSERT_TRUE(admission.Enter(1).ok());
  int told = 0;
  admission.AddDrainListener([&told] { ++told; });
  const uint64_t removed = admission.AddDrainListener([&told] { told += 100; });
  admission.RemoveDrainListener(removed);
  admission.BeginDrain();
  admission.BeginDrain();
  EXPECT_EQ(told, 1);
  admission.AddDrainListener([&told] { ++told; });
  EXPECT_EQ(told, 2) << "late listeners are told at once";
  EXPECT_EQ(ErrorReason(admission.Enter(1)), "DRAINING");
  EXPECT_TRUE(admission.Enter(1, /*while_draining=*/true).ok());
  admission.Leave(1);
  EXPECT_FALSE(admission.WaitUntilEmpty(20));
  std::thread leaver([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    admission.Leave(1);
  });
  EXPECT_TRUE(admission.WaitUntilEmpty(10'000));
  leaver.join();
  admission.SetServing();
  EXPECT_EQ(admission.state(), Admission::State::kDraining) << "there is no way back";
}

}  // namespace
}  // namespace fletch
