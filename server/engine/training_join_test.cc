// SPDX-License-Identifier: Apache-2.0
#include "server/engine/training_join.h"

#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/status.h"
#include "gtest/gtest.h"
#include "server/engine/horizon.h"
#include "storage/fact_oracle_testing.h"
#include "storage/memory_kv_store.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

constexpr uint64_t kCommits = 60;
constexpr int64_t kTimes = 9;  // event times -4 to 4

struct Cell {
  CellStatus status = CellStatus::kNotFound;
  int64_t number = 0;
  std::string text = {};
  int64_t event_time = kUnsetTime;
  bool operator==(const Cell&) const = default;
};

// Two views of one entity: both with (x INT64, s STRING), the second with a ttl.
class TrainingJoinTest : public testing::Test {
 protected:
  TrainingJoinTest() {
    for (const ViewId id : {1, 2}) {
      auto view = std::make_shared<View>(View{fact_oracle::Schema(id), RowLayout({})});
      view->schema.fields.resize(2);
      view->schema.fields[0].name = "x";
      view->schema.fields[0].type = {ValueType::kInt64};
      view->schema.fields[1].name = "s";
      view->schema.fields[1].type = {ValueType::kString};
      view->schema.ttl_micros = id == 2 ? 3 : 0;
      view->layout = RowLayout(view->schema.fields);
      views_.push_back(view);
      KvBatch batch;
      facts_.push_back(fact_oracle::RandomFacts(id, kCommits, random_));
      for (Fact& fact : facts_.back()) {
        if (fact.form == FactForm::kRow) fact.row = RandomRow(*view);
        AddFact(fact, &batch);
      }
      EXPECT_TRUE(store_->Write(batch, true).ok());
    }
    horizons_ = *Horizons::Open(store_.get());
    MakePlan();
  }

  std::string RandomRow(const View& view) {
    Column x{.type = {ValueType::kInt64}, .row_count = 1, .int64s = {0}};
    Column s{.type = {ValueType::kString}, .row_count = 1, .strings = {""}};
    if (random_() % 4 == 0) {
      x.null_rows = {0};
    } else {
      x.int64s = {static_cast<int64_t>(random_())};
      s.strings = {std::string(random_() % 40, 'a')};
    }
    return RowEncoder(&view.layout, {&x, &s}).Encode(0);
  }

  void MakePlan() {
    PlanGroup group;
    group.join_keys = views_[0]->schema.join_keys;
    group.key_columns = {"name", "number"};
    group.key_slots = {0, 1};
    plan_->key_columns = group.key_columns;
    plan_->key_fields = group.join_keys;
    plan_->key_slot_by_name = {{"name", 0}, {"number", 1}};
    for (const auto& view : views_) {
      PlanView& of = group.views.emplace_back();
      of.view = view;
      for (const size_t field : {1, 0}) {
        of.fields.push_back({field, plan_->columns.size()});
        plan_->columns.push_back({"", "", view->schema.fields[field].type});
      }
    }
    plan_->groups.push_back(std::move(group));
  }

  SpineBatch RandomBatch(size_t row_count) {
    static const std::string kNames[] = {"a", std::string("a\0", 2), "ab", "nobody"};
    SpineBatch batch;
    batch.row_count = row_count;
    batch.keys = {{"name", {.type = {ValueType::kString}, .row_count = row_count}},
                  {"number", {.type = {ValueType::kInt64}, .row_count = row_count}}};
    for (size_t i = 0; i < row_count; ++i) {
      batch.keys[0].column.strings.push_back(kNames[random_() % 4]);
      batch.keys[1].column.int64s.push_back(random_() % 3 == 0 ? -1 : 1);
      batch.timestamps.push_back(static_cast<int64_t>(random_() % (kTimes + 6)) - kTimes / 2 - 1);
    }
    return batch;
  }

  // By semantics.md, for one row and column.
  Cell Expect(const SpineBatch& batch, size_t row, uint64_t known_at, size_t column) const {
    const View& view = *views_[column / 2];
    const int64_t as_of = batch.timestamps[row];
    const Horizon horizon = horizons_->Of(view.schema.view_id);
    if (as_of < horizon.time || known_at < horizon.floor) return {CellStatus::kOutOfRetention};
    const std::string key =
        fact_oracle::EntityKey(batch.keys[0].column.strings[row], batch.keys[1].column.int64s[row]);
    const auto found = fact_oracle::FindVisible(facts_[column / 2], key, as_of, known_at);
    if (!found.has_value()) return {};
    Cell cell{CellStatus::kNotFound, 0, "", found->key.identity.event_time};
    if (found->form == FactForm::kTombstone) return cell;
    if (view.schema.ttl_micros > 0 && as_of - cell.event_time > view.schema.ttl_micros) {
      cell.status = CellStatus::kOutsideMaxAge;
      return cell;
    }
    const RowView bytes(&view.layout, found->row);
    const bool text = column % 2 == 0;
    if (bytes.is_null(text ? 1 : 0)) {
      cell.status = CellStatus::kNullValue;
      return cell;
    }
    cell.status = CellStatus::kPresent;
    if (text) {
      cell.text = std::string(bytes.GetBytes(1));
    } else {
      cell.number = bytes.GetInt(0);
    }
    return cell;
  }

  static Cell CellOf(const Column& column, size_t row) {
    Cell cell{column.statuses.empty() ? CellStatus::kPresent : column.statuses[row]};
    if (!column.int64s.empty()) cell.number = column.int64s[row];
    if (!column.strings.empty()) cell.text = column.strings[row];
    cell.event_time = (*column.event_times)[row];
    return cell;
  }

  SpineJoinRequest RandomRequest(bool each_row) {
    SpineJoinRequest request;
    request.plan = plan_;
    request.event_times = true;
    size_t rows = 0;
    for (size_t i = 0; i < 1 + random_() % 6; ++i) {
      request.batches.push_back(RandomBatch(random_() % 3 == 0 ? random_() % 4 : random_() % 3000));
      rows += request.batches.back().row_count;
    }
    request.known_at = {random_() % (kCommits + 1)};
    request.known_at_each_row = each_row;
    if (each_row) {
      request.known_at.resize(rows);
      for (uint64_t& known_at : request.known_at) known_at = random_() % (kCommits + 1);
    }
    return request;
  }

  void ExpectRight(const SpineJoinRequest& request, size_t threads) {
    WorkSharing workers(threads);
    auto joined = JoinSpine(sources(), &workers, request, Call{});
    ASSERT_TRUE(joined.ok()) << joined.status();
    const auto answers =
        random_() % 2 == 0 ? OneByOne(request, joined->get()) : SomeAtOnce(request, joined->get());
    size_t before = 0;
    for (size_t i = 0; i < request.batches.size(); ++i) {
      const SpineBatch& batch = request.batches[i];
      const std::vector<Column>& columns = answers[i];
      ASSERT_EQ(columns.size(), plan_->columns.size());
      for (size_t c = 0; c < columns.size(); ++c) {
        ASSERT_EQ(columns[c].row_count, batch.row_count);
        for (size_t row = 0; row < batch.row_count; ++row) {
          const uint64_t known_at = request.known_at[request.known_at_each_row ? before + row : 0];
          ASSERT_EQ(CellOf(columns[c], row), Expect(batch, row, known_at, c))
              << "batch " << i << " row " << row << " column " << c << " T "
              << batch.timestamps[row] << " K " << known_at;
        }
      }
      before += batch.row_count;
    }
  }

  using Answers = std::vector<std::vector<Column>>;

  static Answers OneByOne(const SpineJoinRequest& request, JoinedSpine* joined) {
    Answers answers;
    for (size_t i = 0; i < request.batches.size(); ++i) {
      answers.push_back(joined->Batch(i, Call{}).value());
    }
    return answers;
  }

  static Answers SomeAtOnce(const SpineJoinRequest& request, JoinedSpine* joined) {
    Answers answers(request.batches.size());
    for (size_t first = 0; first < answers.size();) {
      std::atomic<size_t> taken{0};
      const auto count =
          joined->SomeBatches(first, Call{}, [&](size_t i, std::vector<Column> columns) {
            EXPECT_TRUE(answers[i].empty()) << "batch " << i << " twice";
            answers[i] = std::move(columns);
            ++taken;
            return absl::OkStatus();
          });
      EXPECT_EQ(taken, count.value());
      first += count.value();
    }
    return answers;
  }

  ReadSources sources() const {
    return {.online = nullptr, .store = store_.get(), .horizons = horizons_.get()};
  }

  std::mt19937_64 random_ = SeededRandom();
  std::unique_ptr<KvStore> store_ = NewMemoryKvStore();
  std::unique_ptr<Horizons> horizons_;
  std::vector<std::shared_ptr<const View>> views_;
  std::vector<std::vector<Fact>> facts_;
  std::shared_ptr<FeaturePlan> plan_ = std::make_shared<FeaturePlan>();
};

TEST_F(TrainingJoinTest, BatchesOfAnySizeAreAsABruteForceSays) {
  for (int round = 0; round < 12; ++round) {
    SpineJoinRequest request = RandomRequest(/*each_row=*/round % 2 == 0);
    request.pass_rows = round % 3 == 0 ? 1 + random_() % 500 : limits::kJoinPassRows;
    ExpectRight(request, 1 + random_() % 4);
  }
}

TEST_F(TrainingJoinTest, WhatOutgrowsAPassIsFoundInSmallerOnes) {
  SpineJoinRequest request = RandomRequest(true);
  request.pass_bytes = 16u << 10;  // the chunks of a few pieces
  ExpectRight(request, 2);
  request.pass_bytes = 1;
  request.batches.resize(1);
  request.known_at = {kCommits};
  request.known_at_each_row = false;
  ExpectRight(request, 2);
}

TEST_F(TrainingJoinTest, RowsBeforeAHorizonAreMarked) {
  ASSERT_TRUE(horizons_->Raise(store_.get(), 2, {.time = 1, .floor = 20}).ok());
  for (int round = 0; round < 4; ++round) {
    SpineJoinRequest request = RandomRequest(/*each_row=*/true);
    request.mark_out_of_range = true;
    ExpectRight(request, 2);
  }
}

TEST_F(TrainingJoinTest, RowsBeforeAHorizonFailTheReadUnlessMarked) {
  ASSERT_TRUE(horizons_->Raise(store_.get(), 2, {.time = 1, .floor = 20}).ok());
  WorkSharing workers(1);
  SpineJoinRequest request;
  request.plan = plan_;
  request.known_at = {kCommits};
  request.rows_before = 100;
  request.batches = {RandomBatch(3), RandomBatch(4)};
  request.batches[0].timestamps = {5, 1, 2};
  request.batches[1].timestamps = {3, 0, 4, -1};
  const absl::Status early = JoinSpine(sources(), &workers, request, Call{}).status();
  EXPECT_EQ(early.code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(ErrorReason(early), "BEFORE_HORIZON");
  EXPECT_EQ(ErrorField(early), "timestamps");
  EXPECT_NE(early.message().find("spine row 104 "), absl::string_view::npos) << early;
  EXPECT_NE(early.message().find("1 more"), absl::string_view::npos) << early;
  request.batches.pop_back();
  EXPECT_TRUE(JoinSpine(sources(), &workers, request, Call{}).ok());
  request.known_at = {20};
  EXPECT_TRUE(JoinSpine(sources(), &workers, request, Call{}).ok());
  request.known_at = {19};
  request.mark_out_of_range = true;  // of times; one known_at for all is never answered
  const absl::Status floor = JoinSpine(sources(), &workers, request, Call{}).status();
  EXPECT_EQ(floor.code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(ErrorField(floor), "known_at");
}

TEST_F(TrainingJoinTest, SaysWhatIsWrongWithASpine) {
  WorkSharing workers(1);
  SpineJoinRequest request;
  request.plan = plan_;
  request.known_at = {kCommits};
  request.batches = {RandomBatch(2), RandomBatch(2)};
  SpineJoinRequest bad = request;
  bad.batches[1].timestamps.pop_back();
  EXPECT_EQ(ErrorField(JoinSpine(sources(), &workers, bad, Call{}).status()), "timestamps");
  bad = request;
  bad.batches[1].timestamps[1] = INT64_MAX;
  const absl::Status late = JoinSpine(sources(), &workers, bad, Call{}).status();
  EXPECT_EQ(late.code(), absl::StatusCode::kOutOfRange);
  EXPECT_NE(late.message().find("spine row 3"), absl::string_view::npos) << late;
  bad = request;
  bad.batches[1].keys[0].column.null_rows = {1};
  EXPECT_EQ(ErrorField(JoinSpine(sources(), &workers, bad, Call{}).status()), "keys.name");
  const Call gone{.cancelled = [] { return true; }};
  EXPECT_TRUE(absl::IsCancelled(JoinSpine(sources(), &workers, request, gone).status()));
}

TEST_F(TrainingJoinTest, WhoDoesNotTakeABatchEndsThose) {
  SpineJoinRequest request = RandomRequest(false);
  request.batches = {RandomBatch(20), RandomBatch(20)};
  WorkSharing workers(2);
  auto joined = JoinSpine(sources(), &workers, request, Call{});
  ASSERT_TRUE(joined.ok()) << joined.status();
  const auto refuse = [](size_t, std::vector<Column>) { return absl::AbortedError("full"); };
  EXPECT_TRUE(absl::IsAborted((*joined)->SomeBatches(0, Call{}, refuse).status()));
}

// Threads that take the batches of one join.
TEST_F(TrainingJoinTest, BatchesMayBeTakenByAnyThread) {
  SpineJoinRequest request = RandomRequest(true);
  for (int i = 0; i < 6; ++i) {
    request.batches.push_back(RandomBatch(200));
    request.known_at.resize(request.known_at.size() + 200, kCommits);
  }
  request.pass_rows = 300;
  WorkSharing workers(2);
  auto joined = JoinSpine(sources(), &workers, request, Call{});
  ASSERT_TRUE(joined.ok()) << joined.status();
  std::vector<absl::StatusOr<std::vector<Column>>> answers(request.batches.size());
  WorkSharing takers(3);
  ASSERT_TRUE(takers
                  .Run(answers.size(),
                       [&](size_t i) {
                         answers[i] = (*joined)->Batch(i, Call{});
                         return absl::OkStatus();
                       })
                  .ok());
  size_t before = 0;
  for (size_t i = 0; i < answers.size(); ++i) {
    ASSERT_TRUE(answers[i].ok()) << answers[i].status();
    for (size_t row = 0; row < request.batches[i].row_count; ++row) {
      ASSERT_EQ(CellOf((*answers[i])[1], row),
                Expect(request.batches[i], row, request.known_at[before + row], 1));
    }
    before += request.batches[i].row_count;
  }
}

}  // namespace
}  // namespace fletch
