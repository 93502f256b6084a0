// SPDX-License-Identifier: Apache-2.0
#include "server/engine/field_index.h"

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/field_word.h"
#include "storage/row_codec.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

constexpr int64_t kTtl = 50;

std::shared_ptr<const View> MakeView() {
  ViewSchema schema;
  schema.view_id = 3;
  schema.name = "v";
  schema.ttl_micros = kTtl;
  schema.fields = {{.name = "number", .type = {ValueType::kInt64}, .indexed = true},
                   {.name = "other", .type = {ValueType::kInt64}},
                   {.name = "text", .type = {ValueType::kString}, .indexed = true}};
  return std::make_shared<const View>(View{schema, RowLayout(schema.fields)});
}

std::string Row(const View& view, std::optional<int64_t> number, std::optional<std::string> text) {
  Column numbers{.type = {ValueType::kInt64}, .row_count = 1};
  numbers.int64s = {number.value_or(0)};
  if (!number) numbers.null_rows = {0};
  Column texts{.type = {ValueType::kString}, .row_count = 1};
  texts.strings = {text.value_or("")};
  if (!text) texts.null_rows = {0};
  return RowEncoder(&view.layout, {&numbers, nullptr, &texts}).Encode(0);
}

// What was applied last.
struct Newest {
  Latest::State state = Latest::State::kAbsent;
  int64_t event_time = 0;
  uint64_t changed_seq = 0;
  std::optional<int64_t> number;
  std::optional<std::string> text;
};

class World {
 public:
  World() : view_(MakeView()), index_(view_, {0, 2}) {}

  void Change(std::mt19937_64* random, Ordinal entity, int64_t now) {
    Newest& newest = newest_[entity];
    newest = {};
    newest.changed_seq = ++seq_;
    newest.event_time = now - 80 + static_cast<int64_t>((*random)() % 100);
    newest.state = static_cast<Latest::State>((*random)() % 8 < 6 ? 1 : (*random)() % 3);
    if ((*random)() % 5 != 0) newest.number = static_cast<int64_t>((*random)() % 7) - 3;
    if ((*random)() % 5 != 0) newest.text = std::string(1 + (*random)() % 2, 'a' + (*random)() % 4);
    Apply(entity, newest);
  }
  void Apply(Ordinal entity, const Newest& newest) {
    const std::string row = newest.state == Latest::State::kRow
                                ? Row(*view_, newest.number, newest.text)
                                : std::string();
    index_.Apply(entity,
                 {3, newest.state, newest.event_time, newest.changed_seq, newest.changed_seq, row});
  }
  void Erase(Ordinal entity) {
    newest_[entity] = {};
    index_.Erase(entity);
  }

  // Reads every entity and compares it with what was applied.
  void CheckReads(int64_t as_of, uint64_t read_seq) {
    const std::vector<uint8_t> slots = {0, 1};
    for (Ordinal entity = 0; entity < 60; ++entity) {
      FieldIndex::Record record;
      const FieldIndex::Look look = index_.Read(entity, as_of, read_seq, slots, &record);
      const Newest& newest = newest_[entity];
      const bool absent = newest.state == Latest::State::kAbsent;
      auto expected = FieldIndex::Look::kRow;
      if (newest.changed_seq > read_seq || (!absent && newest.event_time > as_of)) {
        expected = FieldIndex::Look::kAsk;
      } else if (newest.state != Latest::State::kRow || as_of - newest.event_time > kTtl) {
        expected = FieldIndex::Look::kMissing;
      }
      ASSERT_EQ(look, expected) << entity;
      if (look != FieldIndex::Look::kRow) continue;
      EXPECT_EQ(record.nulls, (newest.number ? 0u : 1u) | (newest.text ? 0u : 2u));
      if (newest.number) {
        EXPECT_EQ(IntOfWord(record.words[0]), *newest.number);
      }
      if (newest.text) {
        EXPECT_EQ(index_.texts(1)->text(static_cast<Ordinal>(record.words[1])), *newest.text);
      }
    }
  }

  // Every row that is not in the future, and of a commit that is seen, stands in its orders, or is
  // named beside them.
  void CheckOrders(int64_t as_of, uint64_t read_seq) {
    const auto orders = index_.orders();
    if (orders == nullptr || read_seq < orders->base_seq || as_of < orders->newest_time) return;
    ++orders_checked;
    std::vector<bool> named(60);
    for (const Ordinal entity : orders->always) named[entity] = true;
    for (uint32_t i = 0; i < orders->changed_count(); ++i) named[orders->changed(i)] = true;
    for (size_t slot = 0; slot < 2; ++slot) {
      const FieldOrder& order = orders->fields[slot];
      std::vector<bool> found = named;
      for (const Ordinal entity : order.entities({0, order.size()})) found[entity] = true;
      for (const auto& [entity, newest] : newest_) {
        const bool has_value = slot == 0 ? newest.number.has_value() : newest.text.has_value();
        if (newest.state != Latest::State::kRow || !has_value) continue;
        EXPECT_TRUE(found[entity]) << entity;
        if (named[entity]) continue;
        EXPECT_LE(newest.changed_seq, read_seq);
        EXPECT_LE(newest.event_time, as_of);
        CheckPlace(order, slot, entity, newest);
      }
    }
  }
  void CheckPlace(const FieldOrder& order, size_t slot, Ordinal entity, const Newest& newest) {
    const auto before = [&](uint64_t word, bool through) {
      if (slot == 0)
        return through ? IntOfWord(word) <= *newest.number : IntOfWord(word) < *newest.number;
      const auto text = index_.texts(1)->text(static_cast<Ordinal>(word));
      return through ? text <= *newest.text : text < *newest.text;
    };
    const FieldOrder::Slice slice{
        order.CountWhile([&](uint64_t word) { return before(word, false); }),
        order.CountWhile([&](uint64_t word) { return before(word, true); })};
    const auto slice_entities = order.entities(slice);
    EXPECT_EQ(std::count(slice_entities.begin(), slice_entities.end(), entity), 1) << entity;
  }

  std::shared_ptr<const View> view_;
  FieldIndex index_;
  std::map<Ordinal, Newest> newest_;
  uint64_t seq_ = 0;
  int orders_checked = 0;
};

TEST(FieldIndexTest, IsEqualToAMapOfTheLatest) {
  std::mt19937_64 random = SeededRandom();
  World world;
  int64_t now = 1000;
  for (int step = 0; step < 6000; ++step) {
    const auto entity = static_cast<Ordinal>(random() % 50);
    if (random() % 40 == 0) {
      world.Erase(entity);
    } else {
      world.Change(&random, entity, now);
    }
    if (random() % 4 == 0) now += static_cast<int64_t>(random() % 15);
    if (random() % 10 == 0) world.index_.Maintain(now, [] { return false; });
    if (random() % 8 != 0) continue;
    const int64_t as_of = now - static_cast<int64_t>(random() % 2 * (random() % 60));
    const uint64_t read_seq = world.seq_ - random() % 2 * (random() % 30);
    world.CheckReads(as_of, read_seq);
    world.CheckOrders(as_of, read_seq);
  }
  EXPECT_GT(world.orders_checked, 100);
  EXPECT_GT(world.index_.bytes(), 50u * 5 * 8);
}

TEST(FieldIndexTest, AnUnreadableRowIsAskedOfTheFacts) {
  World world;
  world.index_.Apply(1, {3, Latest::State::kRow, 5, 1, 1, "x"});
  world.index_.Maintain(10, [] { return false; });
  FieldIndex::Record record;
  const std::vector<uint8_t> slots = {0};
  EXPECT_EQ(world.index_.Read(0, 10, 1, slots, &record), FieldIndex::Look::kMissing);
  EXPECT_EQ(world.index_.Read(1, 10, 1, slots, &record), FieldIndex::Look::kAsk);
  EXPECT_EQ(world.index_.orders()->always, std::vector<Ordinal>{1});
}

TEST(FieldIndexTest, ManyChangesAreMergedIntoTheOrders) {
  World world;
  EXPECT_TRUE(world.index_.Maintain(10, [] { return false; }));
  EXPECT_FALSE(world.index_.Maintain(10, [] { return false; }));
  Newest newest{Latest::State::kRow, 5, 0, 1, "x"};
  for (Ordinal entity = 0; entity < 2000; ++entity) {
    newest.changed_seq = entity + 1;
    world.Apply(entity, newest);
  }
  EXPECT_EQ(world.index_.orders()->changed_count(), 2000u);
  EXPECT_FALSE(world.index_.Maintain(10, [] { return true; }));
  EXPECT_TRUE(world.index_.Maintain(10, [] { return false; }));
  EXPECT_EQ(world.index_.orders()->changed_count(), 0u);
  EXPECT_EQ(world.index_.orders()->fields[0].size(), 2000u);
  EXPECT_EQ(world.index_.orders()->base_seq, 2000u);
}

// Words of one row are written together: number and text always say the same.
TEST(FieldIndexTest, ReadersNeverSeeHalfARow) {
  World world;
  constexpr Ordinal kEntities = 4;
  std::atomic<bool> done{false};
  std::atomic<uint64_t> published{0};
  std::vector<std::thread> threads;
  std::atomic<uint64_t> rows{0};
  for (int r = 0; r < 2; ++r) {
    threads.emplace_back([&] {
      const std::vector<uint8_t> slots = {0, 1};
      FieldIndex::Record record;
      while (!done) {
        const uint64_t read_seq = published.load(std::memory_order_acquire);
        for (Ordinal entity = 0; entity < kEntities; ++entity) {
          if (world.index_.Read(entity, 40, read_seq, slots, &record) != FieldIndex::Look::kRow) {
            continue;
          }
          const int64_t number = IntOfWord(record.words[0]);
          ASSERT_EQ(world.index_.texts(1)->text(static_cast<Ordinal>(record.words[1])),
                    std::to_string(number));
          ++rows;
        }
      }
    });
  }
  threads.emplace_back([&] {
    while (!done) world.index_.Maintain(40, [] { return false; });
  });
  for (uint64_t seq = 1; seq <= 20'000 || rows < 1000; ++seq) {
    const auto number = static_cast<int64_t>(seq % 100);
    world.Apply(static_cast<Ordinal>(seq % kEntities),
                {Latest::State::kRow, 20, seq, number, std::to_string(number)});
    published.store(seq, std::memory_order_release);
    if (seq % 64 == 0) std::this_thread::yield();
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace fletch
