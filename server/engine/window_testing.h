// SPDX-License-Identifier: Apache-2.0
// Random histories of a source of events, and a view with every window function over it.
#ifndef FLETCH_SERVER_ENGINE_WINDOW_TESTING_H_
#define FLETCH_SERVER_ENGINE_WINDOW_TESTING_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/event_index.h"
#include "server/engine/view.h"
#include "storage/entity_key.h"
#include "storage/fact_store.h"
#include "storage/kv_store.h"

namespace fletch::window_testing {

inline constexpr ViewId kView = 7;

// One event's values, a field of the source each; nulls has a bit for each.
struct Values {
  double d = 0;
  float f = 0;
  int64_t n = 0;
  int32_t m = 0;
  int64_t t = 0;
  std::string s;
  bool b = false;
  std::vector<double> a;
  uint32_t nulls = 0;
};
inline const std::vector<std::pair<const char*, DataType>>& Fields() {
  static const auto* const kFields = new std::vector<std::pair<const char*, DataType>>{
      {"d", {ValueType::kDouble}},    {"f", {ValueType::kFloat}},
      {"n", {ValueType::kInt64}},     {"m", {ValueType::kInt32}},
      {"t", {ValueType::kTimestamp}}, {"s", {ValueType::kString}},
      {"b", {ValueType::kBool}},      {"a", {.type = ValueType::kDouble, .array = true}}};
  return *kFields;
}

struct History {
  struct Entry {
    Identity identity;
    uint64_t commit = 0;
    FactForm form = FactForm::kRow;
    Values values;
    std::string row;
  };
  std::vector<Entry> facts;  // by commit
};

inline std::shared_ptr<const View> MakeSource() {
  ViewSchema schema;
  schema.view_id = kView;
  schema.project = "p";
  schema.name = "events";
  schema.join_keys = {{"id", ValueType::kInt64}};
  schema.event_keys = {{"e", ValueType::kString}};
  for (const auto& [name, type] : Fields()) {
    FieldSchema field;
    field.name = name;
    field.type = type;
    schema.fields.push_back(field);
  }
  RowLayout layout(schema.fields);
  return std::make_shared<View>(View{schema, layout});
}

// Every function over every field that takes it, in each window.
inline std::shared_ptr<const AggregationView> MakeWindows(const std::vector<int64_t>& windows) {
  AggregationView view{"p", "windows", 1, MakeSource(), {}, RowLayout({}), 0};
  const auto add = [&](AggregateFunction function, std::optional<size_t> column, int64_t window) {
    std::optional<DataType> input;
    if (column.has_value()) input = Fields()[*column].second;
    const absl::StatusOr<DataType> type = AggregateType(function, input);
    if (!type.ok()) return;
    Aggregation aggregation{
        "a" + std::to_string(view.aggregations.size()), column, function, window, 0, 0, *type};
    const bool counted =
        function == AggregateFunction::kLastK || function == AggregateFunction::kTopK;
    if (counted) aggregation.k = 3;
    if (function == AggregateFunction::kApproxPercentile) aggregation.percentile = 0.7;
    view.aggregations.push_back(aggregation);
  };
  for (const int64_t window : windows) {
    add(AggregateFunction::kCount, std::nullopt, window);
    for (int function = 1; function <= 13; ++function) {
      for (size_t column = 0; column < Fields().size(); ++column) {
        add(static_cast<AggregateFunction>(function), column, window);
      }
    }
    view.longest_window_micros = std::max(view.longest_window_micros, window);
  }
  view.layout = MakeAggregationLayout(view.aggregations);
  return std::make_shared<AggregationView>(std::move(view));
}

inline std::vector<size_t> AllOf(const AggregationView& view) {
  std::vector<size_t> all(view.aggregations.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  return all;
}

// One row a column, null where `nulls` says so.
inline std::vector<Column> ToColumns(const Values& v) {
  std::vector<Column> columns;
  for (size_t i = 0; i < Fields().size(); ++i) {
    columns.push_back({.type = Fields()[i].second, .row_count = 1});
    if ((v.nulls >> i & 1) != 0) columns.back().null_rows = {0};
  }
  columns[0].doubles = {v.d};
  columns[1].floats = {v.f};
  columns[2].int64s = {v.n};
  columns[3].int32s = {v.m};
  columns[4].int64s = {v.t};
  columns[5].strings = {v.s};
  columns[6].bools = {static_cast<uint8_t>(v.b)};
  columns[7].doubles = (v.nulls >> 7 & 1) != 0 ? std::vector<double>{} : v.a;
  columns[7].lengths = {columns[7].doubles.size()};
  return columns;
}

inline std::string EncodeRow(const View& source, const Values& values) {
  const std::vector<Column> columns = ToColumns(values);
  std::vector<const Column*> pointers;
  for (const Column& column : columns) pointers.push_back(&column);
  return RowEncoder(&source.layout, pointers).Encode(0);
}

inline std::string EntityKey(int64_t id) {
  std::string key;
  AppendInt64Key(id, &key);
  return key;
}

// `wild`: infinite, NaN and overflowing numbers too.
inline Values RandomValues(bool wild, std::mt19937_64& random) {
  const auto number = [&]() {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    static constexpr double kOdd[] = {kInfinity, -kInfinity, 0.0, -0.0, 1e308, 5e-324};
    if (wild && random() % 20 == 0) return std::numeric_limits<double>::quiet_NaN();
    if (wild && random() % 6 == 0) return kOdd[random() % 6];
    if (random() % 3 == 0) return static_cast<double>(random() % 5) - 2;
    return std::ldexp(static_cast<double>(random() % 2'000'001) - 1e6,
                      static_cast<int>(random() % 40) - 30);
  };
  Values v;
  v.d = number();
  v.f = static_cast<float>(number());
  v.n = wild && random() % 3 == 0 ? static_cast<int64_t>(random())
                                  : static_cast<int64_t>(random() % 2001) - 1000;
  v.m = (static_cast<int32_t>(random() % 5) - 2) * 1'000'000'000 + 5;
  v.t = static_cast<int64_t>(random() % 100);
  v.s = std::string(random() % 3, static_cast<char>('a' + random() % 3));
  v.b = random() % 2 == 0;
  v.a.assign(random() % 3, 1.5);
  if (random() % 2 == 0) v.nulls = static_cast<uint32_t>(random() % (1u << Fields().size()));
  return v;
}

struct WorldOptions {
  int64_t entities = 2;
  int64_t first_time = -40;
  uint64_t times = 100;  // distinct event times
  int64_t step = 1;      // between two of them
  uint64_t event_keys = 2;
  uint64_t most_in_commit = 4;
  uint64_t deletes_in_16 = 2;
  uint64_t retractions_in_16 = 3;
  bool wild = false;
};

// Appends one commit's facts.
inline void AddRandomCommit(const View& source, const WorldOptions& options, uint64_t commit,
                            std::mt19937_64& random, History* history) {
  const uint64_t dice = random() % 16;
  const bool deletes = dice < options.deletes_in_16;
  const bool retracts = !deletes && dice < options.deletes_in_16 + options.retractions_in_16;
  const bool tombstones = deletes || (retracts && random() % 4 == 0);
  std::map<Identity, History::Entry> batch;
  for (uint64_t n = 1 + random() % options.most_in_commit; n > 0; --n) {
    History::Entry entry;
    entry.identity.entity_key = EntityKey(static_cast<int64_t>(random()) % options.entities);
    entry.identity.event_time =
        options.first_time + static_cast<int64_t>(random() % options.times) * options.step;
    entry.identity.tombstone = tombstones;
    if (!tombstones) {
      AppendStringKey(std::string(random() % options.event_keys, 'k'), &entry.identity.event_key);
    }
    if (retracts && !history->facts.empty()) {
      const Identity& other = history->facts[random() % history->facts.size()].identity;
      if (other.tombstone == tombstones) entry.identity = other;
    }
    entry.commit = commit;
    entry.form = deletes ? FactForm::kTombstone : retracts ? FactForm::kRetraction : FactForm::kRow;
    if (entry.form == FactForm::kRow) {
      entry.values = RandomValues(options.wild, random);
      entry.row = EncodeRow(source, entry.values);
    }
    batch.emplace(entry.identity, entry);
  }
  for (auto& [identity, entry] : batch) history->facts.push_back(std::move(entry));
}

inline void Store(const History& history, size_t from, KvStore* store) {
  KvBatch batch;
  for (size_t i = from; i < history.facts.size(); ++i) {
    const History::Entry& entry = history.facts[i];
    AddFact(Fact{{kView, entry.identity, entry.commit}, entry.form, entry.row}, &batch);
  }
  ASSERT_TRUE(store->Write(batch, /*sync=*/false).ok());
}

inline std::vector<FactChange> ChangesOf(const History& history, uint64_t commit) {
  std::vector<FactChange> changes;
  for (const History::Entry& entry : history.facts) {
    if (entry.commit == commit) changes.push_back({kView, &entry.identity, entry.form, entry.row});
  }
  return changes;
}

}  // namespace fletch::window_testing

#endif  // FLETCH_SERVER_ENGINE_WINDOW_TESTING_H_
