// SPDX-License-Identifier: Apache-2.0
#include "server/engine/commit_log.h"

#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "storage/memory_kv_store.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

struct Group {
  int64_t time;
  uint64_t last_seq;
};

uint64_t ByPlainLoop(const std::vector<Group>& groups, int64_t time) {
  uint64_t seq = 0;
  for (const Group& group : groups) {
    if (group.time <= time) seq = group.last_seq;
  }
  return seq;
}

TEST(CommitLogTest, CommitsAtTimesAreThoseOfAPlainLoop) {
  std::mt19937_64 random = SeededRandom();
  for (int life = 0; life < 200; ++life) {
    const std::unique_ptr<KvStore> store = NewMemoryKvStore();
    KvBatch batch;
    batch.Put(Family::kCommits, "S", "stands before the times");
    std::vector<Group> groups;
    int64_t time = -20;
    uint64_t seq = 0;
    for (uint64_t count = random() % 12; count > 0; --count) {
      time += static_cast<int64_t>(random() % 4);  // two groups may share a time
      seq += 1 + random() % 3;
      groups.push_back({time, seq});
      AddCommitTime(seq, time, &batch);
    }
    ASSERT_TRUE(store->Write(batch, /*sync=*/false).ok());
    std::vector<int64_t> times;
    for (uint64_t count = random() % 30; count > 0; --count) {
      times.push_back(static_cast<int64_t>(random() % 60) - 30);
    }
    const std::vector<uint64_t> seqs = CommitsAtTimes(*store, times).value();
    ASSERT_EQ(seqs.size(), times.size());
    for (size_t i = 0; i < times.size(); ++i) {
      EXPECT_EQ(seqs[i], ByPlainLoop(groups, times[i])) << times[i];
      EXPECT_EQ(CommitAtTime(*store, times[i]).value(), seqs[i]);
    }
  }
}

}  // namespace
}  // namespace fletch
