// SPDX-License-Identifier: Apache-2.0
#include "server/engine/engine.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/status.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "storage/memory_kv_store.h"

namespace fletch {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kNow = 1'000'000 * kSecond;

// Lets a store outlive the engine that owns this.
class SharedStore : public KvStore {
 public:
  explicit SharedStore(std::shared_ptr<KvStore> store) : store_(std::move(store)) {}
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
  uint64_t DiskBytes() const override { return 0; }

 private:
  const std::shared_ptr<KvStore> store_;
};

class EngineTest : public testing::Test {
 protected:
  EngineTest() { Open(); }

  void Open() {
    engine_.reset();
    metrics_ = std::make_unique<MetricRegistry>();
    auto engine = Engine::Open(std::make_unique<SharedStore>(store_), &clock_, metrics_.get(), {});
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }

  void Apply(const std::string& objects) {
    v1::ApplyRequest request;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString("project: 'p' " + objects, &request));
    auto response = engine_->Apply(request);
    ASSERT_TRUE(response.ok()) << response.status();
  }

  void ApplyUsers(int ttl_seconds, const std::string& event_key = "") {
    Apply(absl::StrCat(
        "objects { entity { name: 'user' join_keys { name: 'user' type: INT64 } } }"
        "objects { feature_view { name: 'v' entity: 'user' fields { name: 'x' type: INT64 } ",
        event_key, ttl_seconds > 0 ? absl::StrCat(" ttl { seconds: ", ttl_seconds, " }") : "",
        " max_future_skew { seconds: 1000 } } }"));
  }

  static Column Ints(std::vector<int64_t> values) {
    Column column;
    column.type = DataType{ValueType::kInt64};
    column.row_count = values.size();
    column.int64s = std::move(values);
    return column;
  }

  absl::StatusOr<WriteReceipt> Wait(const std::function<void(Engine::WriteDone)>& start) {
    auto promise = std::make_shared<std::promise<absl::StatusOr<WriteReceipt>>>();
    auto future = promise->get_future();
    start([promise](absl::StatusOr<WriteReceipt> receipt) {
      promise->set_value(std::move(receipt));
    });
    return future.get();
  }

  struct Row {
    int64_t user;
    int64_t event_time;
    int64_t x;
    std::optional<int64_t> event = {};
  };
  WriteRequest MakeWrite(const std::vector<Row>& rows, const std::string& request_id = "") {
    std::vector<int64_t> users, events, xs, times;
    for (const Row& row : rows) {
      users.push_back(row.user);
      xs.push_back(row.x);
      times.push_back(row.event_time);
      if (row.event) events.push_back(*row.event);
    }
    WriteRequest request;
    request.project = "p";
    request.request_id = request_id;
    for (const Row& row : rows) request.payload_hash = request.payload_hash * 31 + row.x;
    RowBatch& batch = request.batches.emplace_back();
    batch = {"v", rows.size(), {{"user", Ints(users)}, {"x", Ints(xs)}}, times};
    if (!events.empty()) batch.columns.push_back({"event", Ints(events)});
    return request;
  }
  absl::StatusOr<WriteReceipt> Write(const std::vector<Row>& rows,
                                     const std::string& request_id = "") {
    return Wait([&](auto done) { engine_->Write(MakeWrite(rows, request_id), Call{}, done); });
  }
  KeyedRequest Keyed(int64_t user, int64_t time, std::optional<int64_t> event, bool tombstones) {
    KeyedRequest request{.project = "p",
                         .feature_view = "v",
                         .row_count = 1,
                         .keys = {{"user", Ints({user})}},
                         .event_times = {time},
                         .tombstones = tombstones,
                         .durability = Durability::kSync,
                         .request_id = "",
                         .payload_hash = 0};
    if (event) request.keys.push_back({"event", Ints({*event})});
    return request;
  }
  absl::StatusOr<WriteReceipt> Delete(int64_t user, int64_t time) {
    return Wait(
        [&](auto done) { engine_->DeleteRows(Keyed(user, time, {}, false), Call{}, done); });
  }
  absl::StatusOr<WriteReceipt> Retract(int64_t user, int64_t time,
                                       std::optional<int64_t> event = {}, bool tombstone = false) {
    return Wait(
        [&](auto done) { engine_->Retract(Keyed(user, time, event, tombstone), Call{}, done); });
  }

  struct Cell {
    CellStatus status;
    int64_t value;
    int64_t event_time;
    bool operator==(const Cell&) const = default;
  };
  static Cell CellOf(const Column& column, size_t row) {
    CellStatus status = column.statuses.empty() ? CellStatus::kPresent : column.statuses[row];
    return {status, column.int64s[row], (*column.event_times)[row]};
  }
  OnlineRequest MakeOnline(std::vector<int64_t> users, std::optional<int64_t> as_of,
                           std::optional<uint64_t> known_at) {
    OnlineRequest request;
    request.project = "p";
    request.selection.features = {"v:x"};
    request.row_count = users.size();
    request.keys = {{"user", Ints(std::move(users))}};
    request.as_of = as_of;
    if (known_at) request.known_at = KnownAt{false, *known_at, 0};
    request.event_times = true;
    return request;
  }
  absl::StatusOr<Cell> Online(int64_t user, std::optional<int64_t> as_of = {},
                              std::optional<uint64_t> known_at = {}) {
    auto answer = engine_->GetOnline(MakeOnline({user}, as_of, known_at), Call{});
    if (!answer.ok()) return answer.status();
    return CellOf(answer->columns[0], 0);
  }
  absl::StatusOr<std::vector<Cell>> Historical(const std::vector<int64_t>& users,
                                               const std::vector<int64_t>& times, KnownAtMode mode,
                                               uint64_t known_at = 0) {
    HistoricalHeader header;
    header.project = "p";
    header.selection.features = {"v:x"};
    header.mode = mode;
    if (mode == KnownAtMode::kFixed) header.known_at = KnownAt{false, known_at, 0};
    header.event_times = true;
    auto read = engine_->BeginHistorical(header, Call{});
    if (!read.ok()) return read.status();
    auto joined = (*read)->Join({{users.size(), {{"user", Ints(users)}}, times, {}}}, Call{});
    if (!joined.ok()) return joined.status();
    auto columns = (*joined)->Batch(0, Call{});
    if (!columns.ok()) return columns.status();
    std::vector<Cell> cells;
    for (size_t i = 0; i < users.size(); ++i) cells.push_back(CellOf((*columns)[0], i));
    return cells;
  }

  std::shared_ptr<KvStore> store_ = NewMemoryKvStore();
  FakeClock clock_{kNow};
  std::unique_ptr<MetricRegistry> metrics_;
  std::unique_ptr<Engine> engine_;
};

// semantics.md's worked example, online and in training alike.
TEST_F(EngineTest, WorkedExample) {
  ApplyUsers(/*ttl_seconds=*/60);
  ASSERT_TRUE(Write({{7, 100 * kSecond, 'A'}}).ok());
  ASSERT_TRUE(Write({{7, 130 * kSecond, 'B'}}).ok());
  ASSERT_TRUE(Write({{7, 120 * kSecond, 'C'}}).ok());
  ASSERT_TRUE(Retract(7, 130 * kSecond).ok());
  ASSERT_TRUE(Delete(7, 125 * kSecond).ok());
  const Cell none{CellStatus::kNotFound, 0, kUnsetTime};
  const Cell a{CellStatus::kPresent, 'A', 100 * kSecond},
      b{CellStatus::kPresent, 'B', 130 * kSecond}, c{CellStatus::kPresent, 'C', 120 * kSecond};
  struct {
    int64_t as_of;
    uint64_t known_at;
    Cell want;
  } cases[] = {
      {99 * kSecond, 3, none},
      {100 * kSecond, 3, a},
      {125 * kSecond, 2, a},
      {125 * kSecond, 3, c},
      {130 * kSecond, 3, b},
      {190 * kSecond, 3, b},
      {190 * kSecond + 1, 3, {CellStatus::kOutsideMaxAge, 0, 130 * kSecond}},
      {130 * kSecond, 4, c},
      {130 * kSecond, 3, b},
      {125 * kSecond, 5, {CellStatus::kNotFound, 0, 125 * kSecond}},
  };
  for (const auto& [as_of, known_at, want] : cases) {
    auto online = Online(7, as_of, known_at);
    ASSERT_TRUE(online.ok()) << online.status();
    EXPECT_EQ(*online, want) << "T=" << as_of << " K=" << known_at;
    auto training = Historical({7}, {as_of}, KnownAtMode::kFixed, known_at);
    ASSERT_TRUE(training.ok()) << training.status();
    EXPECT_EQ((*training)[0], want) << "T=" << as_of << " K=" << known_at;
  }
}

TEST_F(EngineTest, AFutureFactHidesNothingUntilItsTimeComes) {
  ApplyUsers(0);
  ASSERT_TRUE(Write({{1, kNow - kSecond, 10}}).ok());
  ASSERT_TRUE(Write({{1, kNow + 10 * kSecond, 20}}).ok());
  EXPECT_EQ(Online(1)->value, 10);
  clock_.Set(kNow + 10 * kSecond);
  EXPECT_EQ(Online(1)->value, 20);
  auto beyond = Write({{1, kNow + 2000 * kSecond, 30}});
  EXPECT_EQ(beyond.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_NE(beyond.status().message().find(
                "(1970-01-12T14:20:00Z) is more than 16m40s (max_future_skew of v) after the "
                "daemon's clock (1970-01-12T13:46:50Z)"),
            absl::string_view::npos)
      << beyond.status();
}

TEST_F(EngineTest, RequestIdsAreOneCommit) {
  ApplyUsers(0);
  auto first = Write({{1, 5, 10}}, "id");
  auto again = Write({{1, 5, 10}}, "id");
  ASSERT_TRUE(first.ok() && again.ok());
  EXPECT_EQ(first->commit_seq, again->commit_seq);
  EXPECT_EQ(Write({{1, 5, 11}}, "id").status().code(), absl::StatusCode::kInvalidArgument);
  Open();
  EXPECT_EQ(Write({{1, 5, 10}}, "id")->commit_seq, first->commit_seq);
  EXPECT_EQ(engine_->applied_seq(), first->commit_seq);
}

TEST_F(EngineTest, ManyWritersWithOneRequestIdMakeOneCommit) {
  ApplyUsers(0);
  std::vector<std::thread> threads;
  Mutex mu;
  std::set<uint64_t> seqs;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      auto receipt = Write({{1, 5, 10}}, "id");
      ASSERT_TRUE(receipt.ok()) << receipt.status();
      MutexLock lock(&mu);
      seqs.insert(receipt->commit_seq);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(seqs.size(), 1u);
}

TEST_F(EngineTest, ARefusedWriteChangesNothing) {
  ApplyUsers(0);
  ASSERT_TRUE(Write({{1, 5, 10}}).ok());
  const uint64_t seq = engine_->applied_seq();
  EXPECT_EQ(Write({{2, 5, 1}, {2, 5, 2}}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Retract(3, 5).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(engine_->applied_seq(), seq);
  EXPECT_EQ(Online(2)->status, CellStatus::kNotFound);
}

TEST_F(EngineTest, KnownAtIsNeverClamped) {
  ApplyUsers(0);
  ASSERT_TRUE(Write({{1, 5, 10}}).ok());
  EXPECT_EQ(Online(1, {}, 2).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Online(1, {}, 0)->status, CellStatus::kNotFound);
  const absl::Status ahead = Online(1, kNow + 1).status();
  EXPECT_EQ(ahead.code(), absl::StatusCode::kOutOfRange);
  EXPECT_NE(ahead.message().find("as_of 1970-01-12T13:46:40.000001Z lies after the daemon's clock "
                                 "(1970-01-12T13:46:40Z)"),
            absl::string_view::npos)
      << ahead;
  OnlineRequest request = MakeOnline({1}, {}, {});
  request.known_at = KnownAt{true, 0, kNow - 1};
  EXPECT_EQ(engine_->GetOnline(request, Call{})->read_seq, 0u);
  request.known_at = KnownAt{true, 0, kNow};
  EXPECT_EQ(engine_->GetOnline(request, Call{})->read_seq, 1u);
  request.known_at = KnownAt{true, 0, kNow + 1};
  EXPECT_EQ(engine_->GetOnline(request, Call{}).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

// A time that was once asked about never gets another commit.
TEST_F(EngineTest, ACommitNeverJoinsATimeThatWasAskedAbout) {
  ApplyUsers(0);
  OnlineRequest request = MakeOnline({1}, {}, {});
  request.known_at = KnownAt{true, 0, kNow};
  EXPECT_EQ(engine_->GetOnline(request, Call{})->read_seq, 0u);
  auto receipt = Write({{1, 5, 10}});
  EXPECT_GT(receipt->commit_time, kNow);
  EXPECT_EQ(engine_->GetOnline(request, Call{})->read_seq, 0u);
}

TEST_F(EngineTest, NumbersOfAnUncleanStopAreLostNotReused) {
  ApplyUsers(0);
  ASSERT_TRUE(Write({{1, 5, 10}}).ok());
  auto copy = NewMemoryKvStore();  // the store as a crash would leave it
  for (int family = 0; family < kFamilyCount; ++family) {
    KvBatch batch;
    auto it = store_->NewIterator(static_cast<Family>(family));
    for (it->Seek(""); it->Valid(); it->Next()) {
      batch.Put(static_cast<Family>(family), std::string(it->key()), std::string(it->value()));
    }
    ASSERT_TRUE(copy->Write(batch, true).ok());
  }
  engine_.reset();
  store_ = std::move(copy);
  Open();
  EXPECT_EQ(Online(1)->value, 10);
  const absl::Status lost = Online(1, {}, 2).status();
  EXPECT_EQ(lost.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ErrorReason(lost), "LOST_COMMIT");
  EXPECT_EQ(ErrorField(lost), "known_at");
  auto receipt = Write({{1, 6, 11}});
  EXPECT_GT(receipt->commit_seq, 2u);
  EXPECT_EQ(Online(1, {}, 2).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Online(1, {}, receipt->commit_seq)->value, 11);
}

// One stored fact of the witness.
struct Told {
  int64_t user;
  int64_t event_time;
  std::optional<int64_t> event;  // nullopt: a tombstone's identity
  uint64_t commit;
  int64_t commit_time;
  char form;  // 'r'ow, 't'ombstone, 'w'ithdrawn
  int64_t x;
};

// semantics.md's `visible`, by a plain loop.
std::optional<Told> Witness(const std::vector<Told>& facts, int64_t user, int64_t as_of,
                            uint64_t known_at) {
  std::map<std::pair<int64_t, std::optional<int64_t>>, Told> current;
  for (const Told& fact : facts) {
    if (fact.user == user && fact.commit <= known_at) {
      current.insert_or_assign({fact.event_time, fact.event}, fact);
    }
  }
  std::optional<Told> newest;
  for (const auto& [identity, fact] : current) {
    if (fact.form == 'w' || fact.event_time > as_of) continue;
    auto order = [](const Told& f) { return std::make_tuple(f.event_time, f.commit, f.event); };
    if (!newest || order(*newest) < order(fact)) newest = fact;
  }
  return newest;
}

class EngineProperty : public EngineTest, public testing::WithParamInterface<int> {
 protected:
  Cell Want(int64_t user, int64_t as_of, uint64_t known_at) {
    auto told = Witness(told_, user, as_of, known_at);
    if (!told) return {CellStatus::kNotFound, 0, kUnsetTime};
    if (told->form == 't') return {CellStatus::kNotFound, 0, told->event_time};
    if (as_of - told->event_time > kTtl) return {CellStatus::kOutsideMaxAge, 0, told->event_time};
    return {CellStatus::kPresent, told->x, told->event_time};
  }
  int64_t Pick(int64_t n) { return std::uniform_int_distribution<int64_t>(0, n - 1)(random_); }

  void Step() {
    clock_.Advance(Pick(3));
    const int64_t user = Pick(6), time = clock_.NowMicros() - 40 + Pick(50), event = Pick(3);
    const int64_t kind = Pick(10);
    if (kind < 6) {
      auto receipt = Write({{user, time, ++x_, event}, {(user + 1) % 6, time, ++x_, event}});
      ASSERT_TRUE(receipt.ok()) << receipt.status();
      told_.push_back({user, time, event, receipt->commit_seq, receipt->commit_time, 'r', x_ - 1});
      told_.push_back(
          {(user + 1) % 6, time, event, receipt->commit_seq, receipt->commit_time, 'r', x_});
    } else if (kind < 8) {
      auto receipt = Delete(user, time);
      ASSERT_TRUE(receipt.ok()) << receipt.status();
      told_.push_back({user, time, {}, receipt->commit_seq, receipt->commit_time, 't', 0});
    } else if (!told_.empty()) {
      const Told victim = told_[Pick(told_.size())];
      auto receipt = Retract(victim.user, victim.event_time, victim.event, !victim.event);
      ASSERT_TRUE(receipt.ok()) << receipt.status();
      told_.push_back({victim.user, victim.event_time, victim.event, receipt->commit_seq,
                       receipt->commit_time, 'w', 0});
    }
  }

  void Ask() {
    const int64_t now = clock_.NowMicros();
    const uint64_t newest = engine_->applied_seq();
    const uint64_t known_at = Pick(3) == 0 ? newest : Pick(newest + 1);
    const int64_t as_of = Pick(3) == 0 ? now : now - Pick(120);
    std::vector<int64_t> users, times;
    std::vector<Cell> fixed, served;
    for (int64_t user = 0; user < 7; ++user) {
      users.push_back(user);
      times.push_back(as_of);
      fixed.push_back(Want(user, as_of, known_at));
      uint64_t then = 0;
      for (const Told& told : told_) {
        if (told.commit_time <= as_of) then = std::max(then, told.commit);
      }
      served.push_back(Want(user, as_of, then));
      ASSERT_EQ(*Online(user, as_of, known_at), fixed.back())
          << "seed " << GetParam() << " user " << user << " T=" << as_of << " K=" << known_at;
    }
    ASSERT_EQ(*Historical(users, times, KnownAtMode::kFixed, known_at), fixed)
        << "seed " << GetParam();
    ASSERT_EQ(*Historical(users, times, KnownAtMode::kAsServed), served) << "seed " << GetParam();
  }

  static constexpr int64_t kTtl = kSecond;
  std::mt19937_64 random_{static_cast<uint64_t>(GetParam())};
  std::vector<Told> told_;
  int64_t x_ = 0;
};

TEST_P(EngineProperty, EqualsAPlainLoop) {
  ApplyUsers(1, "event_key { name: 'event' type: INT64 }");
  for (int step = 0; step < 600; ++step) {
    ASSERT_NO_FATAL_FAILURE(Step());
    ASSERT_NO_FATAL_FAILURE(Ask());
    if (Pick(40) == 0) Open();
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, EngineProperty, testing::Range(1, 9));

// Every online answer, asked again as a training read at its own moment, while writers run.
TEST_F(EngineTest, ParityWhileWritersRun) {
  ApplyUsers(0);
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (int w = 0; w < 3; ++w) {
    writers.emplace_back([&, w] {
      std::mt19937_64 random(w);
      for (int64_t i = 0; !stop; ++i) {
        clock_.Advance(1);
        const int64_t user = static_cast<int64_t>(random() % 8);
        const int64_t time = clock_.NowMicros() - static_cast<int64_t>(random() % 20);
        if (i % 7 == 0) {
          ASSERT_TRUE(Delete(user, time).ok());
        } else {
          ASSERT_TRUE(Write({{user, time, i}}).ok());
        }
        if (i % 11 == 0) (void)Retract(user, time);
      }
    });
  }
  size_t cells = 0, from_memory = 0;
  for (int round = 0; round < 15000; ++round) {
    OnlineRequest request = MakeOnline({0, 1, 2, 3, 4, 5, 6, 7, 8}, {}, {});
    auto tried = engine_->TryGetOnline(request, Call{});
    from_memory += tried.has_value();
    auto answer = tried.has_value() ? *std::move(tried) : engine_->GetOnline(request, Call{});
    ASSERT_TRUE(answer.ok()) << answer.status();
    auto training =
        Historical(request.keys[0].column.int64s, std::vector<int64_t>(9, answer->as_of),
                   KnownAtMode::kFixed, answer->read_seq);
    ASSERT_TRUE(training.ok()) << training.status();
    for (size_t row = 0; row < 9; ++row, ++cells) {
      ASSERT_EQ((*training)[row], CellOf(answer->columns[0], row)) << "row " << row;
    }
  }
  stop = true;
  for (std::thread& writer : writers) writer.join();
  EXPECT_GT(from_memory, 0u);
  RecordProperty("cells", static_cast<int>(cells));
}

}  // namespace
}  // namespace fletch
