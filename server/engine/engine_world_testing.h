// SPDX-License-Identifier: Apache-2.0
// An engine over a store that outlives it and can fail, one entity, and a view of three fields
// whose history is also kept as a plain list.
#ifndef FLETCH_SERVER_ENGINE_ENGINE_WORLD_TESTING_H_
#define FLETCH_SERVER_ENGINE_ENGINE_WORLD_TESTING_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <future>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/status.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "server/engine/engine.h"
#include "storage/memory_kv_store.h"

namespace fletch {

// Passes everything on to a store that outlives it; from a given write on every write fails.
class FaultyStore : public KvStore {
 public:
  FaultyStore(std::shared_ptr<KvStore> store, std::shared_ptr<std::atomic<int>> writes_left)
      : store_(std::move(store)), writes_left_(std::move(writes_left)) {}
  absl::Status Write(const KvBatch& batch, bool sync) override {
    if (*writes_left_ == 0) {
      return MakeError(absl::StatusCode::kResourceExhausted, "DISK_FULL", "the disk is full");
    }
    --*writes_left_;
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
  const std::shared_ptr<std::atomic<int>> writes_left_;
};

// What the tests' view holds of an entity at one instant. nullopt: null.
struct WorldRow {
  std::optional<int64_t> a;
  std::optional<std::string> b;
  std::optional<double> c;
  bool operator==(const WorldRow&) const = default;
};

// A fact of the plain list. `row` absent: a tombstone, or withdrawn.
struct WorldFact {
  int64_t user = 0;
  int64_t event_time = 0;
  std::optional<int64_t> event;  // nullopt: a tombstone's identity
  uint64_t commit = 0;
  int64_t commit_time = 0;
  bool withdrawn = false;
  WorldRow row = {};
};

// semantics.md's `visible`, by a plain loop; nullopt: nothing, or a tombstone.
inline std::optional<WorldFact> VisibleFact(const std::vector<WorldFact>& facts, int64_t user,
                                            int64_t as_of, uint64_t known_at) {
  std::map<std::pair<int64_t, std::optional<int64_t>>, WorldFact> current;
  for (const WorldFact& fact : facts) {
    if (fact.user == user && fact.commit <= known_at) {
      current.insert_or_assign({fact.event_time, fact.event}, fact);
    }
  }
  std::optional<WorldFact> newest;
  const auto order = [](const WorldFact& f) {
    return std::make_tuple(f.event_time, f.commit, f.event);
  };
  for (const auto& [identity, fact] : current) {
    if (fact.withdrawn || fact.event_time > as_of) continue;
    if (!newest || order(*newest) < order(fact)) newest = fact;
  }
  if (newest && !newest->event) return std::nullopt;
  return newest;
}

class EngineWorld : public testing::Test {
 protected:
  static constexpr int64_t kSecond = 1'000'000;
  static constexpr int64_t kNow = 1'000'000 * kSecond;
  static constexpr uint64_t kNewest = std::numeric_limits<uint64_t>::max();

  // A view "v" of (a INT64, b STRING, c DOUBLE with default 7.5) with an event key.
  void ApplyView(const std::string& more = "") {
    Apply(absl::StrCat(
        "objects { entity { name: 'user' join_keys { name: 'user' type: INT64 } } }"
        "objects { feature_view { name: 'v' entity: 'user' fields { name: 'a' type: INT64 }"
        " fields { name: 'b' type: STRING }"
        " fields { name: 'c' type: DOUBLE default_value { value { doubles { values: 7.5 } } } }"
        " event_key { name: 'event' type: INT64 } max_future_skew { seconds: 1000 } ",
        more, " } }"));
  }
  void Apply(const std::string& objects) {
    v1::ApplyRequest request;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString("project: 'p' " + objects, &request));
    auto response = engine_->Apply(request);
    ASSERT_TRUE(response.ok()) << response.status();
  }

  // Opens, or opens again as after a stop.
  void Open() {
    engine_.reset();
    metrics_ = std::make_unique<MetricRegistry>();
    auto engine = Engine::Open(std::make_unique<FaultyStore>(store_, writes_left_), &clock_,
                               metrics_.get(), options_);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }

  static Column Ints(std::vector<int64_t> values) {
    Column column;
    column.type = DataType{ValueType::kInt64};
    column.row_count = values.size();
    column.int64s = std::move(values);
    return column;
  }

  // One row; fields that are absent are left out, present and null ones are given as null.
  struct Patch {
    int64_t user = 0;
    int64_t event_time = 0;
    int64_t event = 0;
    std::optional<std::optional<int64_t>> a = {};
    std::optional<std::optional<std::string>> b = {};
    std::optional<std::optional<double>> c = {};
  };
  static RowBatch ToBatch(const Patch& patch, bool merge) {
    RowBatch batch{"v",
                   1,
                   {{"user", Ints({patch.user})}, {"event", Ints({patch.event})}},
                   {patch.event_time},
                   merge};
    const auto add = [&batch](const char* name, ValueType type, const auto& given, auto list) {
      if (!given) return;
      Column column;
      column.type = DataType{type};
      column.row_count = 1;
      (column.*list)
          .push_back(given->value_or(typename std::decay_t<decltype(*given)>::value_type{}));
      if (!given->has_value()) column.null_rows = {0};
      batch.columns.push_back({name, std::move(column)});
    };
    add("a", ValueType::kInt64, patch.a, &Column::int64s);
    add("b", ValueType::kString, patch.b, &Column::strings);
    add("c", ValueType::kDouble, patch.c, &Column::doubles);
    return batch;
  }

  using Future = std::future<absl::StatusOr<WriteReceipt>>;
  static Future Start(const std::function<void(Engine::WriteDone)>& start) {
    auto promise = std::make_shared<std::promise<absl::StatusOr<WriteReceipt>>>();
    Future future = promise->get_future();
    start([promise](absl::StatusOr<WriteReceipt> receipt) {
      promise->set_value(std::move(receipt));
    });
    return future;
  }
  Future StartWrite(std::vector<RowBatch> batches, const std::string& request_id = "") {
    WriteRequest request;
    request.project = "p";
    request.batches = std::move(batches);
    request.request_id = request_id;
    return Start([&](auto done) { engine_->Write(std::move(request), Call{}, done); });
  }
  absl::StatusOr<WriteReceipt> Write(const Patch& patch, bool merge = false) {
    return StartWrite({ToBatch(patch, merge)}).get();
  }
  Future StartKeyed(FactForm form, int64_t user, int64_t time,
                    std::optional<int64_t> event = std::nullopt) {
    KeyedRequest request;
    request.project = "p";
    request.feature_view = "v";
    request.row_count = 1;
    request.keys = {{"user", Ints({user})}};
    request.event_times = {time};
    request.tombstones = form == FactForm::kRetraction && !event;
    if (event) request.keys.push_back({"event", Ints({*event})});
    return Start([&](auto done) {
      if (form == FactForm::kTombstone) {
        engine_->DeleteRows(std::move(request), Call{}, done);
      } else {
        engine_->Retract(std::move(request), Call{}, done);
      }
    });
  }

  // The row of an online answer; nullopt: NOT_FOUND.
  absl::StatusOr<std::optional<WorldRow>> Online(int64_t user, std::optional<int64_t> as_of = {},
                                                 std::optional<uint64_t> known_at = {}) {
    OnlineRequest request;
    request.project = "p";
    request.selection.features = {"v:a", "v:b", "v:c"};
    request.row_count = 1;
    request.keys = {{"user", Ints({user})}};
    request.as_of = as_of;
    if (known_at) request.known_at = KnownAt{false, *known_at, 0};
    auto answer = engine_->GetOnline(request, Call{});
    if (!answer.ok()) return answer.status();
    const auto status = [&](size_t column) {
      const auto& statuses = answer->columns[column].statuses;
      return statuses.empty() ? CellStatus::kPresent : statuses[0];
    };
    if (status(0) == CellStatus::kNotFound) return std::nullopt;
    WorldRow row;
    if (status(0) == CellStatus::kPresent) row.a = answer->columns[0].int64s[0];
    if (status(1) == CellStatus::kPresent) row.b = answer->columns[1].strings[0];
    if (status(2) == CellStatus::kPresent) row.c = answer->columns[2].doubles[0];
    return row;
  }

  std::shared_ptr<KvStore> store_ = NewMemoryKvStore();
  std::shared_ptr<std::atomic<int>> writes_left_ = std::make_shared<std::atomic<int>>(-1);
  FakeClock clock_{kNow};
  EngineOptions options_{.background = false};
  std::unique_ptr<MetricRegistry> metrics_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_ENGINE_WORLD_TESTING_H_
