// SPDX-License-Identifier: Apache-2.0
// What is erased and compacted is in no file.
#include "gtest/gtest.h"
#include "storage/entity_key.h"
#include "storage/fact_life_testing.h"
#include "storage/fact_maintenance.h"
#include "storage/rocksdb_dump_testing.h"
#include "storage/rocksdb_kv_store.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

class RocksDbCompactTest : public testing::Test {
 protected:
  RocksDbCompactTest() {
    schema_.view_id = 3;
    schema_.name = "v";
    schema_.join_keys = {{"user", ValueType::kString}};
    Open();
  }

  void Open() {
    store_.reset();
    RocksDbOptions options;
    options.block_cache_bytes = 8u << 20;
    options.write_buffer_bytes = 1u << 20;
    auto store = OpenRocksDbKvStore(folder_.path(), options);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  // Differs from its neighbours early: indexes of tables hold made-up keys, such as 1015 between
  // 1014 and 1016, which are nobody's.
  static std::string Name(int user) { return "user-" + std::to_string(1000 + user) + "-by-name"; }
  static std::string Key(int user) {
    std::string key;
    AppendStringKey(Name(user), &key);
    return key;
  }
  static std::string Row(int user) { return "secret of " + Name(user); }

  void Write(int user, int64_t from, int64_t to) {
    KvBatch batch;
    for (int64_t t = from; t < to; ++t) {
      AddFact({{schema_.view_id, {Key(user), t, false, ""}, static_cast<uint64_t>(t) + 1},
               FactForm::kRow,
               Row(user)},
              &batch);
    }
    batch.Put(Family::kLatest, LatestKey(schema_.view_id, Key(user)),
              EncodeLatest({Latest::State::kRow, to - 1, static_cast<uint64_t>(to), 1, Row(user)}));
    ASSERT_TRUE(store_->Write(batch, false).ok());
  }
  void Fold() { ASSERT_TRUE(FoldView(store_.get(), schema_, "", UINT64_MAX).ok()); }
  void Erase(int user) {
    EXPECT_GT(EraseEntity(store_.get(), schema_, Key(user)).value(), 0u);
    KvBatch batch;
    batch.Delete(Family::kLatest, LatestKey(schema_.view_id, Key(user)));
    ASSERT_TRUE(store_->Write(batch, true).ok());
  }
  void Compact(int user) {
    const absl::Status compacted = store_->Compact(EntityRanges(schema_, Key(user)));
    ASSERT_TRUE(compacted.ok()) << compacted;
  }

  // The name is in the key and in the row.
  std::set<std::string> Traces(int user) const { return FilesHolding(folder_.path(), Name(user)); }

  TempFolder folder_;
  ViewSchema schema_;
  std::unique_ptr<KvStore> store_;
};

TEST_F(RocksDbCompactTest, WhatWasErasedIsInNoFile) {
  for (int user = 0; user < 30; ++user) Write(user, 0, 100);
  Fold();
  ASSERT_TRUE(store_->Compact(ViewRanges(schema_)).ok());
  for (int user = 0; user < 30; ++user) Write(user, 100, 150);
  Fold();
  for (int user = 0; user < 30; ++user) Write(user, 150, 160);
  // The first and the last are the bounds of tables, which manifests name.
  EXPECT_EQ(Traces(0), (std::set<std::string>{"log", "manifest", "table"}));
  EXPECT_EQ(Traces(29), (std::set<std::string>{"log", "manifest", "table"}));
  EXPECT_EQ(Traces(15), (std::set<std::string>{"log", "table"}));
  for (const int user : {0, 15, 29}) {
    Erase(user);
    EXPECT_FALSE(Traces(user).empty());  // until:
    Compact(user);
    EXPECT_EQ(Traces(user), std::set<std::string>{});
  }
  EXPECT_FALSE(Traces(1).empty());
  Open();
  for (const int user : {0, 15, 29}) EXPECT_EQ(Traces(user), std::set<std::string>{});
  FactReader reader(store_.get());
  EXPECT_FALSE(reader.FindVisible(schema_, Key(15), 1000, 1000).value().has_value());
  EXPECT_EQ(reader.FindVisible(schema_, Key(16), 1000, 1000).value()->event_time, 159);
}

TEST_F(RocksDbCompactTest, AnErasureBeforeARestartIsCompactedAfterIt) {
  for (int user = 0; user < 5; ++user) Write(user, 0, 100);
  Erase(4);
  Open();
  EXPECT_FALSE(Traces(4).empty());
  Compact(4);
  EXPECT_EQ(Traces(4), std::set<std::string>{});
  // Nothing is in memory now, so this one has nothing to flush but the logs.
  Compact(4);
  EXPECT_EQ(Traces(4), std::set<std::string>{});
  EXPECT_FALSE(Traces(3).empty());
}

TEST_F(RocksDbCompactTest, AReaderKeepsWhatItSeesUntilItGoes) {
  for (int user = 0; user < 5; ++user) Write(user, 0, 100);
  ASSERT_TRUE(store_->Compact(ViewRanges(schema_)).ok());
  {
    FactReader reader(store_.get());
    EXPECT_TRUE(reader.FindVisible(schema_, Key(2), 50, 1000).value().has_value());
    Erase(2);
    Compact(2);
    EXPECT_TRUE(reader.FindVisible(schema_, Key(2), 50, 1000).value().has_value());
    EXPECT_EQ(Traces(2), std::set<std::string>{"table"});
  }
  Compact(2);
  EXPECT_EQ(Traces(2), std::set<std::string>{});
}

TEST_F(RocksDbCompactTest, RandomLivesWithRestarts) {
  std::mt19937_64 random = SeededRandom();
  uint64_t folded = 0;
  for (int life = 0; life < 6 && !testing::Test::HasFailure(); ++life) {
    KvBatch empty;
    for (const Family family : {Family::kFacts, Family::kBlocks}) {
      empty.DeleteRange(family, "", "\xFF\xFF");
    }
    ASSERT_TRUE(store_->Write(empty, false).ok());
    FactLife one(
        [&] {
          Open();
          return store_.get();
        },
        life % 2 == 0 ? 60 : 2000, &random);
    one.Run(40);
    folded += one.facts_folded();
  }
  EXPECT_GT(folded, 6u * 200u);
}

}  // namespace
}  // namespace fletch
