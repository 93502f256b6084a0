// SPDX-License-Identifier: Apache-2.0
// WindowReader against a brute force, on random histories at random (T, K).
#include "server/engine/window_reader.h"

#include <random>

#include "base/limits.h"
#include "server/engine/window_oracle_testing.h"
#include "storage/memory_kv_store.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

using namespace window_testing;  // the oracle is half of this test

class WindowReaderTest : public testing::Test {
 protected:
  void NewHistory(const WorldOptions& options, uint64_t commits) {
    history_ = {};
    for (uint64_t commit = 1; commit <= commits; ++commit) {
      AddRandomCommit(*source_, options, commit, random_, &history_);
    }
    store_ = NewMemoryKvStore();
    Store(history_, 0, store_.get());
  }

  void Ask(const AggregationView& view, const WindowPlan& plan, int64_t entity,
           const std::vector<WindowQuestion>& questions) {
    WindowReader reader(store_.get());
    std::vector<int> answers(questions.size(), 0);
    const absl::Status status = reader.Evaluate(
        plan, EntityKey(entity), questions, Call{}, [&](size_t index, std::string_view row) {
          ++answers.at(index);
          if (HasFatalFailure()) return;
          ExpectRow(view, history_, EntityKey(entity), questions[index].as_of,
                    questions[index].known_at, row);
        });
    ASSERT_TRUE(status.ok()) << status;
    for (const int count : answers) ASSERT_EQ(count, 1);
  }

  std::mt19937_64 random_ = SeededRandom();
  const std::shared_ptr<const View> source_ = MakeSource();
  History history_;
  std::unique_ptr<KvStore> store_;
};

TEST_F(WindowReaderTest, EqualsTheBruteForceAtRandomQuestions) {
  const auto view = MakeWindows({1, 7, 30, 1000});
  const WindowPlan plan(view, AllOf(*view));
  for (int history = 0; history < 40 && !HasFatalFailure(); ++history) {
    WorldOptions options;
    options.wild = history % 3 == 0;
    options.times = history % 4 == 0 ? 5 : 100;
    const uint64_t commits = 1 + random_() % 60;
    NewHistory(options, commits);
    for (const bool one_known_at : {true, false}) {
      std::vector<WindowQuestion> questions;
      const uint64_t known_at = random_() % (commits + 2);
      for (size_t i = 0; i < 12; ++i) {
        questions.push_back({static_cast<int64_t>(random_() % 130) - 60,
                             one_known_at ? known_at : random_() % (commits + 2), i});
      }
      Ask(*view, plan, static_cast<int64_t>(random_() % 3), questions);
    }
  }
}

TEST_F(WindowReaderTest, EqualsTheBruteForceInLongWindows) {
  const auto view = MakeWindows({3'000, 500'000});
  const WindowPlan plan(view, AllOf(*view));
  WorldOptions options;
  options.entities = 1;
  options.times = 1'000'000;
  options.first_time = -300'000;
  options.most_in_commit = 30;
  options.deletes_in_16 = 0;
  NewHistory(options, 200);
  std::vector<WindowQuestion> questions;
  for (size_t i = 0; i < 10; ++i) {
    const auto as_of = static_cast<int64_t>(random_() % 1'000'000) - 300'000;
    questions.push_back({as_of, i % 2 == 0 ? 200 : random_() % 200, i});
  }
  Ask(*view, plan, 0, questions);
}

TEST_F(WindowReaderTest, AWantedPartLeavesTheOtherFieldsNull) {
  const auto view = MakeWindows({50});
  NewHistory({}, 40);
  for (size_t i = 0; i < view->aggregations.size(); ++i) {
    const WindowPlan plan(view, {i});
    WindowReader reader(store_.get());
    std::string found;
    ASSERT_TRUE(reader
                    .Evaluate(plan, EntityKey(0), {{{50, 40, 0}}}, Call{},
                              [&](size_t, std::string_view row) { found = row; })
                    .ok());
    const RowView row = RowView::Parse(&view->layout, found).value();
    const Oracle oracle(view->aggregations[i], InWindow(history_, EntityKey(0), 50, 40, 50));
    for (size_t other = 0; other < view->aggregations.size(); ++other) {
      EXPECT_EQ(row.is_null(other), other != i || !oracle.Value().has_value());
    }
  }
}

TEST_F(WindowReaderTest, FoldsAgreeWithPlainLoops) {
  const auto view = MakeWindows({400});
  WorldOptions options;
  options.entities = 1;
  options.times = 1000;
  options.most_in_commit = 20;
  NewHistory(options, 100);
  for (int64_t as_of = 0; as_of < 1000; as_of += 197) {
    for (const Aggregation& aggregation : view->aggregations) {
      const Oracle oracle(aggregation, InWindow(history_, EntityKey(0), as_of, 100, 400));
      const std::optional<Column> value = oracle.Value();
      if (!value.has_value() || value->doubles.size() != 1 || !aggregation.column.has_value())
        continue;
      if (aggregation.function == AggregateFunction::kApproxPercentile) {
        const std::vector<double> sorted = oracle.Sorted();
        const double exact = sorted[PercentileRank(aggregation.percentile, sorted.size()) - 1];
        EXPECT_LE(std::fabs(value->doubles[0] - exact), kSketchRelativeError * std::fabs(exact));
      }
      if (aggregation.type.array || *aggregation.column > 4) continue;
      const auto plain = oracle.PlainLoop();
      if (!plain.has_value()) continue;
      EXPECT_LE(std::fabs(value->doubles[0] - plain->first), plain->second)
          << AggregateFunctionName(aggregation.function);
    }
  }
}

TEST_F(WindowReaderTest, TooManyDistinctValuesAreRefusedByName) {
  const auto view = MakeWindows({1'000'000});
  std::vector<size_t> wanted;
  for (size_t i = 0; i < view->aggregations.size(); ++i) {
    const Aggregation& aggregation = view->aggregations[i];
    if (aggregation.column == 2u && aggregation.function == AggregateFunction::kCountDistinct)
      wanted.push_back(i);
  }
  const WindowPlan plan(view, wanted);
  for (size_t i = 0; i <= limits::kMaxWindowDistinctValues; ++i) {
    History::Entry entry;
    entry.identity = {EntityKey(1), static_cast<int64_t>(i), false, ""};
    AppendStringKey("", &entry.identity.event_key);
    entry.commit = 1;
    entry.values.n = static_cast<int64_t>(i);
    entry.row = EncodeRow(*source_, entry.values);
    history_.facts.push_back(entry);
  }
  store_ = NewMemoryKvStore();
  Store(history_, 0, store_.get());
  const auto ask = [&](std::vector<WindowQuestion> questions) {
    WindowReader reader(store_.get());
    return reader.Evaluate(plan, EntityKey(1), questions, Call{}, [](size_t, std::string_view) {});
  };
  const int64_t edge = limits::kMaxWindowDistinctValues;
  EXPECT_TRUE(ask({{edge - 1, 1, 0}}).ok());
  EXPECT_TRUE(ask({{edge - 1, 1, 0}, {edge - 1, 0, 1}}).ok());
  const absl::Status status = ask({{edge, 1, 12}});
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(status.message().find("row 12: aggregation a"), std::string::npos) << status;
  EXPECT_NE(status.message().find("windows@v1"), std::string::npos) << status;
}

TEST_F(WindowReaderTest, SumsThatDoNotFitAreNullAndCounted) {
  const auto view = MakeWindows({10});
  const WindowPlan plan(view, AllOf(*view));
  for (int64_t i = 0; i < 2; ++i) {
    History::Entry entry;
    entry.identity = {EntityKey(1), i, false, ""};
    AppendStringKey("", &entry.identity.event_key);
    entry.commit = 1;
    entry.values.n = std::numeric_limits<int64_t>::max();
    entry.row = EncodeRow(*source_, entry.values);
    history_.facts.push_back(entry);
  }
  store_ = NewMemoryKvStore();
  Store(history_, 0, store_.get());
  Counter overflows;
  WindowReader reader(store_.get(), &overflows);
  ASSERT_TRUE(reader
                  .Evaluate(plan, EntityKey(1), {{{1, 1, 0}, {0, 1, 1}}}, Call{},
                            [&](size_t index, std::string_view row) {
                              ExpectRow(*view, history_, EntityKey(1), index == 0 ? 1 : 0, 1, row);
                            })
                  .ok());
  EXPECT_EQ(overflows.value(), 1u);
}

}  // namespace
}  // namespace fletch
