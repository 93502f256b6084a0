// SPDX-License-Identifier: Apache-2.0
#include "base/epoch.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace fletch {
namespace {

std::atomic<int> g_alive{0};

struct Object {
  explicit Object(uint64_t n) : value(n), twice(2 * n) { ++g_alive; }
  ~Object() {
    value = twice =
        1;  // 2 * 1 != 1: a reader that comes too late notices, even without TSan or ASan
    --g_alive;
  }
  uint64_t value;
  uint64_t twice;
};

void Free(void* object) { delete static_cast<Object*>(object); }

TEST(Epoch, FreesWhenNobodyReads) {
  EpochDomain domain;
  domain.Retire(new Object(1), &Free);
  domain.Collect();
  EXPECT_EQ(g_alive, 0);
}

TEST(Epoch, AGuardKeepsWhatWasReachableWhenItWasMade) {
  EpochDomain domain;
  auto guard = std::make_unique<EpochDomain::Guard>(&domain);
  domain.Retire(new Object(1), &Free);
  domain.Collect();
  EXPECT_EQ(g_alive, 1);
  auto later = std::make_unique<EpochDomain::Guard>(&domain);  // cannot see the object
  guard.reset();
  domain.Collect();
  EXPECT_EQ(g_alive, 0);
}

TEST(Epoch, RetireAloneKeepsTheListShort) {
  EpochDomain domain;
  for (int i = 0; i < 10'000; ++i) {
    domain.Retire(new Object(1), &Free);
    ASSERT_LE(g_alive, 100);
  }
}

TEST(Epoch, DestructionFreesTheRest) {
  {
    EpochDomain domain;
    for (int i = 0; i < 10; ++i) domain.Retire(new Object(1), &Free);
    EXPECT_GT(g_alive, 0);
  }
  EXPECT_EQ(g_alive, 0);
}

TEST(Epoch, AllSlotsInUseMakesTheNextReaderWait) {
  EpochDomain domain;
  std::vector<std::unique_ptr<EpochDomain::Guard>> guards;
  for (int i = 0; i < EpochDomain::kMaxReaders; ++i) {
    guards.push_back(std::make_unique<EpochDomain::Guard>(&domain));
  }
  std::atomic<bool> entered{false};
  std::thread reader([&] {
    EpochDomain::Guard guard(&domain);
    entered = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(entered);
  guards.erase(guards.begin() + 77);
  reader.join();
  EXPECT_TRUE(entered);
}

// A guard may end on another thread than it began on.
TEST(Epoch, GuardMovesBetweenThreads) {
  EpochDomain domain;
  std::optional<EpochDomain::Guard> guard;
  std::thread([&] { guard.emplace(&domain); }).join();
  domain.Retire(new Object(1), &Free);
  domain.Collect();
  EXPECT_EQ(g_alive, 1);
  std::thread([&] { guard.reset(); }).join();
  domain.Collect();
  EXPECT_EQ(g_alive, 0);
}

TEST(Epoch, ReadersNeverMeetFreedObjects) {
  EpochDomain domain;
  std::atomic<Object*> shared[4];
  for (auto& pointer : shared) pointer = new Object(0);
  std::atomic<bool> done{false};
  std::atomic<uint64_t> torn{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < 3; ++t) {
    readers.emplace_back([&] {
      while (!done.load(std::memory_order_relaxed)) {
        EpochDomain::Guard guard(&domain);
        for (const auto& pointer : shared) {
          const Object* object = pointer.load(std::memory_order_acquire);
          if (object->twice != 2 * object->value) ++torn;
        }
      }
    });
  }
  std::vector<std::thread> writers;
  for (int t = 0; t < 2; ++t) {
    writers.emplace_back([&, t] {
      for (uint64_t i = 1; i < 20'000; ++i) {
        Object* old = shared[2 * t + i % 2].exchange(new Object(i + 2), std::memory_order_acq_rel);
        domain.Retire(old, &Free);
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(torn, 0u);
  domain.Collect();
  EXPECT_EQ(g_alive, 4);
  for (auto& pointer : shared) delete pointer.load();
}

}  // namespace
}  // namespace fletch
