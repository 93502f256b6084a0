// SPDX-License-Identifier: Apache-2.0
// EventIndex against a brute force, commit after commit, and with readers beside the writer.
#include "server/engine/event_index.h"

#include <atomic>
#include <random>
#include <thread>

#include "server/engine/window_oracle_testing.h"
#include "storage/memory_kv_store.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

using namespace window_testing;  // the oracle is half of this test

constexpr int64_t kSecond = 1'000'000;
constexpr uint64_t kNoBudget = uint64_t{1} << 40;

class EventIndexTest : public testing::Test {
 protected:
  // Some facts a commit around `now`, most of them late, some of the future.
  void AddCommit(uint64_t commit, int64_t now, int64_t entities = 2) {
    WorldOptions options;
    options.entities = entities;
    options.first_time = now - 900 * kSecond;
    options.times = 1000;
    options.step = kSecond;
    AddRandomCommit(*source_, options, commit, random_, &history_);
  }

  // Stores commits [first, last] at once, then applies them one by one, as a group is.
  void CommitGroup(uint64_t first, uint64_t last, int64_t time, EventIndex* index) {
    KvBatch batch;
    for (const History::Entry& entry : history_.facts) {
      if (entry.commit < first || entry.commit > last) continue;
      AddFact(Fact{{kView, entry.identity, entry.commit}, entry.form, entry.row}, &batch);
    }
    ASSERT_TRUE(store_->Write(batch, /*sync=*/false).ok());
    for (uint64_t commit = first; commit <= last; ++commit) {
      index->Apply(commit, time, ChangesOf(history_, commit));
    }
  }

  // True when it answered, which must be right.
  bool Ask(const WindowPlan& plan, int64_t entity, int64_t as_of, uint64_t read_seq, bool may_block,
           EventIndex* index) {
    const auto row = index->Evaluate(plan, EntityKey(entity), as_of, read_seq, 0, may_block);
    EXPECT_TRUE(row.ok()) << row.status();
    if (!row.ok() || !row->has_value()) return false;
    ExpectRow(plan.view(), history_, EntityKey(entity), as_of, read_seq, **row);
    return true;
  }

  std::mt19937_64 random_ = SeededRandom();
  const std::shared_ptr<const View> source_ = MakeSource();
  const std::shared_ptr<const AggregationView> view_ = MakeWindows({20 * kSecond, 600 * kSecond});
  const WindowPlan plan_{view_, AllOf(*view_)};
  const std::unique_ptr<KvStore> store_ = NewMemoryKvStore();
  History history_;
};

TEST_F(EventIndexTest, EqualsTheBruteForceAfterEveryGroup) {
  EventIndex index(store_.get(), kNoBudget);
  index.Refresh({{view_}});
  int answers = 0, repeated = 0;
  uint64_t last = 0;
  for (int64_t now = 2000 * kSecond; now < 4000 * kSecond && !HasFatalFailure();
       now += 1 + static_cast<int64_t>(random_() % 30) * kSecond) {
    const uint64_t first = last + 1;
    const uint64_t before = last;
    for (uint64_t n = 1 + random_() % 3; n > 0; --n) AddCommit(++last, now);
    CommitGroup(first, last, now, &index);
    const auto entity = static_cast<int64_t>(random_() % 3) - 1;
    answers += Ask(plan_, entity, now, last, true, &index) ? 1 : 0;
    // What readers of the group before ask, and questions that waited for some time.
    if (before > 0) repeated += Ask(plan_, entity, now, before, false, &index) ? 1 : 0;
    Ask(plan_, entity, now - static_cast<int64_t>(random_() % 100) * kSecond, last, false, &index);
  }
  EXPECT_EQ(index.entity_count(), 3u);
  EXPECT_GT(answers, 100);
  EXPECT_GT(repeated, 50);
}

TEST_F(EventIndexTest, WhatIsNotLoadedIsOnlyReadByThoseWhoMayWait) {
  EventIndex index(store_.get(), kNoBudget);
  index.Refresh({{view_}});
  AddCommit(1, 0);
  CommitGroup(1, 1, 0, &index);
  EXPECT_FALSE(Ask(plan_, 1, 0, 1, false, &index));
  EXPECT_TRUE(Ask(plan_, 1, 0, 1, true, &index));
  EXPECT_TRUE(Ask(plan_, 1, 0, 1, false, &index));
  // Before what is kept.
  EXPECT_FALSE(Ask(plan_, 1, -1000 * kSecond, 1, true, &index));
  EXPECT_TRUE(Ask(plan_, 1, 1000 * kSecond, 1, true, &index));
}

TEST_F(EventIndexTest, PrunesWhatNoWindowReaches) {
  EventIndex index(store_.get(), kNoBudget);
  index.Refresh({{view_}});
  ASSERT_TRUE(Ask(plan_, 0, 0, 0, true, &index));
  uint64_t commit = 0;
  uint64_t most = 0;
  for (int64_t now = 0; now < 20'000 * kSecond; now += 10 * kSecond) {
    AddCommit(++commit, now, 1);
    CommitGroup(commit, commit, now, &index);
    if (now == 5000 * kSecond) most = index.bytes();
  }
  ASSERT_TRUE(Ask(plan_, 0, 20'000 * kSecond, commit, false, &index));
  EXPECT_LT(index.bytes(), 3 * most);
  EXPECT_GT(index.bytes(), 0u);
}

TEST_F(EventIndexTest, KeepsToItsBudget) {
  constexpr uint64_t kBudget = 100'000;
  EventIndex index(store_.get(), kBudget);
  index.Refresh({{view_}});
  uint64_t commit = 0;
  for (; commit < 500;) {
    AddCommit(++commit, 0, 200);
    CommitGroup(commit, commit, 0, &index);
  }
  for (int64_t entity = 0; entity < 200; ++entity) {
    ASSERT_TRUE(Ask(plan_, entity, 0, commit, true, &index));
    ASSERT_LE(index.bytes(), kBudget);
  }
  EXPECT_GT(index.entity_count(), 5u);
  EXPECT_LT(index.entity_count(), 150u);
  EXPECT_FALSE(Ask(plan_, 0, 0, commit, false, &index));  // the least recently used
  EXPECT_TRUE(Ask(plan_, 199, 0, commit, false, &index));
}

TEST_F(EventIndexTest, OneLargeEntityDoesNotDriveOthersOut) {
  EventIndex index(store_.get(), 200'000);
  index.Refresh({{view_}});
  ASSERT_TRUE(Ask(plan_, 5, 0, 0, true, &index));  // no events
  uint64_t commit = 0;
  while (commit < 1000) AddCommit(++commit, 0, 1);
  CommitGroup(1, commit, 0, &index);
  EXPECT_TRUE(Ask(plan_, 0, 0, commit, true, &index));
  EXPECT_FALSE(Ask(plan_, 0, 0, commit, false, &index));
  EXPECT_TRUE(Ask(plan_, 5, 0, commit, false, &index));
}

TEST_F(EventIndexTest, FollowsTheCatalog) {
  const auto shorter = MakeWindows({20 * kSecond});
  const WindowPlan short_plan(shorter, AllOf(*shorter));
  EventIndex index(store_.get(), kNoBudget);
  EXPECT_FALSE(index.IsSource(kView));
  EXPECT_FALSE(Ask(short_plan, 0, 0, 0, true, &index));
  index.Refresh({{shorter}});
  EXPECT_TRUE(index.IsSource(kView));
  AddCommit(1, 0);
  CommitGroup(1, 1, 0, &index);
  EXPECT_TRUE(Ask(short_plan, 0, 0, 1, true, &index));
  EXPECT_FALSE(Ask(plan_, 0, 0, 1, true, &index));  // not known yet
  index.Refresh({{shorter, view_}});
  EXPECT_FALSE(Ask(short_plan, 0, 0, 1, false, &index));
  EXPECT_TRUE(Ask(plan_, 0, 0, 1, true, &index));
  EXPECT_TRUE(Ask(short_plan, 0, 0, 1, false, &index));
  index.Refresh({{view_}});  // what is kept still covers it
  EXPECT_TRUE(Ask(plan_, 0, 0, 1, false, &index));
  index.Refresh({});
  EXPECT_FALSE(index.IsSource(kView));
  EXPECT_EQ(index.entity_count(), 0u);
  EXPECT_EQ(index.bytes(), 0u);
  EXPECT_FALSE(Ask(plan_, 0, 0, 1, true, &index));
}

TEST_F(EventIndexTest, ForgetsAnErasedEntity) {
  EventIndex index(store_.get(), kNoBudget);
  index.Refresh({{view_}});
  AddCommit(1, 0);
  CommitGroup(1, 1, 0, &index);
  ASSERT_TRUE(Ask(plan_, 0, 0, 1, true, &index));
  ASSERT_TRUE(Ask(plan_, 1, 0, 1, true, &index));
  index.Forget(kView, EntityKey(0));
  EXPECT_FALSE(Ask(plan_, 0, 0, 1, false, &index));
  EXPECT_TRUE(Ask(plan_, 1, 0, 1, false, &index));
}

// Entities are loaded and evicted and the catalog changes while commits come.
TEST_F(EventIndexTest, ReadersBesideTheWriterSeeTheirCommit) {
  constexpr uint64_t kCommits = 600;
  constexpr int64_t kNow = 1000 * kSecond;
  for (uint64_t commit = 1; commit <= kCommits; ++commit) AddCommit(commit, kNow, 6);
  std::vector<std::vector<FactChange>> changes;
  for (uint64_t commit = 0; commit <= kCommits; ++commit) {
    changes.push_back(ChangesOf(history_, commit));
  }
  EventIndex index(store_.get(), 150'000);
  index.Refresh({{view_}});
  struct Sample {
    int64_t entity;
    uint64_t read_seq;
    std::string row;
  };
  std::atomic<uint64_t> applied{0};
  std::atomic<bool> failed{false};
  std::vector<std::vector<Sample>> samples(3);
  std::vector<std::thread> readers;
  for (size_t reader = 0; reader < samples.size(); ++reader) {
    readers.emplace_back([&, reader, seed = random_()] {
      std::mt19937_64 random(seed);
      while (applied.load() < kCommits) {
        const uint64_t read_seq = applied.load();
        const auto entity = static_cast<int64_t>(random() % 11) - 5;
        const auto row =
            index.Evaluate(plan_, EntityKey(entity), kNow, read_seq, 0, random() % 3 == 0);
        if (!row.ok()) failed = true;
        if (row.ok() && row->has_value()) samples[reader].push_back({entity, read_seq, **row});
      }
    });
  }
  size_t stored = 0;
  for (uint64_t commit = 1; commit <= kCommits; ++commit) {
    KvBatch batch;
    for (; stored < history_.facts.size() && history_.facts[stored].commit == commit; ++stored) {
      const History::Entry& entry = history_.facts[stored];
      AddFact(Fact{{kView, entry.identity, entry.commit}, entry.form, entry.row}, &batch);
    }
    EXPECT_TRUE(store_->Write(batch, /*sync=*/false).ok());
    if (commit % 200 == 0) {
      index.Refresh({});
      index.Refresh({{view_}});
    }
    index.Apply(commit, kNow + static_cast<int64_t>(commit), changes[commit]);
    applied = commit;
    std::this_thread::yield();
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_FALSE(failed.load());
  size_t checked = 0;
  for (const std::vector<Sample>& list : samples) {
    for (size_t i = 0; i < list.size() && !HasFatalFailure(); i += 1 + list.size() / 60) {
      const Sample& sample = list[i];
      ExpectRow(*view_, history_, EntityKey(sample.entity), kNow, sample.read_seq, sample.row);
      ++checked;
    }
  }
  EXPECT_GT(checked, 30u);
}

}  // namespace
}  // namespace fletch
