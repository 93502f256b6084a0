// SPDX-License-Identifier: Apache-2.0
#include "storage/online_table.h"

#include <gtest/gtest.h>

#include <chrono>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <thread>

namespace fletch {
namespace {

constexpr uint64_t kNoBudget = 1ull << 40;

OnlineSlot MakeSlot(ViewId view_id, uint64_t commit_seq, std::string_view row) {
  return {view_id,    Latest::State::kRow, static_cast<int64_t>(commit_seq) * 10,
          commit_seq, commit_seq + 1,      row};
}

std::string FindRow(const OnlineTable& table, EntityId entity_id, std::string_view key,
                    ViewId view_id) {
  OnlineTable::Reader reader(&table);
  const OnlineRecord* const record = reader.Find(entity_id, key);
  OnlineSlot slot;
  if (record == nullptr || !record->Find(view_id, &slot)) return "-";
  return std::string(slot.row);
}

TEST(OnlineTable, IsEmptyAtFirst) {
  OnlineTable table(1000);
  EXPECT_EQ(FindRow(table, 1, "k", 1), "-");
  EXPECT_EQ(table.entity_count(), 0u);
  EXPECT_EQ(table.bytes(), 0u);
  EXPECT_EQ(table.budget_bytes(), 1000u);
  EXPECT_TRUE(table.complete());
}

TEST(OnlineTable, KeepsAllPartsOfASlot) {
  OnlineTable table(kNoBudget);
  table.Set(1, "k", {7, Latest::State::kTombstone, -5, 100, 101, ""});
  table.Set(1, "k", {8, Latest::State::kRow, 6, 200, 201, "row"});
  table.Set(1, "k", {9, Latest::State::kAbsent, 0, 0, 300, ""});
  OnlineTable::Reader reader(&table);
  const OnlineRecord* const record = reader.Find(1, "k");
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->entity_key(), "k");
  OnlineSlot slot;
  ASSERT_TRUE(record->Find(7, &slot));
  EXPECT_EQ(slot.view_id, 7u);
  EXPECT_EQ(slot.state, Latest::State::kTombstone);
  EXPECT_EQ(slot.event_time, -5);
  EXPECT_EQ(slot.commit_seq, 100u);
  EXPECT_EQ(slot.changed_seq, 101u);
  EXPECT_EQ(slot.row, "");
  ASSERT_TRUE(record->Find(8, &slot));
  EXPECT_EQ(slot.state, Latest::State::kRow);
  EXPECT_EQ(slot.row, "row");
  ASSERT_TRUE(record->Find(9, &slot));
  EXPECT_EQ(slot.state, Latest::State::kAbsent);
  EXPECT_EQ(slot.changed_seq, 300u);
  EXPECT_FALSE(record->Find(10, &slot));
  EXPECT_EQ(table.entity_count(), 1u);
}

TEST(OnlineTable, EntitiesOfOneKeyAreApart) {
  OnlineTable table(kNoBudget);
  table.Set(1, "k", MakeSlot(1, 1, "of 1"));
  table.Set(2, "k", MakeSlot(1, 1, "of 2"));
  EXPECT_EQ(FindRow(table, 1, "k", 1), "of 1");
  EXPECT_EQ(FindRow(table, 2, "k", 1), "of 2");
  EXPECT_EQ(FindRow(table, 3, "k", 1), "-");
  EXPECT_EQ(FindRow(table, 1, std::string_view("k\0", 2), 1), "-");
}

TEST(OnlineTable, WhatAReaderFoundStaysAsItWas) {
  OnlineTable table(kNoBudget);
  table.Set(1, "k", MakeSlot(1, 1, "old"));
  OnlineTable::Reader reader(&table);
  const OnlineRecord* const record = reader.Find(1, "k");
  for (int i = 0; i < 1000; ++i) table.Set(1, "k", MakeSlot(1, 2, "new"));
  table.DropView(1, 1);
  OnlineSlot slot;
  ASSERT_TRUE(record->Find(1, &slot));
  EXPECT_EQ(slot.row, "old");
  EXPECT_EQ(reader.Find(1, "k"), nullptr);
}

TEST(OnlineTable, DropViewTakesOneViewOfOneEntityOut) {
  OnlineTable table(kNoBudget);
  for (int i = 0; i < 1000; ++i) {
    table.Set(1, std::to_string(i), MakeSlot(1, 1, "a"));
    if (i % 2 == 0) table.Set(1, std::to_string(i), MakeSlot(2, 1, "b"));
    table.Set(2, std::to_string(i), MakeSlot(1, 1, "c"));
  }
  table.DropView(1, 1);
  EXPECT_EQ(table.entity_count(), 1500u);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(FindRow(table, 1, std::to_string(i), 1), "-");
    EXPECT_EQ(FindRow(table, 1, std::to_string(i), 2), i % 2 == 0 ? "b" : "-");
    EXPECT_EQ(FindRow(table, 2, std::to_string(i), 1), "c");
  }
  EXPECT_TRUE(table.complete());
}

TEST(OnlineTable, RemoveTakesAllViewsOfOneEntityOut) {
  OnlineTable table(kNoBudget);
  for (const char* key : {"a", "b"}) {
    for (const ViewId view_id : {1, 2}) table.Set(1, key, MakeSlot(view_id, 1, "of 1"));
    table.Set(2, key, MakeSlot(1, 1, "of 2"));
  }
  {
    OnlineTable::Reader reader(&table);
    const OnlineRecord* const record = reader.Find(1, "a");
    table.Remove(1, "a");
    OnlineSlot slot;
    ASSERT_TRUE(record->Find(2, &slot));  // what was found stays until the reader goes
    EXPECT_EQ(slot.row, "of 1");
    EXPECT_EQ(reader.Find(1, "a"), nullptr);
  }
  EXPECT_EQ(table.entity_count(), 3u);
  EXPECT_EQ(FindRow(table, 1, "b", 2), "of 1");
  EXPECT_EQ(FindRow(table, 2, "a", 1), "of 2");
  const uint64_t bytes = table.bytes();
  table.Remove(1, "a");
  table.Remove(3, "b");
  EXPECT_EQ(table.bytes(), bytes);
  table.Set(1, "a", MakeSlot(1, 2, "back"));
  EXPECT_EQ(FindRow(table, 1, "a", 1), "back");
  EXPECT_TRUE(table.complete());
}

TEST(OnlineTable, BytesGoBackToWhereTheyWere) {
  OnlineTable table(kNoBudget);
  for (int i = 0; i < 5000; ++i) table.Set(1, std::to_string(i), MakeSlot(1, 1, "row"));
  const uint64_t bytes = table.bytes();
  EXPECT_GT(bytes, 5000u * 60);
  EXPECT_LT(bytes, 5000u * 200);
  for (int i = 0; i < 5000; ++i)
    table.Set(1, std::to_string(i), MakeSlot(2, 1, std::string(100, 'x')));
  EXPECT_GT(table.bytes(), bytes + 5000u * 100);
  table.DropView(1, 2);
  EXPECT_EQ(table.bytes(), bytes);
  // Churn fills cells with removed marks; they are swept out and the table does not grow for them.
  for (int round = 0; round < 20; ++round) {
    table.DropView(1, 1);
    EXPECT_EQ(table.entity_count(), 0u);
    for (int i = 0; i < 5000; ++i) {
      table.Set(1, std::to_string(round * 5000 + i), MakeSlot(1, 1, "row"));
    }
  }
  EXPECT_LT(table.bytes(), 5000u * 200);
  EXPECT_EQ(table.entity_count(), 5000u);
}

TEST(OnlineTable, BeyondTheBudgetNewSlotsAreLeftOut) {
  OnlineTable table(100'000);
  int kept = 0;
  while (table.complete()) {
    table.Set(1, std::to_string(kept), MakeSlot(1, 1, std::string(100, 'r')));
    if (table.complete()) ++kept;
    ASSERT_LE(table.bytes(), table.budget_bytes());
  }
  EXPECT_GT(kept, 100);
  EXPECT_EQ(table.entity_count(), static_cast<uint64_t>(kept));
  EXPECT_EQ(FindRow(table, 1, std::to_string(kept), 1), "-");
  for (int i = 0; i < kept; ++i) EXPECT_NE(FindRow(table, 1, std::to_string(i), 1), "-");
  // A second view does not fit either; the first stays.
  table.Set(1, "0", MakeSlot(2, 1, std::string(100'000, 's')));
  EXPECT_EQ(FindRow(table, 1, "0", 2), "-");
  EXPECT_EQ(FindRow(table, 1, "0", 1), std::string(100, 'r'));
  // A newer row of the same size takes the place of the older.
  table.Set(1, "0", MakeSlot(1, 2, std::string(100, 'n')));
  EXPECT_EQ(FindRow(table, 1, "0", 1), std::string(100, 'n'));
}

TEST(OnlineTable, ASlotThatNoLongerFitsIsNeverLeftStale) {
  OnlineTable table(10'000);
  table.Set(1, "k", MakeSlot(1, 1, "one"));
  table.Set(1, "k", MakeSlot(2, 1, "two"));
  table.Set(1, "k", MakeSlot(1, 2, std::string(20'000, 'x')));
  EXPECT_FALSE(table.complete());
  EXPECT_EQ(FindRow(table, 1, "k", 1), "-");
  EXPECT_EQ(FindRow(table, 1, "k", 2), "two");
  table.Set(1, "k", MakeSlot(2, 2, std::string(20'000, 'x')));
  EXPECT_EQ(table.entity_count(), 0u);
  EXPECT_EQ(FindRow(table, 1, "k", 2), "-");
  table.Set(1, "k", MakeSlot(1, 3, "three"));  // fits again
  EXPECT_EQ(FindRow(table, 1, "k", 1), "three");
  EXPECT_FALSE(table.complete());
}

using Model = std::map<std::pair<EntityId, std::string>, std::map<ViewId, std::string>>;

void ExpectEqual(const OnlineTable& table, const Model& model) {
  ASSERT_EQ(table.entity_count(), model.size());
  OnlineTable::Reader reader(&table);
  for (EntityId entity_id = 0; entity_id < 3; ++entity_id) {
    std::set<std::string> seen;
    reader.ForEach(entity_id, [&](const OnlineRecord& record) {
      const std::string key(record.entity_key());
      EXPECT_TRUE(seen.insert(key).second);
      const auto found = model.find({entity_id, key});
      ASSERT_NE(found, model.end());
      EXPECT_EQ(reader.Find(entity_id, key), &record);
      for (ViewId view_id = 0; view_id < 4; ++view_id) {
        OnlineSlot slot;
        const auto row = found->second.find(view_id);
        ASSERT_EQ(record.Find(view_id, &slot), row != found->second.end());
        if (row == found->second.end()) continue;
        ASSERT_EQ(slot.row, row->second);
        ASSERT_EQ(slot.commit_seq, row->second.size());
      }
    });
    size_t expected = 0;
    for (const auto& entry : model) expected += entry.first.first == entity_id ? 1 : 0;
    ASSERT_EQ(seen.size(), expected);
  }
}

TEST(OnlineTable, RandomOperationsEqualAMap) {
  const uint64_t seed = std::random_device()();
  std::cout << "seed " << seed << "\n";
  std::mt19937_64 random(seed);
  OnlineTable table(kNoBudget);
  Model model;
  for (int step = 0; step < 40'000; ++step) {
    const EntityId entity_id = random() % 3;
    const ViewId view_id = random() % 4;
    if (random() % 4000 == 0) {
      table.DropView(entity_id, view_id);
      for (auto entry = model.begin(); entry != model.end();) {
        if (entry->first.first == entity_id) entry->second.erase(view_id);
        entry = entry->second.empty() ? model.erase(entry) : std::next(entry);
      }
    } else if (const std::string key = std::to_string(random() % (step < 20'000 ? 100 : 20'000));
               random() % 20 == 0) {
      table.Remove(entity_id, key);
      model.erase({entity_id, key});
    } else {
      const std::string row(random() % 200, static_cast<char>(random()));
      table.Set(entity_id, key, MakeSlot(view_id, row.size(), row));
      model[{entity_id, key}][view_id] = row;
    }
    if (step % 4000 == 0) ExpectEqual(table, model);
  }
  ExpectEqual(table, model);
}

// The row of commit n is n times the same letter: a torn or freed record shows.
bool IsWhole(const OnlineSlot& slot) {
  if (slot.row.size() != slot.commit_seq % 97) return false;
  for (const char c : slot.row) {
    if (c != static_cast<char>('a' + slot.commit_seq % 26)) return false;
  }
  return true;
}

OnlineSlot WholeSlot(ViewId view_id, uint64_t commit_seq, std::string* row) {
  row->assign(commit_seq % 97, static_cast<char>('a' + commit_seq % 26));
  return MakeSlot(view_id, commit_seq, *row);
}

TEST(OnlineTable, ReadersBesideAWriterSeeWholeRecordsThatNeverGoBack) {
  constexpr int kKeys = 2000;
  OnlineTable table(kNoBudget);
  std::atomic<bool> done{false};
  std::atomic<int> faults{0};
  std::atomic<uint64_t> found{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < 3; ++t) {
    readers.emplace_back([&, t] {
      std::mt19937_64 random(t);
      std::vector<uint64_t> newest(kKeys, 0);
      while (!done.load(std::memory_order_relaxed)) {
        OnlineTable::Reader reader(&table);
        const int i = static_cast<int>(random() % kKeys);
        const OnlineRecord* const record = reader.Find(1, std::to_string(i));
        OnlineSlot slot;
        if (record != nullptr && record->Find(1, &slot)) {
          if (!IsWhole(slot) || slot.commit_seq < newest[i]) ++faults;
          newest[i] = slot.commit_seq;
          ++found;
        }
        if (random() % 1000 == 0) {
          reader.ForEach(1, [&](const OnlineRecord& each) {
            if (each.Find(1, &slot) && !IsWhole(slot)) ++faults;
          });
        }
      }
    });
  }
  std::mt19937_64 random(99);
  std::string row;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  uint64_t seq = 0;
  while (std::chrono::steady_clock::now() < end) {
    for (int i = 0; i < 100; ++i) {
      ++seq;
      const std::string key = std::to_string(random() % kKeys);
      table.Set(1, key, WholeSlot(1, seq, &row));
      if (i % 10 == 0) table.Set(1, key, WholeSlot(2, seq, &row));
    }
    if (random() % 50 == 0) table.DropView(1, 2);
    if (random() % 200 == 0) table.DropView(1, 1);
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(faults, 0);
  EXPECT_GT(found, 1000u);
}

}  // namespace
}  // namespace fletch
