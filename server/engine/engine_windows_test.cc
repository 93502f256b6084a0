// SPDX-License-Identifier: Apache-2.0
// Windows and expressions through the whole engine: online, training and hydration say the same.
#include <random>
#include <string>
#include <vector>

#include "server/engine/engine_world_testing.h"
#include "server/engine/feature_plan.h"
#include "storage/random_rows_testing.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

constexpr int64_t kWindowSeconds = 20;

class EngineWindowsTest : public EngineWorld {
 protected:
  EngineWindowsTest() {
    Open();
    ApplyView();
    Apply(R"(objects { aggregation_view { name: 'w' source: 'v'
               aggregations { name: 'events' function: COUNT window { seconds: 20 } }
               aggregations { name: 'sum_a' column: 'a' function: SUM window { seconds: 20 } }
               aggregations { name: 'mean_c' column: 'c' function: MEAN window { seconds: 100 } }
               aggregations { name: 'last_b' column: 'b' function: LAST window { seconds: 20 } }
             } }
             objects { on_demand_feature_view { name: 'e' inputs: 'v' inputs: 'w'
               request { name: 'scale' type: DOUBLE }
               fields { name: 'scaled' type: DOUBLE sql: 'scale * sum_a' }
               fields { name: 'known' type: BOOL sql: 'a IS NOT NULL' }
               fields { name: 'text' type: STRING sql: "coalesce(b, '-') || events" }
             } })");
  }

  static Column Doubles(std::vector<double> values) {
    Column column{.type = {ValueType::kDouble}, .row_count = values.size()};
    column.doubles = std::move(values);
    return column;
  }

  static Selection Everything() {
    Selection selection;
    selection.features = {"v:a",      "w:events", "e:scaled", "w:sum_a", "e:text",
                          "w:mean_c", "v:b",      "w:last_b", "e:known"};
    return selection;
  }

  OnlineRequest Ask(const std::vector<int64_t>& users, const std::vector<double>& scales) {
    OnlineRequest request;
    request.project = "p";
    request.selection = Everything();
    request.row_count = users.size();
    request.keys = {{"user", Ints(users)}};
    request.request_context = {{"scale", Doubles(scales)}};
    request.event_times = true;
    return request;
  }

  // The same question of the training path.
  absl::StatusOr<std::vector<Column>> Train(const OnlineRequest& online, int64_t as_of,
                                            uint64_t read_seq) {
    HistoricalHeader header;
    header.project = "p";
    header.selection = online.selection;
    header.mode = KnownAtMode::kFixed;
    header.known_at = KnownAt{false, read_seq, 0};
    header.event_times = true;
    ASSIGN_OR_RETURN(auto read, engine_->BeginHistorical(header, Call{}));
    SpineBatch spine;
    spine.row_count = online.row_count;
    spine.keys = online.keys;
    spine.timestamps.assign(online.row_count, as_of);
    spine.request_context = online.request_context;
    ASSIGN_OR_RETURN(auto joined, read->Join({spine}, Call{}));
    return joined->Batch(0, Call{});
  }

  static void ExpectSame(const std::vector<Column>& online, const std::vector<Column>& training) {
    ASSERT_EQ(online.size(), training.size());
    for (size_t c = 0; c < online.size(); ++c) {
      ASSERT_EQ(online[c].row_count, training[c].row_count);
      ASSERT_EQ(online[c].type, training[c].type);
      for (size_t row = 0; row < online[c].row_count; ++row) {
        EXPECT_EQ(StatusOf(online[c], row), StatusOf(training[c], row)) << c << " row " << row;
        EXPECT_EQ(testing_rows::Cell(online[c], row), testing_rows::Cell(training[c], row))
            << c << " row " << row;
        EXPECT_EQ((*online[c].event_times)[row], (*training[c].event_times)[row])
            << c << " row " << row;
      }
    }
  }

  static CellStatus StatusOf(const Column& column, size_t row) {
    return column.statuses.empty() ? CellStatus::kPresent : column.statuses[row];
  }

  void RandomChange(std::mt19937_64& random) {
    const auto user = static_cast<int64_t>(random() % 4);
    const int64_t time = clock_.NowMicros() - static_cast<int64_t>(random() % 60) * kSecond / 2;
    const auto event = static_cast<int64_t>(random() % 3);
    const uint64_t kind = random() % 10;
    absl::StatusOr<WriteReceipt> done;
    WorldFact fact{user, time, event};
    if (kind < 7) {
      Patch patch{user, time, event, {}, {}, {}};
      patch.a = random() % 4 == 0 ? std::nullopt
                                  : std::optional<int64_t>(static_cast<int64_t>(random() % 100));
      patch.b = std::string(random() % 3, 'b');
      patch.c = static_cast<double>(random() % 1000) / 7;
      fact.row.a = *patch.a;
      done = Write(patch);
    } else if (kind == 7) {
      fact.event.reset();
      done = StartKeyed(FactForm::kTombstone, user, time).get();
    } else if (!facts_.empty()) {
      fact = facts_[random() % facts_.size()];
      fact.withdrawn = true;
      done = StartKeyed(FactForm::kRetraction, fact.user, fact.event_time, fact.event).get();
    } else {
      return;
    }
    ASSERT_TRUE(done.ok()) << done.status();
    fact.commit = done->commit_seq;
    facts_.push_back(fact);
  }

  // count and sum(a), by semantics.md and a plain loop.
  std::pair<int64_t, std::optional<int64_t>> CountAndSum(int64_t user, int64_t as_of,
                                                         uint64_t known_at) const {
    std::map<std::pair<int64_t, std::optional<int64_t>>, WorldFact> current;
    for (const WorldFact& fact : facts_) {
      if (fact.user != user || fact.commit > known_at) continue;
      current.insert_or_assign({fact.event_time, fact.event}, fact);
    }
    std::pair<int64_t, uint64_t> tombstone = {std::numeric_limits<int64_t>::min(), 0};
    for (const auto& [identity, fact] : current) {
      if (fact.event || fact.withdrawn || fact.event_time > as_of) continue;
      tombstone = std::max(tombstone, {fact.event_time, fact.commit});
    }
    int64_t count = 0;
    std::optional<int64_t> sum;
    for (const auto& [identity, fact] : current) {
      if (!fact.event || fact.withdrawn || fact.event_time > as_of) continue;
      if (fact.event_time <= as_of - kWindowSeconds * kSecond) continue;
      if (std::pair(fact.event_time, fact.commit) < tombstone) continue;
      ++count;
      if (fact.row.a) sum = sum.value_or(0) + *fact.row.a;
    }
    return {count, sum};
  }

  std::vector<WorldFact> facts_;
};

TEST_F(EngineWindowsTest, OnlineIsTrainingOnRandomHistories) {
  std::mt19937_64 random = SeededRandom();
  for (int round = 0; round < 150; ++round) {
    RandomChange(random);
    if (random() % 3 == 0) clock_.Advance(static_cast<int64_t>(random() % 9) * kSecond / 2);
    const std::vector<int64_t> users = {0, 1, 2, 3, 99, 1};
    OnlineRequest request = Ask(users, {1.5});
    if (random() % 2 == 0) request = Ask(users, {0.5, 1, 2, 3, 4, 5});
    if (random() % 2 == 0) {
      request.as_of = clock_.NowMicros() - static_cast<int64_t>(random() % 80) * kSecond / 2;
    }
    if (random() % 3 == 0 && !facts_.empty()) {
      request.known_at = KnownAt{false, facts_[random() % facts_.size()].commit, 0};
    }
    auto answer = engine_->GetOnline(request, Call{});
    ASSERT_TRUE(answer.ok()) << answer.status();
    auto training = Train(request, answer->as_of, answer->read_seq);
    ASSERT_TRUE(training.ok()) << training.status();
    ExpectSame(answer->columns, *training);
    for (size_t row = 0; row < users.size(); ++row) {
      const auto [count, sum] = CountAndSum(users[row], answer->as_of, answer->read_seq);
      ASSERT_EQ(answer->columns[1].int64s[row], count) << "round " << round << " row " << row;
      const bool present = StatusOf(answer->columns[3], row) == CellStatus::kPresent;
      ASSERT_EQ(present, sum.has_value()) << "round " << round << " row " << row;
      if (!present) continue;
      ASSERT_EQ(answer->columns[3].int64s[row], *sum);
      const double scale = request.request_context[0].column.doubles.size() == 1
                               ? 1.5
                               : request.request_context[0].column.doubles[row];
      ASSERT_EQ(answer->columns[2].doubles[row], scale * static_cast<double>(*sum));
    }
    auto inline_answer = engine_->TryGetOnline(request, Call{});
    if (!inline_answer.has_value()) continue;
    ASSERT_TRUE(inline_answer->ok());
    if ((*inline_answer)->read_seq != answer->read_seq) continue;
    ExpectSame((*inline_answer)->columns, answer->columns);
    if (HasFailure()) FAIL() << "round " << round;
  }
}

TEST_F(EngineWindowsTest, WarmWindowsAreAnsweredWithoutWaiting) {
  ASSERT_TRUE(Write({1, kNow, 1, {{5}}, {}, {}}).ok());
  const OnlineRequest request = Ask({1}, {2});
  EXPECT_FALSE(engine_->TryGetOnline(request, Call{}).has_value());  // nobody asked yet
  ASSERT_TRUE(engine_->GetOnline(request, Call{}).ok());
  auto warm = engine_->TryGetOnline(request, Call{});
  ASSERT_TRUE(warm.has_value());
  ASSERT_TRUE(warm->ok()) << warm->status();
  EXPECT_EQ((*warm)->columns[2].doubles[0], 10);
  EXPECT_EQ((*(*warm)->columns[2].event_times)[0], kUnsetTime);
  EXPECT_EQ((*(*warm)->columns[1].event_times)[0], kNow);
}

TEST_F(EngineWindowsTest, TheContextMustFit) {
  OnlineRequest request = Ask({1, 2}, {1});
  request.request_context.clear();
  EXPECT_EQ(ErrorField(engine_->GetOnline(request, Call{}).status()), "request_context.scale");
  request = Ask({1, 2}, {1});
  request.request_context.push_back({"other", Doubles({1})});
  EXPECT_EQ(ErrorField(engine_->GetOnline(request, Call{}).status()), "request_context.other");
  request = Ask({1, 2}, {1});
  request.request_context[0].column =
      Column{.type = {ValueType::kDouble}, .row_count = 2, .doubles = {0, 1}, .null_rows = {0}};
  auto answer = engine_->GetOnline(request, Call{});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(StatusOf(answer->columns[2], 0), CellStatus::kNullValue);
}

TEST_F(EngineWindowsTest, HitsAreHydratedAsOnlineReadsAnswer) {
  Apply(R"(objects { feature_view { name: 'm' entity: 'user'
             fields { name: 'vector' type: FLOAT_VECTOR dimension: 2 index { metric: L2 } } } })");
  WriteRequest write;
  write.project = "p";
  RowBatch& batch = write.batches.emplace_back();
  batch = {"m", 3, {{"user", Ints({1, 2, 3})}}, {kNow, kNow, kNow}};
  batch.columns.push_back({"vector",
                           {.type = {ValueType::kFloatVector, false, 2},
                            .row_count = 3,
                            .floats = {0, 1, 0, 2, 0, 3}}});
  ASSERT_TRUE(Start([&](auto done) { engine_->Write(write, Call{}, done); }).get().ok());
  for (const int64_t user : {1, 2}) {
    ASSERT_TRUE(Write({user, kNow - user, 1, {{user * 10}}, {{"b"}}, {}}).ok());
  }
  SearchRequest search;
  search.project = "p";
  search.index = "m:vector";
  search.vector = {0, 0};
  search.top_k = 3;
  search.hydrate = Everything();
  search.request_context = {{"scale", Doubles({3})}};
  search.event_times = true;
  auto found = engine_->Search(search, Call{});
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->scores.size(), 3u);
  EXPECT_EQ(found->columns[2].doubles[0], 30);
  OnlineRequest request = Ask(found->keys[0].column.int64s, {3});
  request.as_of = found->as_of;
  request.known_at = KnownAt{false, found->read_seq, 0};
  auto answer = engine_->GetOnline(request, Call{});
  ASSERT_TRUE(answer.ok()) << answer.status();
  ExpectSame(found->columns, answer->columns);
}

}  // namespace
}  // namespace fletch
