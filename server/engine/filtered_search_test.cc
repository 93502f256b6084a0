// SPDX-License-Identifier: Apache-2.0
// Searches with filters through an engine with indexed fields are equal to those of one without.
#include <array>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "gtest/gtest.h"
#include "server/engine/catalog_test_support.h"
#include "server/engine/engine.h"
#include "server/engine/random_filter_testing.h"
#include "storage/memory_kv_store.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int kItems = 60;

std::string Views(bool indexed, bool more) {
  const std::string all = indexed ? " indexed: true " : "";
  const std::string some = indexed && more ? " indexed: true " : "";
  return StrCat(
      "objects { entity { name: 'item' join_keys { name: 'item' type: INT64 } } } "
      "objects { feature_view { name: 'look' entity: 'item' max_future_skew { seconds: 60 } "
      "fields { name: 'vector' type: FLOAT_VECTOR dimension: 2 index { metric: L2 } } "
      "fields { name: 'size' type: INT64",
      all,
      "} } } objects { feature_view { name: 'offer' entity: 'item' ttl { seconds: 15 } "
      "max_future_skew { seconds: 60 } fields { name: 'price' type: DOUBLE",
      all, "} fields { name: 'title' type: STRING", some,
      "} fields { name: 'stock' type: INT64 } } }");
}

// Two engines that are told the same.
class FilteredSearchTest : public testing::Test {
 protected:
  struct Side {
    std::shared_ptr<KvStore> store = NewMemoryKvStore();
    std::unique_ptr<MetricRegistry> metrics;
    std::unique_ptr<Engine> engine;
  };
  // A store that outlives its engine.
  class Borrowed : public KvStore {
   public:
    explicit Borrowed(std::shared_ptr<KvStore> store) : store_(std::move(store)) {}
    absl::Status Write(const KvBatch& batch, bool sync) override {
      return store_->Write(batch, sync);
    }
    absl::StatusOr<std::optional<std::string>> Get(Family f, std::string_view key) const override {
      return store_->Get(f, key);
    }
    std::unique_ptr<KvIterator> NewIterator(Family f) const override {
      return store_->NewIterator(f);
    }
    std::vector<std::unique_ptr<KvIterator>> NewIterators(
        absl::Span<const Family> families) const override {
      return store_->NewIterators(families);
    }
    absl::Status Compact(absl::Span<const KeyRange> ranges) override {
      return store_->Compact(ranges);
    }
    uint64_t DiskBytes() const override { return store_->DiskBytes(); }

   private:
    const std::shared_ptr<KvStore> store_;
  };

  void Open() {
    for (Side& side : sides_) {
      side.engine.reset();
      side.metrics = std::make_unique<MetricRegistry>();
      EngineOptions options;
      options.background = &side == &sides_[0];  // orders are made in the background
      auto engine = Engine::Open(std::make_unique<Borrowed>(side.store), &clock_,
                                 side.metrics.get(), options);
      ASSERT_TRUE(engine.ok()) << engine.status();
      side.engine = *std::move(engine);
    }
  }
  void Apply(bool more) {
    for (Side& side : sides_) {
      auto request = FromText<v1::ApplyRequest>(Views(&side == &sides_[0], more));
      request.set_project("p");
      const auto response = side.engine->Apply(request);
      ASSERT_TRUE(response.ok()) << response.status();
    }
  }
  void Both(const std::function<void(Engine*, Engine::WriteDone)>& ask) {
    for (Side& side : sides_) {
      std::promise<absl::StatusOr<WriteReceipt>> done;
      ask(side.engine.get(),
          [&](absl::StatusOr<WriteReceipt> receipt) { done.set_value(std::move(receipt)); });
      const absl::StatusOr<WriteReceipt> receipt = done.get_future().get();
      ASSERT_TRUE(receipt.ok() || absl::IsNotFound(receipt.status())) << receipt.status();
    }
  }

  static Column Ints(std::vector<int64_t> values) {
    Column column{.type = {ValueType::kInt64}, .row_count = values.size()};
    column.int64s = std::move(values);
    return column;
  }
  int64_t RandomTime() {
    const int64_t now = clock_.NowMicros();
    if (random_() % 6 == 0) return now + static_cast<int64_t>(random_() % (5 * kSecond));
    return now - static_cast<int64_t>(random_() % (20 * kSecond));
  }
  void Write() {
    const bool look = random_() % 3 == 0;
    RowBatch batch{look ? "look" : "offer", 1, {}, {RandomTime()}, false};
    batch.columns.push_back({"item", Ints({static_cast<int64_t>(random_() % kItems)})});
    if (look) {
      Column vector{.type = {ValueType::kFloatVector, false, 2}, .row_count = 1};
      vector.floats = {static_cast<float>(random_() % 8), static_cast<float>(random_() % 8)};
      if (random_() % 10 == 0) {
        vector.floats = {0, 0};
        vector.null_rows = {0};
      }
      batch.columns.push_back({"vector", vector});
      batch.columns.push_back({"size", RandomCell(ValueType::kInt64, &random_)});
    } else {
      batch.columns.push_back({"price", RandomCell(ValueType::kDouble, &random_)});
      batch.columns.push_back({"title", RandomCell(ValueType::kString, &random_)});
      batch.columns.push_back({"stock", RandomCell(ValueType::kInt64, &random_)});
    }
    Both([&](Engine* engine, Engine::WriteDone done) {
      WriteRequest request;
      request.project = "p";
      request.batches = {batch};
      engine->Write(std::move(request), Call{}, std::move(done));
    });
  }
  void Remove() {
    KeyedRequest request;
    request.project = "p";
    request.feature_view = random_() % 2 == 0 ? "look" : "offer";
    request.row_count = 1;
    request.keys = {{"item", Ints({static_cast<int64_t>(random_() % kItems)})}};
    request.event_times = {RandomTime()};
    Both([&](Engine* engine, Engine::WriteDone done) {
      engine->DeleteRows(request, Call{}, std::move(done));
    });
  }
  void Erase() {
    EraseRequest request;
    request.project = "p";
    request.entity = "item";
    request.row_count = 1;
    request.keys = {{"item", Ints({static_cast<int64_t>(random_() % kItems)})}};
    for (Side& side : sides_) ASSERT_TRUE(side.engine->Erase(request, Call{}).ok());
  }

  void Compare() {
    SearchRequest request;
    request.project = "p";
    request.index = "look:vector";
    request.vector = {static_cast<float>(random_() % 8), static_cast<float>(random_() % 8)};
    request.top_k = 1 + random_() % 30;
    request.exact = random_() % 2 == 0;
    request.as_of = clock_.NowMicros();
    if (random_() % 4 == 0) *request.as_of -= static_cast<int64_t>(random_() % (20 * kSecond));
    const uint64_t applied = sides_[0].engine->applied_seq();
    ASSERT_EQ(sides_[1].engine->applied_seq(), applied);
    if (random_() % 4 == 0) {
      request.known_at = KnownAt{false, applied - random_() % std::min<uint64_t>(applied, 15), 0};
    }
    request.filter = RandomFilter({{"look:size", ValueType::kInt64},
                                   {"offer:price", ValueType::kDouble},
                                   {"offer:title", ValueType::kString},
                                   {"offer:stock", ValueType::kInt64}},
                                  0, &random_);
    std::array<SearchAnswer, 2> answers;
    for (size_t i = 0; i < 2; ++i) {
      auto answer = sides_[i].engine->Search(request, Call{});
      ASSERT_TRUE(answer.ok()) << answer.status() << FilterText(*request.filter);
      answers[i] = *std::move(answer);
    }
    EXPECT_TRUE(answers[1].plan.indexed_refs.empty());
    indexed_ += answers[0].plan.indexed_refs.empty() ? 0 : 1;
    listed_ += answers[0].plan.strategy == "exact_filtered" &&
                       answers[0].plan.candidates_visited < answers[1].plan.candidates_visited
                   ? 1
                   : 0;
    ASSERT_EQ(answers[0].keys[0].column.int64s, answers[1].keys[0].column.int64s)
        << FilterText(*request.filter) << " " << answers[0].plan.reason;
    ASSERT_EQ(answers[0].scores, answers[1].scores);
    ASSERT_EQ(answers[0].event_times, answers[1].event_times);
    hits_ += answers[0].scores.size();
  }

  std::mt19937_64 random_ = SeededRandom();
  FakeClock clock_{1'000'000 * kSecond};
  std::array<Side, 2> sides_;
  uint64_t indexed_ = 0;
  uint64_t listed_ = 0;
  uint64_t hits_ = 0;
};

TEST_F(FilteredSearchTest, IndexesChangeNoAnswer) {
  Open();
  Apply(false);
  for (int step = 0; step < 1000 && !HasFatalFailure(); ++step) {
    clock_.Advance(static_cast<int64_t>(random_() % (kSecond / 4)));
    const uint64_t action = random_() % 400;
    if (action < 3) {
      Erase();
    } else if (action < 8) {
      Apply(random_() % 2 == 0);
    } else if (action < 12) {
      Open();
    } else if (action < 20) {
      std::this_thread::sleep_for(std::chrono::milliseconds(60));  // orders are made
    } else if (action < 40) {
      Remove();
    } else {
      Write();
    }
    if (step % 2 == 0) Compare();
  }
  EXPECT_GT(indexed_, 100u);
  EXPECT_GT(listed_, 0u);
  EXPECT_GT(hits_, 200u);
}

// 3,000 items, so that orders are merged again while searches run.
TEST_F(FilteredSearchTest, SearchesGoOnWhileFieldsChange) {
  Open();
  Apply(true);
  Engine* const engine = sides_[0].engine.get();
  constexpr int64_t kMany = 3000;
  const auto write = [&](const std::string& view, std::vector<NamedColumn> columns, size_t rows) {
    std::promise<void> done;
    WriteRequest request;
    request.project = "p";
    request.batches = {
        {view, rows, std::move(columns), std::vector<int64_t>(rows, clock_.NowMicros()), false}};
    engine->Write(std::move(request), Call{}, [&](absl::StatusOr<WriteReceipt> receipt) {
      EXPECT_TRUE(receipt.ok()) << receipt.status();
      done.set_value();
    });
    done.get_future().wait();
  };
  const auto offers = [&](int64_t first, int64_t count, double price) {
    std::vector<int64_t> items;
    Column prices{.type = {ValueType::kDouble}, .row_count = static_cast<size_t>(count)};
    for (int64_t i = first; i < first + count; ++i) items.push_back(i);
    prices.doubles.assign(static_cast<size_t>(count), price);
    write("offer", {{"item", Ints(items)}, {"price", prices}}, static_cast<size_t>(count));
  };
  std::vector<int64_t> all;
  Column vectors{.type = {ValueType::kFloatVector, false, 2}, .row_count = kMany};
  for (int64_t i = 0; i < kMany; ++i) {
    all.push_back(i);
    vectors.floats.insert(vectors.floats.end(), {static_cast<float>(i), 0});
  }
  write("look", {{"item", Ints(all)}, {"vector", vectors}}, kMany);
  offers(0, kMany, 0);
  // Always just the first 50 cost 1: a commit lets all of them cost 1, or others.
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  for (int r = 0; r < 2; ++r) {
    readers.emplace_back([&] {
      while (!done) {
        SearchRequest request;
        request.project = "p";
        request.index = "look:vector";
        request.vector = {0, 0};
        request.top_k = 200;
        FilterSpec filter;
        filter.kind = FilterSpec::Kind::kCompare;
        filter.ref = "offer:price";
        filter.values = {1.0};
        request.filter = filter;
        const auto answer = engine->Search(request, Call{});
        ASSERT_TRUE(answer.ok()) << answer.status();
        ASSERT_EQ(answer->scores.size() % 50, 0u) << answer->plan.reason;
      }
    });
  }
  for (int round = 0; round < 40; ++round) {
    clock_.Advance(1000);
    offers(50 * (round % 60), 50, 1);
    offers(50 * (round % 60), 50, 2);
    if (round % 4 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(30));
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace fletch
