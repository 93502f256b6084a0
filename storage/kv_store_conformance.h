// SPDX-License-Identifier: Apache-2.0
// What every KvStore must do. A test program includes this once and instantiates KvStoreConformance
// with a way to make its store.
#ifndef FLETCH_STORAGE_KV_STORE_CONFORMANCE_H_
#define FLETCH_STORAGE_KV_STORE_CONFORMANCE_H_

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "storage/kv_store.h"

namespace fletch {

// Makes an empty store and owns it.
class StoreHolder {
 public:
  virtual ~StoreHolder() = default;
  virtual KvStore* store() = 0;
  // Closes the store and opens it again. Does nothing where nothing lasts.
  virtual void Reopen() = 0;
};

using MakeStoreHolder = std::unique_ptr<StoreHolder> (*)();

class KvStoreConformance : public testing::TestWithParam<MakeStoreHolder> {
 protected:
  using Pairs = std::vector<std::pair<std::string, std::string>>;

  KvStore& store() { return *holder_->store(); }

  void Put(Family family, std::string key, std::string value) {
    KvBatch batch;
    batch.Put(family, std::move(key), std::move(value));
    ASSERT_TRUE(store().Write(batch, /*sync=*/false).ok());
  }

  std::optional<std::string> Get(Family family, std::string_view key) {
    auto value = store().Get(family, key);
    EXPECT_TRUE(value.ok()) << value.status();
    return value.value_or(std::nullopt);
  }

  static Pairs Forward(KvIterator* iterator) {
    Pairs pairs;
    for (iterator->Seek(""); iterator->Valid(); iterator->Next()) {
      pairs.emplace_back(iterator->key(), iterator->value());
    }
    EXPECT_TRUE(iterator->status().ok()) << iterator->status();
    return pairs;
  }

  std::unique_ptr<KvIterator> NewFrozen(Family family) {
    return std::move(store().NewIterators({family})[0]);
  }

  Pairs All(Family family) { return Forward(store().NewIterator(family).get()); }

  const std::unique_ptr<StoreHolder> holder_ = GetParam()();
};

TEST_P(KvStoreConformance, GetFindsWhatWasPut) {
  EXPECT_EQ(Get(Family::kMeta, "k"), std::nullopt);
  Put(Family::kMeta, "k", "v");
  EXPECT_EQ(Get(Family::kMeta, "k"), "v");
  EXPECT_EQ(Get(Family::kMeta, "k2"), std::nullopt);
  Put(Family::kMeta, "k", "");
  EXPECT_EQ(Get(Family::kMeta, "k"), "");
  Put(Family::kMeta, "", "of the empty key");
  EXPECT_EQ(Get(Family::kMeta, ""), "of the empty key");
}

TEST_P(KvStoreConformance, FamiliesAreApart) {
  for (int i = 0; i < kFamilyCount; ++i) Put(static_cast<Family>(i), "k", std::to_string(i));
  for (int i = 0; i < kFamilyCount; ++i) {
    EXPECT_EQ(All(static_cast<Family>(i)), (Pairs{{"k", std::to_string(i)}}));
  }
}

TEST_P(KvStoreConformance, ABatchAppliesInOrderAcrossFamilies) {
  Put(Family::kFacts, "a", "old");
  KvBatch batch;
  batch.Delete(Family::kFacts, "a");
  batch.Put(Family::kFacts, "a", "1");
  batch.Put(Family::kFacts, "b", "1");
  batch.Put(Family::kLatest, "a", "2");
  batch.DeleteRange(Family::kFacts, "b", "c");
  batch.Put(Family::kFacts, "bb", "3");
  batch.Put(Family::kFacts, "a", "4");
  batch.Delete(Family::kRequests, "never there");
  EXPECT_EQ(batch.ops().size(), 8u);
  ASSERT_TRUE(store().Write(batch, /*sync=*/true).ok());
  EXPECT_EQ(All(Family::kFacts), (Pairs{{"a", "4"}, {"bb", "3"}}));
  EXPECT_EQ(All(Family::kLatest), (Pairs{{"a", "2"}}));
  EXPECT_TRUE(store().Write(KvBatch(), /*sync=*/true).ok());
}

TEST_P(KvStoreConformance, KeysAreOrderedAsUnsignedBytes) {
  const std::vector<std::string> sorted = {std::string("\0", 1),
                                           std::string("\0\xFF", 2),
                                           "\x01",
                                           "A",
                                           "AA",
                                           "a",
                                           "\x7F",
                                           "\x80",
                                           "\xFF",
                                           "\xFF\xFF"};
  for (auto key = sorted.rbegin(); key != sorted.rend(); ++key)
    Put(Family::kFacts, *key, "v" + *key);
  const std::unique_ptr<KvIterator> iterator = store().NewIterator(Family::kFacts);
  std::vector<std::string> seen;
  for (const auto& [key, value] : Forward(iterator.get())) {
    EXPECT_EQ(value, "v" + key);
    seen.push_back(key);
  }
  EXPECT_EQ(seen, sorted);
  std::vector<std::string> back;
  for (iterator->SeekForPrev("\xFF\xFF\xFF"); iterator->Valid(); iterator->Prev()) {
    back.emplace(back.begin(), iterator->key());
  }
  EXPECT_EQ(back, sorted);
}

TEST_P(KvStoreConformance, SeeksStandOnTheNearestKey) {
  for (const char* key : {"b", "d", "f"}) Put(Family::kFacts, key, key);
  const std::unique_ptr<KvIterator> iterator = store().NewIterator(Family::kFacts);
  EXPECT_FALSE(iterator->Valid());
  const auto at = [&] { return iterator->Valid() ? std::string(iterator->key()) : "-"; };
  const std::array<std::array<const char*, 3>, 7> cases = {{{"a", "b", "-"},
                                                            {"b", "b", "b"},
                                                            {"c", "d", "b"},
                                                            {"d", "d", "d"},
                                                            {"e", "f", "d"},
                                                            {"f", "f", "f"},
                                                            {"g", "-", "f"}}};
  for (const auto& [key, next, previous] : cases) {
    iterator->Seek(key);
    EXPECT_EQ(at(), next) << key;
    iterator->SeekForPrev(key);
    EXPECT_EQ(at(), previous) << key;
  }
  iterator->Seek("d");
  iterator->Next();
  EXPECT_EQ(at(), "f");
  iterator->Prev();
  iterator->Prev();
  EXPECT_EQ(at(), "b");
  iterator->Prev();
  EXPECT_EQ(at(), "-");
  iterator->Seek("f");
  iterator->Next();
  EXPECT_EQ(at(), "-");
  EXPECT_TRUE(iterator->status().ok());
}

TEST_P(KvStoreConformance, DeleteRangeLeavesItsEndAndNeighbours) {
  for (const char* key : {"a", "b", "b\xFF", "c", "d"}) Put(Family::kFacts, key, "v");
  for (const auto& [begin, end] : Pairs{{"c", "c"}, {"d", "a"}}) {
    KvBatch empty_range;
    empty_range.DeleteRange(Family::kFacts, begin, end);
    ASSERT_TRUE(store().Write(empty_range, false).ok());
    EXPECT_EQ(All(Family::kFacts).size(), 5u);
  }
  KvBatch batch;
  batch.DeleteRange(Family::kFacts, "b", "c");
  ASSERT_TRUE(store().Write(batch, false).ok());
  EXPECT_EQ(All(Family::kFacts), (Pairs{{"a", "v"}, {"c", "v"}, {"d", "v"}}));
  EXPECT_EQ(Get(Family::kFacts, "b"), std::nullopt);
  Put(Family::kFacts, "b", "again");
  EXPECT_EQ(Get(Family::kFacts, "b"), "again");
}

TEST_P(KvStoreConformance, FrozenIteratorsNeverSeeNewerWrites) {
  Put(Family::kFacts, "a", "1");
  Put(Family::kFacts, "b", "1");
  const std::unique_ptr<KvIterator> first = NewFrozen(Family::kFacts);
  Put(Family::kFacts, "a", "2");
  Put(Family::kFacts, "c", "2");
  const std::unique_ptr<KvIterator> second = NewFrozen(Family::kFacts);
  KvBatch batch;
  batch.DeleteRange(Family::kFacts, "", "z");
  ASSERT_TRUE(store().Write(batch, false).ok());
  EXPECT_EQ(Forward(first.get()), (Pairs{{"a", "1"}, {"b", "1"}}));
  EXPECT_EQ(Forward(second.get()), (Pairs{{"a", "2"}, {"b", "1"}, {"c", "2"}}));
  EXPECT_EQ(All(Family::kFacts), Pairs{});
}

TEST_P(KvStoreConformance, IteratorsMadeTogetherSeeOneState) {
  Put(Family::kFacts, "a", "1");
  Put(Family::kBlocks, "a", "1");
  const auto before = store().NewIterators({Family::kFacts, Family::kBlocks});
  KvBatch fold;
  fold.Delete(Family::kFacts, "a");
  fold.Put(Family::kBlocks, "a", "2");
  ASSERT_TRUE(store().Write(fold, false).ok());
  const auto after = store().NewSweep({Family::kBlocks, Family::kFacts});
  Put(Family::kBlocks, "a", "3");
  EXPECT_EQ(Forward(before[0].get()), (Pairs{{"a", "1"}}));
  EXPECT_EQ(Forward(before[1].get()), (Pairs{{"a", "1"}}));
  EXPECT_EQ(Forward(after[0].get()), (Pairs{{"a", "2"}}));
  EXPECT_EQ(Forward(after[1].get()), Pairs{});
  EXPECT_TRUE(store().NewIterators({}).empty());
}

// One value moves to and fro between two families; a reader always sees it in exactly one of them.
TEST_P(KvStoreConformance, IteratorsMadeBesideAWriterSeeWholeBatches) {
  Put(Family::kFacts, "k", "v");
  std::atomic<bool> done{false};
  std::atomic<int> faults{0};
  std::atomic<int> looks{0};
  std::thread reader([&] {
    while (!done) {
      const std::initializer_list<Family> both = {Family::kFacts, Family::kBlocks};
      const auto pair = looks % 2 == 0 ? store().NewIterators(both) : store().NewSweep(both);
      if (Forward(pair[0].get()).size() + Forward(pair[1].get()).size() != 1) ++faults;
      ++looks;
    }
  });
  for (int i = 0; i < 3000 || looks < 100; ++i) {
    const Family from = i % 2 == 0 ? Family::kFacts : Family::kBlocks;
    const Family to = i % 2 == 0 ? Family::kBlocks : Family::kFacts;
    KvBatch batch;
    batch.Delete(from, "k");
    batch.Put(to, "k", "v");
    ASSERT_TRUE(store().Write(batch, false).ok());
    const absl::Status compacted =
        i % 500 == 0 ? store().Compact({{Family::kFacts, "", "z"}}) : absl::OkStatus();
    ASSERT_TRUE(compacted.ok()) << compacted;
  }
  done = true;
  reader.join();
  EXPECT_EQ(faults, 0);
}

TEST_P(KvStoreConformance, CompactChangesNoAnswer) {
  for (const char* key : {"a", "b", "c"}) {
    Put(Family::kFacts, key, "old");
    Put(Family::kFacts, key, key);
    Put(Family::kLatest, key, key);
  }
  const auto before = store().NewIterators({Family::kFacts});
  KvBatch batch;
  batch.Delete(Family::kFacts, "b");
  ASSERT_TRUE(store().Write(batch, false).ok());
  const std::vector<KeyRange> ranges = {{Family::kFacts, "a", "c"}, {Family::kLatest, "b", "b"}};
  ASSERT_TRUE(store().Compact(ranges).ok());
  ASSERT_TRUE(store().Compact({}).ok());
  EXPECT_EQ(All(Family::kFacts), (Pairs{{"a", "a"}, {"c", "c"}}));
  EXPECT_EQ(All(Family::kLatest).size(), 3u);
  EXPECT_EQ(Forward(before[0].get()), (Pairs{{"a", "a"}, {"b", "b"}, {"c", "c"}}));
}

TEST_P(KvStoreConformance, ALargeValueComesBackWhole) {
  std::string value(5u << 20, '\0');
  std::mt19937_64 random(7);
  for (char& c : value) c = static_cast<char>(random());
  Put(Family::kFacts, "big", value);
  EXPECT_TRUE(Get(Family::kFacts, "big") == value);
  holder_->Reopen();
  EXPECT_TRUE(Get(Family::kFacts, "big") == value);
}

TEST_P(KvStoreConformance, ReadersAndIteratorsLiveBesideAWriter) {
  Put(Family::kFacts, "key-0", "key-0");
  std::atomic<bool> done{false};
  std::atomic<int> faults{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < 2; ++t) {
    readers.emplace_back([&, t] {
      while (!done) {
        const auto iterator =
            t == 0 ? store().NewIterator(Family::kFacts) : NewFrozen(Family::kFacts);
        std::string last;
        for (iterator->Seek(""); iterator->Valid(); iterator->Next()) {
          if (iterator->key() != iterator->value() || (!last.empty() && iterator->key() <= last))
            ++faults;
          last = iterator->key();
        }
        if (!store().Get(Family::kFacts, "key-0").ok()) ++faults;
      }
    });
  }
  for (int i = 0; i < 500; ++i) {
    KvBatch batch;
    const std::string key = "key-" + std::to_string(i % 97);
    i % 3 == 2 ? batch.Delete(Family::kFacts, key) : batch.Put(Family::kFacts, key, key);
    ASSERT_TRUE(store().Write(batch, false).ok());
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(faults, 0);
}

// Random operations against a std::map. The seed is printed; give it to `seed` to see a failure
// again.
class KvStoreModel {
 public:
  using Model = std::array<std::map<std::string, std::string>, kFamilyCount>;

  KvStoreModel(StoreHolder* holder, uint64_t seed) : holder_(holder), random_(seed) {}

  void Run(int steps) {
    for (int step = 0; step < steps && !testing::Test::HasFailure(); ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      const uint64_t dice = Below(100);
      if (dice < 60) {
        Write();
      } else if (dice < 80) {
        CheckGet();
      } else if (dice < 95) {
        Walk();
      } else if (dice < 98) {
        CheckSnapshot();
      } else if (dice < 99) {
        ASSERT_TRUE(holder_->store()->Compact({{RandomFamily(), RandomKey(), RandomKey()}}).ok());
      } else {
        holder_->Reopen();
      }
    }
    for (int i = 0; i < kFamilyCount; ++i) CheckAll(static_cast<Family>(i));
  }

 private:
  uint64_t Below(uint64_t n) { return random_() % n; }
  Family RandomFamily() { return static_cast<Family>(Below(kFamilyCount)); }
  std::map<std::string, std::string>& Of(Family family) {
    return model_[static_cast<size_t>(family)];
  }

  // Few and short, of bytes at the edges, so that keys collide and are prefixes of each other.
  std::string RandomKey() {
    static constexpr char kBytes[] = {'\0', '\1', 'a', 'b', '\x7F', '\x80', '\xFF'};
    std::string key(Below(4), '\0');
    for (char& c : key) c = kBytes[Below(sizeof kBytes)];
    return key;
  }

  void Write() {
    KvBatch batch;
    for (uint64_t left = 1 + Below(8); left > 0; --left) {
      const Family family = RandomFamily();
      auto& map = Of(family);
      const std::string key = RandomKey();
      const uint64_t dice = Below(10);
      if (dice < 6) {
        const std::string value(Below(100), static_cast<char>(Below(256)));
        batch.Put(family, key, value);
        map[key] = value;
      } else if (dice < 9) {
        batch.Delete(family, key);
        map.erase(key);
      } else {
        const std::string end = RandomKey();
        batch.DeleteRange(family, key, end);
        if (key < end) map.erase(map.lower_bound(key), map.lower_bound(end));
      }
    }
    ASSERT_TRUE(holder_->store()->Write(batch, Below(20) == 0).ok());
  }

  void CheckGet() {
    const Family family = RandomFamily();
    const std::string key = RandomKey();
    const auto value = holder_->store()->Get(family, key);
    ASSERT_TRUE(value.ok());
    const auto found = Of(family).find(key);
    const std::optional<std::string> expected =
        found == Of(family).end() ? std::nullopt : std::optional(found->second);
    ASSERT_EQ(*value, expected);
  }

  // Seeks, then steps to and fro.
  void Walk() {
    const Family family = RandomFamily();
    const auto& map = Of(family);
    const auto iterator = holder_->store()->NewIterator(family);
    const std::string key = RandomKey();
    auto expected = map.lower_bound(key);
    if (Below(2) == 0) {
      iterator->Seek(key);
    } else {
      iterator->SeekForPrev(key);
      const auto after = map.upper_bound(key);
      expected = after == map.begin() ? map.end() : std::prev(after);
    }
    for (int i = 0; i < 10; ++i) {
      ASSERT_EQ(iterator->Valid(), expected != map.end());
      if (!iterator->Valid()) return;
      ASSERT_EQ(iterator->key(), expected->first);
      ASSERT_EQ(iterator->value(), expected->second);
      if (Below(2) == 0) {
        iterator->Next();
        ++expected;
      } else {
        iterator->Prev();
        expected = expected == map.begin() ? map.end() : std::prev(expected);
      }
    }
  }

  void CheckSnapshot() {
    const Family family = RandomFamily();
    const auto frozen = Of(family);
    const auto iterator = std::move(holder_->store()->NewIterators({family})[0]);
    for (int i = 0; i < 3; ++i) Write();
    ExpectSame(iterator.get(), frozen);
  }

  void CheckAll(Family family) {
    ExpectSame(holder_->store()->NewIterator(family).get(), Of(family));
  }

  static void ExpectSame(KvIterator* iterator, const std::map<std::string, std::string>& expected) {
    std::map<std::string, std::string> seen;
    for (iterator->Seek(""); iterator->Valid(); iterator->Next()) {
      seen.emplace(iterator->key(), iterator->value());
    }
    ASSERT_TRUE(iterator->status().ok());
    ASSERT_EQ(seen, expected);
  }

  StoreHolder* const holder_;
  std::mt19937_64 random_;
  Model model_;
};

TEST_P(KvStoreConformance, RandomOperationsEqualAMap) {
  const uint64_t seed = std::random_device()();
  std::cout << "seed " << seed << "\n";
  RecordProperty("seed", std::to_string(seed));
  KvStoreModel(holder_.get(), seed).Run(2000);
}

}  // namespace fletch

#endif  // FLETCH_STORAGE_KV_STORE_CONFORMANCE_H_
