// SPDX-License-Identifier: Apache-2.0
// Windows by brute force over a plain list of facts, written from docs/windows.md alone.
#ifndef FLETCH_SERVER_ENGINE_WINDOW_ORACLE_TESTING_H_
#define FLETCH_SERVER_ENGINE_WINDOW_ORACLE_TESTING_H_

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "server/engine/sketch.h"
#include "server/engine/window_testing.h"
#include "storage/random_rows_testing.h"

namespace fletch::window_testing {

// What counts at K, rows only, in fact order, within the window.
inline std::vector<const History::Entry*> InWindow(const History& history,
                                                   const std::string& entity, int64_t as_of,
                                                   uint64_t known_at, int64_t window) {
  std::map<Identity, const History::Entry*> current;
  for (const History::Entry& entry : history.facts) {
    if (entry.identity.entity_key != entity || entry.commit > known_at) continue;
    current[entry.identity] = &entry;
  }
  const auto order = [](const History::Entry* e) {
    return std::tuple(e->identity.event_time, e->commit, e->identity.event_key);
  };
  const History::Entry* tombstone = nullptr;
  std::vector<const History::Entry*> rows;
  for (const auto& [identity, entry] : current) {
    if (identity.event_time > as_of) continue;
    if (entry->form == FactForm::kTombstone) {
      if (tombstone == nullptr || order(tombstone) < order(entry)) tombstone = entry;
    } else if (entry->form == FactForm::kRow && identity.event_time > as_of - window) {
      rows.push_back(entry);
    }
  }
  std::erase_if(rows, [&](const History::Entry* row) {
    return tombstone != nullptr && order(row) < order(tombstone);
  });
  std::sort(rows.begin(), rows.end(),
            [&](const auto* a, const auto* b) { return order(a) < order(b); });
  return rows;
}

// The naive trie: split at the highest bit that differs.
struct Naive {
  double n = 0;
  double sum = 0;
  __int128 exact = 0;
  double m2 = 0;
};
using Timed = std::vector<std::tuple<int64_t, double, int64_t>>;  // time, as double, as integer

inline Naive MergeNaive(const Naive& a, const Naive& b, bool exact) {
  const auto mean = [exact](const Naive& x) {
    return exact ? static_cast<double>(x.exact) / x.n : x.sum / x.n;
  };
  Naive both{a.n + b.n, a.sum + b.sum, a.exact + b.exact, 0};
  const double distance = mean(b) - mean(a);
  both.m2 = a.m2 + b.m2 + distance * distance * (a.n * b.n / both.n);
  return both;
}

inline Naive FoldNaive(const Timed& events, bool exact) {
  const auto one = [](const auto& e) { return Naive{1, std::get<1>(e), std::get<2>(e), 0}; };
  const uint64_t differ = static_cast<uint64_t>(std::get<0>(events.front())) ^
                          static_cast<uint64_t>(std::get<0>(events.back()));
  if (differ == 0) {
    Naive sum = one(events[0]);
    for (size_t i = 1; i < events.size(); ++i) sum = MergeNaive(sum, one(events[i]), exact);
    return sum;
  }
  const uint64_t bit = std::bit_floor(differ);
  const auto is_older = [&](const auto& e) {
    const uint64_t time = static_cast<uint64_t>(std::get<0>(e)) ^ (uint64_t{1} << 63);
    return (time & bit) == 0;
  };
  const auto split = std::find_if_not(events.begin(), events.end(), is_older);
  return MergeNaive(FoldNaive({events.begin(), split}, exact),
                    FoldNaive({split, events.end()}, exact), exact);
}

// A cell as text: bytes for bytes.
inline std::string CellOf(Column column) { return testing_rows::Cell(column, 0); }

class Oracle {
 public:
  Oracle(const Aggregation& aggregation, std::vector<const History::Entry*> window)
      : aggregation_(aggregation) {
    for (const History::Entry* entry : window) {
      const bool null =
          aggregation.column.has_value() && (entry->values.nulls >> *aggregation.column & 1) != 0;
      if (!null) events_.push_back(entry);
    }
  }

  std::optional<int64_t> event_time() const {
    if (events_.empty()) return std::nullopt;
    return events_.back()->identity.event_time;
  }

  // nullopt: NULL_VALUE.
  std::optional<Column> Value() const {
    Column out{.type = aggregation_.type, .row_count = 1};
    using F = AggregateFunction;
    if (aggregation_.function == F::kCount) {
      out.int64s = {static_cast<int64_t>(events_.size())};
      return out;
    }
    if (events_.empty()) return std::nullopt;
    switch (aggregation_.function) {
      case F::kFirst:
        return Input(0);
      case F::kLast:
        return Input(events_.size() - 1);
      case F::kLastK: {
        std::vector<size_t> newest;
        for (size_t i = events_.size(); i > 0 && newest.size() < aggregation_.k; --i)
          newest.push_back(i - 1);
        return Array(newest);
      }
      case F::kCountDistinct:
        out.int64s = {static_cast<int64_t>(Counts().size())};
        return out;
      case F::kTopK:
        return Array(TopEvents());
      case F::kApproxPercentile:
        out.doubles = {Percentile()};
        return out;
      case F::kMin:
      case F::kMax:
        return Extreme();
      default:
        return Number();
    }
  }

  // Sum, mean or variance by a plain loop, and how far off the fold may be; nullopt: not finite.
  std::optional<std::pair<double, double>> PlainLoop() const {
    long double sum = 0, absolute = 0, squares = 0;
    for (size_t i = 0; i < events_.size(); ++i) {
      const double x = AsDouble(i);
      if (!std::isfinite(x) || std::fabs(x) > 1e150) return std::nullopt;
      sum += x;
      absolute += std::fabs(x);
      squares += static_cast<long double>(x) * x;
    }
    const auto n = static_cast<long double>(events_.size());
    long double spread = 0;
    for (size_t i = 0; i < events_.size(); ++i) {
      spread += (AsDouble(i) - sum / n) * (AsDouble(i) - sum / n);
    }
    switch (aggregation_.function) {
      case AggregateFunction::kSum:
        return std::pair<double, double>(sum, 1e-9L * absolute);
      case AggregateFunction::kMean:
        return std::pair<double, double>(sum / n, 1e-9L * absolute);
      case AggregateFunction::kVariance:
        return std::pair<double, double>(spread / (n - 1), 1e-9L * squares);
      default:
        return std::nullopt;
    }
  }

  double AsDouble(size_t i) const {
    const Values& v = events_[i]->values;
    const double inputs[] = {v.d, v.f, static_cast<double>(v.n), static_cast<double>(v.m),
                             static_cast<double>(v.t)};
    return inputs[*aggregation_.column];
  }
  std::vector<double> Sorted() const {
    std::vector<double> values;
    for (size_t i = 0; i < events_.size(); ++i) values.push_back(AsDouble(i));
    std::sort(values.begin(), values.end());
    return values;
  }

 private:
  static constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

  bool IsInteger() const { return *aggregation_.column >= 2; }
  int64_t AsInteger(size_t i) const {
    const Values& v = events_[i]->values;
    const int64_t inputs[] = {0, 0, v.n, v.m, v.t};
    return inputs[*aggregation_.column];
  }
  Column Input(size_t i) const { return ToColumns(events_[i]->values)[*aggregation_.column]; }
  bool AnyNan() const {
    for (size_t i = 0; i < events_.size() && !IsInteger(); ++i) {
      if (std::isnan(AsDouble(i))) return true;
    }
    return false;
  }

  Column Array(const std::vector<size_t>& events) const {
    Column out{.type = aggregation_.type, .row_count = 1, .lengths = {events.size()}};
    for (const size_t i : events) {
      Column one = Input(i);
      if (aggregation_.function == AggregateFunction::kTopK) Unify(&one);
      const auto append = [](const auto& from, auto* to) {
        to->insert(to->end(), from.begin(), from.end());
      };
      append(one.bools, &out.bools);
      append(one.int32s, &out.int32s);
      append(one.int64s, &out.int64s);
      append(one.floats, &out.floats);
      append(one.doubles, &out.doubles);
      append(one.strings, &out.strings);
    }
    return out;
  }

  // -0.0 is 0.0, every NaN is one.
  static void Unify(Column* one) {
    for (double& x : one->doubles) x = std::isnan(x) ? kNaN : x == 0 ? 0.0 : x;
    for (float& x : one->floats) x = std::isnan(x) ? static_cast<float>(kNaN) : x == 0 ? 0.0f : x;
  }

  // By value, NaN last: how often, and an event that has it.
  std::map<std::tuple<bool, double, int64_t, std::string>, std::pair<uint64_t, size_t>> Counts()
      const {
    std::map<std::tuple<bool, double, int64_t, std::string>, std::pair<uint64_t, size_t>> counts;
    for (size_t i = 0; i < events_.size(); ++i) {
      const Values& v = events_[i]->values;
      const size_t column = *aggregation_.column;
      double number = 0;
      if (column < 2) number = AsDouble(i);
      const bool nan = std::isnan(number);
      const int64_t integer = column == 6 ? v.b : column >= 2 && column < 5 ? AsInteger(i) : 0;
      auto& [count, event] =
          counts[{nan, nan || number == 0 ? 0.0 : number, integer, column == 5 ? v.s : ""}];
      ++count;
      event = i;
    }
    return counts;
  }

  std::vector<size_t> TopEvents() const {
    std::vector<std::pair<uint64_t, size_t>> ordered;
    for (const auto& [value, found] : Counts()) ordered.push_back(found);
    std::stable_sort(ordered.begin(), ordered.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    std::vector<size_t> top;
    for (size_t i = 0; i < ordered.size() && i < aggregation_.k; ++i)
      top.push_back(ordered[i].second);
    return top;
  }

  double Percentile() const {
    if (AnyNan()) return kNaN;
    const std::vector<double> values = Sorted();
    const double n = static_cast<double>(values.size());
    const auto rank = static_cast<size_t>(std::max(1.0, std::ceil(aggregation_.percentile * n)));
    const double estimate = SketchValue(SketchBucket(values[rank - 1]));
    return std::min(std::max(estimate, Least()), Greatest());
  }
  double Least() const {
    double least = AsDouble(0);
    for (size_t i = 1; i < events_.size(); ++i) least = AsDouble(i) < least ? AsDouble(i) : least;
    return least;
  }
  double Greatest() const {
    double most = AsDouble(0);
    for (size_t i = 1; i < events_.size(); ++i) most = AsDouble(i) > most ? AsDouble(i) : most;
    return most;
  }

  Column Extreme() const {
    size_t best = 0;
    const bool least = aggregation_.function == AggregateFunction::kMin;
    for (size_t i = 1; i < events_.size(); ++i) {
      const bool better =
          IsInteger() ? (least ? AsInteger(i) < AsInteger(best) : AsInteger(i) > AsInteger(best))
                      : (least ? AsDouble(i) < AsDouble(best) : AsDouble(i) > AsDouble(best));
      if (better) best = i;
    }
    Column out = Input(best);
    if (AnyNan()) {
      for (double& x : out.doubles) x = kNaN;
      for (float& x : out.floats) x = static_cast<float>(kNaN);
    }
    return out;
  }

  std::optional<Column> Number() const {
    Timed timed;
    for (size_t i = 0; i < events_.size(); ++i) {
      timed.emplace_back(events_[i]->identity.event_time, AsDouble(i),
                         IsInteger() ? AsInteger(i) : 0);
    }
    const Naive fold = FoldNaive(timed, IsInteger());
    Column out{.type = aggregation_.type, .row_count = 1};
    const auto real = [&](double value) {
      out.doubles = {std::isnan(value) ? kNaN : value};
      return out;
    };
    switch (aggregation_.function) {
      case AggregateFunction::kSum:
        if (!IsInteger()) return real(fold.sum);
        if (fold.exact != static_cast<int64_t>(fold.exact)) return std::nullopt;
        out.int64s = {static_cast<int64_t>(fold.exact)};
        return out;
      case AggregateFunction::kMean:
        return real(IsInteger() ? static_cast<double>(fold.exact) / fold.n : fold.sum / fold.n);
      default: {
        if (events_.size() < 2) return std::nullopt;
        const bool finite = IsInteger() || std::isfinite(fold.sum);
        const double variance = finite ? fold.m2 / (fold.n - 1) : kNaN;
        const bool root = aggregation_.function == AggregateFunction::kStddev;
        return real(root ? std::sqrt(variance) : variance);
      }
    }
  }

  const Aggregation aggregation_;
  std::vector<const History::Entry*> events_;  // not null in the column
};

// Every field of an answered row against the oracle, bit for bit.
inline void ExpectRow(const AggregationView& view, const History& history,
                      const std::string& entity, int64_t as_of, uint64_t known_at,
                      std::string_view bytes) {
  SCOPED_TRACE("T=" + std::to_string(as_of) + " K=" + std::to_string(known_at));
  const absl::StatusOr<RowView> row = RowView::Parse(&view.layout, bytes);
  ASSERT_TRUE(row.ok()) << row.status();
  const size_t n = view.aggregations.size();
  for (size_t i = 0; i < n; ++i) {
    const Aggregation& aggregation = view.aggregations[i];
    const Oracle oracle(aggregation,
                        InWindow(history, entity, as_of, known_at, aggregation.window_micros));
    SCOPED_TRACE(std::string(AggregateFunctionName(aggregation.function)) + " of " +
                 (aggregation.column.has_value() ? Fields()[*aggregation.column].first : "events") +
                 " in " + std::to_string(aggregation.window_micros));
    const std::optional<Column> expected = oracle.Value();
    ASSERT_EQ(row->is_null(i), !expected.has_value());
    ASSERT_EQ(row->is_null(n + i), !oracle.event_time().has_value());
    if (oracle.event_time().has_value()) {
      ASSERT_EQ(row->GetInt(n + i), *oracle.event_time());
    }
    if (!expected.has_value()) continue;
    Column cell{.type = aggregation.type};
    row->AppendTo(i, &cell);
    ASSERT_EQ(CellOf(cell), CellOf(*expected));
  }
}

}  // namespace fletch::window_testing

#endif  // FLETCH_SERVER_ENGINE_WINDOW_ORACLE_TESTING_H_
