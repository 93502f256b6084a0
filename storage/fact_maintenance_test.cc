// SPDX-License-Identifier: Apache-2.0
#include "storage/fact_maintenance.h"

#include <atomic>
#include <thread>

#include "base/limits.h"
#include "gtest/gtest.h"
#include "storage/entity_key.h"
#include "storage/fact_block.h"
#include "storage/fact_life_testing.h"
#include "storage/memory_kv_store.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

TEST(FactLifeTest, EveryReaderAnswersAsTheBruteForceWhateverWasMaintained) {
  std::mt19937_64 random = SeededRandom();
  uint64_t folded = 0;
  uint64_t dropped = 0;
  for (int life = 0; life < 60 && !testing::Test::HasFailure(); ++life) {
    std::unique_ptr<KvStore> store = NewMemoryKvStore();
    FactLife one([&] { return store.get(); },
                 life % 3 == 0   ? 7
                 : life % 3 == 1 ? 60
                                 : 2000,
                 &random);
    one.Run(40);
    folded += one.facts_folded();
    dropped += one.facts_dropped();
  }
  EXPECT_GT(folded, 60u * 200u);  // else the lives were too easy
  EXPECT_GT(dropped, 60u * 20u);
}

class FoldTest : public testing::Test {
 protected:
  FoldTest() {
    schema_.view_id = 3;
    schema_.name = "trips";
    schema_.join_keys = {{"user", ValueType::kInt64}};
    schema_.event_keys = {{"order", ValueType::kInt64}};
  }
  static std::string Key(int64_t value) {
    std::string key;
    AppendInt64Key(value, &key);
    return key;
  }
  // A row at each of [from, to) of its own commit.
  void Write(int64_t user, int64_t from, int64_t to, size_t row_bytes = 10) {
    KvBatch batch;
    for (int64_t t = from; t < to; ++t) {
      AddFact({{schema_.view_id, {Key(user), t, false, Key(0)}, ++commit_},
               FactForm::kRow,
               std::string(row_bytes, static_cast<char>('a' + t % 26))},
              &batch);
    }
    ASSERT_TRUE(store_->Write(batch, false).ok());
  }
  void WriteInstant(int64_t user, int64_t t, int64_t count, size_t row_bytes) {
    KvBatch batch;
    for (int64_t i = 0; i < count; ++i) {
      AddFact({{schema_.view_id, {Key(user), t, false, Key(i)}, ++commit_},
               FactForm::kRow,
               std::string(row_bytes, 'i')},
              &batch);
    }
    ASSERT_TRUE(store_->Write(batch, false).ok());
  }
  FoldResult Fold(uint64_t budget = UINT64_MAX) {
    auto result = FoldView(store_.get(), schema_, "", budget);
    EXPECT_TRUE(result.ok()) << result.status();
    return *std::move(result);
  }
  size_t CountKeys(Family family) const {
    size_t count = 0;
    const auto iterator = store_->NewIterator(family);
    for (iterator->Seek(""); iterator->Valid(); iterator->Next()) ++count;
    return count;
  }
  // Facts of each block, newest block first; checks that they are whole and apart.
  std::vector<size_t> Blocks(int64_t user) const {
    std::vector<size_t> counts;
    const std::string prefix = FactPrefix(schema_.view_id, Key(user));
    const auto iterator = store_->NewIterator(Family::kBlocks);
    int64_t before = INT64_MAX;
    for (iterator->Seek(prefix); iterator->Valid() && iterator->key().starts_with(prefix);
         iterator->Next()) {
      const FactBlock block = FactBlock::Parse(iterator->value()).value();
      EXPECT_TRUE(block.Check().ok());
      EXPECT_EQ(iterator->key(), FactBlockKey(prefix, block.oldest()));
      EXPECT_LT(block.newest(), before);
      before = block.oldest();
      counts.push_back(block.count());
    }
    return counts;
  }
  uint64_t FactsOf(int64_t user) const {
    uint64_t count = 0;
    FactReader reader(store_.get());
    EXPECT_TRUE(reader
                    .ReadEntity(schema_, Key(user), INT64_MIN, INT64_MAX, UINT64_MAX, true,
                                [&](const FactRef&) {
                                  ++count;
                                  return absl::OkStatus();
                                })
                    .ok());
    return count;
  }

  ViewSchema schema_;
  std::unique_ptr<KvStore> store_ = NewMemoryKvStore();
  uint64_t commit_ = 0;
};

constexpr int64_t kFoldRows = limits::kFoldRows;
constexpr int64_t kFewRows = limits::kFoldFewRows;
constexpr int64_t kPerBlock = limits::kFactsPerBlock;

TEST_F(FoldTest, FewRowsStayRows) {
  Write(1, 0, kFewRows - 1);
  Write(2, 0, kFewRows);
  const FoldResult result = Fold();
  EXPECT_EQ(result.rows_folded, limits::kFoldFewRows);
  EXPECT_EQ(result.rows_seen, 2 * limits::kFoldFewRows - 1);
  EXPECT_TRUE(result.resume_key.empty());
  EXPECT_EQ(Blocks(1), std::vector<size_t>{});
  EXPECT_EQ(Blocks(2), std::vector<size_t>{limits::kFoldFewRows});
  EXPECT_EQ(CountKeys(Family::kFacts), limits::kFoldFewRows - 1);
}

TEST_F(FoldTest, RowsJoinABlockOnceTheyAreManyBesideIt) {
  constexpr int64_t kStored = 2 * kFewRows * static_cast<int64_t>(limits::kFoldRewrites);
  static_assert(kStored > kFewRows && 2 * kFewRows < kFoldRows);
  Write(1, 0, kStored);
  EXPECT_EQ(Fold().rows_folded, static_cast<uint64_t>(kStored));
  Write(1, kStored, kStored + 2 * kFewRows - 1);
  EXPECT_EQ(Fold().rows_folded, 0u);
  Write(1, kStored + 2 * kFewRows - 1, kStored + 2 * kFewRows);
  EXPECT_EQ(Fold().facts_rewritten, static_cast<uint64_t>(kStored));
  EXPECT_EQ(Blocks(1), std::vector<size_t>{kStored + 2 * limits::kFoldFewRows});
}

TEST_F(FoldTest, FewRowsBesideSeveralBlocksStayRows) {
  Write(1, 0, kPerBlock + kFewRows);
  EXPECT_EQ(Fold().blocks_written, 2u);
  Write(1, kPerBlock + kFewRows, kPerBlock + kFewRows + kFoldRows - 1);
  EXPECT_EQ(Fold().rows_folded, 0u);
  Write(1, kPerBlock + kFewRows + kFoldRows - 1, kPerBlock + kFewRows + kFoldRows);
  EXPECT_EQ(Fold().rows_folded, limits::kFoldRows);
}

TEST_F(FoldTest, NewerFactsFillTheNewestBlockThenBeginAnother) {
  for (int64_t t = 0; t < 3 * kPerBlock; t += kFoldRows) {
    Write(1, t, t + kFoldRows);
    const FoldResult result = Fold();
    EXPECT_EQ(result.blocks_written, 1u);
    EXPECT_EQ(result.facts_rewritten, static_cast<uint64_t>(t % kPerBlock));
  }
  EXPECT_EQ(Blocks(1), std::vector<size_t>(3, limits::kFactsPerBlock));
  EXPECT_EQ(FactsOf(1), 3 * limits::kFactsPerBlock);
  EXPECT_EQ(CountKeys(Family::kFacts), 0u);
}

TEST_F(FoldTest, OlderFactsFillTheOldestBlock) {
  for (int64_t t = 2 * kPerBlock; t > 0; t -= kFoldRows) {
    Write(1, t - kFoldRows, t);
    Fold();
  }
  EXPECT_EQ(Blocks(1), std::vector<size_t>(2, limits::kFactsPerBlock));
}

TEST_F(FoldTest, LateFactsSplitTheBlocksTheyFallInto) {
  Write(1, 0, 4 * kPerBlock);
  EXPECT_EQ(Fold().blocks_written, 4u);
  WriteInstant(1, kPerBlock + 5, kFoldRows, 10);
  const FoldResult result = Fold();
  EXPECT_EQ(result.facts_rewritten, limits::kFactsPerBlock);
  EXPECT_EQ(result.blocks_written, 2u);
  EXPECT_EQ(FactsOf(1), 4 * limits::kFactsPerBlock + limits::kFoldRows);
}

TEST_F(FoldTest, AnInstantStaysWholeUnlessItIsTooLarge) {
  WriteInstant(1, 7, 3 * kPerBlock, 10);
  Fold();
  EXPECT_EQ(Blocks(1), std::vector<size_t>{3 * limits::kFactsPerBlock});
  const size_t row_bytes = limits::kMaxFactBlockBytes / 20;
  WriteInstant(2, 7, 40, row_bytes);
  Write(2, 8, 8 + kFoldRows);
  Write(2, 0, 7);
  Fold();
  EXPECT_EQ(Blocks(2).size(), 1u);
  EXPECT_EQ(CountKeys(Family::kFacts), 40u);
  EXPECT_EQ(FactsOf(2), 40 + limits::kFoldRows + 7);
}

TEST_F(FoldTest, WideRowsMakeSmallerBlocks) {
  const size_t row_bytes = limits::kFactBlockBytes / 10;
  Write(1, 0, 40, row_bytes);
  Fold();
  for (const size_t count : Blocks(1)) EXPECT_LE(count, 10u);
  EXPECT_EQ(FactsOf(1), 40u);
}

TEST_F(FoldTest, AHugeEntityGoesInChunksAndBudgets) {
  Write(1, 0, 10'000);
  Write(2, 0, 100);
  std::string resume;
  int calls = 0;
  do {
    const FoldResult result = FoldView(store_.get(), schema_, resume, 1000).value();
    resume = result.resume_key;
    ++calls;
  } while (!resume.empty());
  EXPECT_GE(calls, 3);
  EXPECT_EQ(CountKeys(Family::kFacts), 0u);
  EXPECT_EQ(FactsOf(1), 10'000u);
  EXPECT_LE(Blocks(1).size(), 10'000u / limits::kFactsPerBlock + 8);
  EXPECT_EQ(Fold().rows_seen, 0u);
}

TEST_F(FoldTest, FoldingTwiceAfterAnOldCopyCameBackChangesNothing) {
  Write(1, 0, 40);
  KvBatch rows_again;  // as if a crash had kept the blocks and brought the rows back
  const auto iterator = store_->NewIterator(Family::kFacts);
  for (iterator->Seek(""); iterator->Valid(); iterator->Next()) {
    rows_again.Put(Family::kFacts, std::string(iterator->key()), std::string(iterator->value()));
  }
  Fold();
  ASSERT_TRUE(store_->Write(rows_again, false).ok());
  EXPECT_EQ(FactsOf(1), 40u);
  EXPECT_EQ(EraseEntity(store_.get(), schema_, Key(9)).value(), 0u);
  Fold();
  EXPECT_EQ(Blocks(1), std::vector<size_t>{40});
  EXPECT_EQ(EraseEntity(store_.get(), schema_, Key(1)).value(), 40u);
  EXPECT_EQ(CountKeys(Family::kFacts) + CountKeys(Family::kBlocks), 0u);
}

TEST_F(FoldTest, DamageIsDataLossAndNothingIsWritten) {
  Write(1, 0, 100);
  Fold();
  const auto iterator = store_->NewIterator(Family::kBlocks);
  iterator->Seek("");
  KvBatch batch;
  batch.Put(Family::kBlocks, std::string(iterator->key()), "damaged");
  ASSERT_TRUE(store_->Write(batch, false).ok());
  Write(1, 50, 90);
  const auto code = absl::StatusCode::kDataLoss;
  EXPECT_EQ(FoldView(store_.get(), schema_, "", 1000).status().code(), code);
  EXPECT_EQ(DropHistory(store_.get(), schema_, 50, 1, "", 10).status().code(), code);
  EXPECT_EQ(EraseEntity(store_.get(), schema_, Key(1)).status().code(), code);
  EXPECT_EQ(CountKeys(Family::kFacts), 40u);
  FactReader reader(store_.get());
  EXPECT_EQ(reader.FindVisible(schema_, Key(1), 99, UINT64_MAX).status().code(), code);
}

// One commit is one fact more; a reader that begins after commit n sees n facts, folded or not.
TEST_F(FoldTest, ReadersAndCommitsBesideFolds) {
  std::atomic<uint64_t> committed{0};
  std::atomic<bool> done{false};
  std::atomic<int> faults{0};
  std::thread writer([&] {
    for (uint64_t n = 0; n < 4000; ++n) {
      KvBatch batch;
      AddFact(
          {{schema_.view_id, {Key(1), static_cast<int64_t>(n * 7 % 1000), false, Key(0)}, n + 1},
           FactForm::kRow,
           "r"},
          &batch);
      if (!store_->Write(batch, false).ok()) ++faults;
      committed = n + 1;
    }
    done = true;
  });
  std::thread reader([&] {
    while (!done) {
      const uint64_t known_at = committed;
      uint64_t seen = 0;
      FactReader facts(store_.get());
      const absl::Status read =
          facts.ReadEntity(schema_, Key(1), 0, 1000, known_at, true, [&](const FactRef&) {
            ++seen;
            return absl::OkStatus();
          });
      if (!read.ok() || seen != known_at) ++faults;
    }
  });
  while (!done) Fold();
  writer.join();
  reader.join();
  Fold();
  EXPECT_EQ(faults, 0);
  EXPECT_EQ(FactsOf(1), 4000u);
  EXPECT_LT(CountKeys(Family::kFacts), limits::kFoldRows);
}

class DropTest : public FoldTest {
 protected:
  void Retract(int64_t user, int64_t t) {
    KvBatch batch;
    AddFact(
        {{schema_.view_id, {Key(user), t, false, Key(0)}, ++commit_}, FactForm::kRetraction, ""},
        &batch);
    ASSERT_TRUE(store_->Write(batch, false).ok());
  }
  uint64_t Drop(int64_t horizon, uint64_t floor) {
    return DropHistory(store_.get(), schema_, horizon, floor, "", 100).value().facts_dropped;
  }
};

TEST_F(DropTest, OneFactBeforeTheHorizonStays) {
  Write(1, 0, 300);
  Fold();
  Write(1, 300, 310);
  EXPECT_EQ(Drop(200, commit_), 199u);  // 199 stays: what a retraction at 200 would show
  EXPECT_EQ(Drop(200, commit_), 0u);
  EXPECT_EQ(Drop(306, commit_), 106u);
  EXPECT_EQ(FactsOf(1), 5u);
  EXPECT_EQ(Drop(10'000, commit_), 4u);
}

TEST_F(DropTest, WhatOnlyAnEarlierCommitSawStaysWhileThatMayBeAskedAbout) {
  Write(1, 10, 12);  // commits 1 and 2
  Retract(1, 11);    // commit 3
  EXPECT_EQ(Drop(100, 2), 0u);
  EXPECT_EQ(Drop(100, 3), 2u);  // the fact at 11 and its retraction
  EXPECT_EQ(FactsOf(1), 1u);
}

TEST_F(DropTest, WholeBlocksGo) {
  Write(1, 0, 10 * kPerBlock);
  Fold();
  EXPECT_EQ(Drop(9 * kPerBlock, commit_), 9 * limits::kFactsPerBlock - 1);
  EXPECT_EQ(Blocks(1), (std::vector<size_t>{limits::kFactsPerBlock, 1}));
}

}  // namespace
}  // namespace fletch
