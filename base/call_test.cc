// SPDX-License-Identifier: Apache-2.0
#include "base/call.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/clock.h"
#include "base/status.h"

namespace fletch {
namespace {

TEST(Call, HasNoDeadlineByDefault) {
  const Call call;
  EXPECT_TRUE(call.Check().ok());
  EXPECT_EQ(call.RemainingMs(), std::numeric_limits<int32_t>::max());
}

TEST(Call, DeadlinePasses) {
  Call call;
  call.deadline_steady_micros = SteadyMicros() + 60'000'000;
  EXPECT_TRUE(call.Check().ok());
  EXPECT_GT(call.RemainingMs(), 50'000);
  EXPECT_LE(call.RemainingMs(), 60'000);
  call.deadline_steady_micros = SteadyMicros();
  EXPECT_TRUE(absl::IsDeadlineExceeded(call.Check()));
  EXPECT_EQ(call.RemainingMs(), 0);
  call.deadline_steady_micros = std::numeric_limits<int64_t>::min() / 2;
  EXPECT_TRUE(absl::IsDeadlineExceeded(call.Check()));
  EXPECT_EQ(call.RemainingMs(), 0);
}

TEST(Call, RemainingIsCappedAt32Bits) {
  Call call;
  call.deadline_steady_micros = Call::kNoDeadline - 1;
  EXPECT_EQ(call.RemainingMs(), std::numeric_limits<int32_t>::max());
}

TEST(Call, CancellationComesFirst) {
  bool gone = false;
  Call call;
  call.cancelled = [&gone] { return gone; };
  EXPECT_TRUE(call.Check().ok());
  gone = true;
  call.deadline_steady_micros = 0;
  EXPECT_TRUE(absl::IsCancelled(call.Check()));
  EXPECT_EQ(ErrorReason(call.Check()), "CANCELLED");
}

TEST(Clock, SystemTimeIsMicrosecondsOfThisCentury) {
  const int64_t now = SystemClock().NowMicros();
  EXPECT_GT(now, 1'700'000'000'000'000);  // 2023
  EXPECT_LT(now, 4'102'444'800'000'000);  // 2100
  const int64_t steady = SteadyMicros();
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_GE(SteadyMicros() - steady, 5'000);
}

TEST(Clock, FakeMovesByHandOnly) {
  FakeClock clock(100);
  clock.Advance(5);
  EXPECT_EQ(clock.NowMicros(), 105);
  clock.Set(-7);
  EXPECT_EQ(clock.NowMicros(), -7);
}

}  // namespace
}  // namespace fletch
