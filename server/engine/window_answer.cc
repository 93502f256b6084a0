// SPDX-License-Identifier: Apache-2.0
#include "server/engine/window_answer.h"

#include <algorithm>
#include <cmath>

#include "absl/container/inlined_vector.h"
#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/sketch.h"

namespace fletch {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Every NaN that is answered is this one: what the processor makes of two depends on their order.
double OneNaN(double value) { return std::isnan(value) ? kNaN : value; }

// Answers one question, fold after fold.
class Answerer {
 public:
  Answerer(const WindowPlan& plan, size_t question, Counter* overflows, WindowSource* source,
           AggregateRowBuilder* row)
      : plan_(plan), question_(question), overflows_(overflows), source_(source), row_(row) {}

  absl::Status Answer(const WindowPlan::Wanted& wanted, const WindowFold& fold) {
    const Aggregation& aggregation = plan_.view().aggregations[wanted.aggregation];
    const EventSlot& slot = plan_.shape().slots()[plan_.folds()[wanted.fold].slot];
    field_ = wanted.aggregation;
    fold_ = wanted.fold;
    if (aggregation.function == AggregateFunction::kCount) {
      row_->Set(field_, static_cast<int64_t>(fold.count));
      return absl::OkStatus();
    }
    if (fold.count == 0) return absl::OkStatus();
    switch (aggregation.function) {
      case AggregateFunction::kFirst:
        SetEvent(slot, source_->Oldest(fold_));
        return absl::OkStatus();
      case AggregateFunction::kLast:
        SetEvent(slot, fold.newest);
        return absl::OkStatus();
      case AggregateFunction::kLastK:
        SetNewest(slot, aggregation.k);
        return absl::OkStatus();
      case AggregateFunction::kCountDistinct:
      case AggregateFunction::kTopK:
        return SetCounts(slot, aggregation);
      case AggregateFunction::kApproxPercentile:
        SetPercentile(slot, aggregation.percentile, fold);
        return absl::OkStatus();
      default:
        if (slot.kind == SlotKind::kInt) {
          SetNumber(aggregation, fold.numbers.ints);
        } else {
          SetNumber(aggregation, fold.numbers.floats);
        }
        return absl::OkStatus();
    }
  }

 private:
  void SetEvent(const EventSlot& slot, EventAt at) {
    switch (slot.kind) {
      case SlotKind::kInt:
        return SetInt(slot.type, at.block->GetInt(at.event, SlotIn(at, slot)));
      case SlotKind::kFloat:
        return SetFloat(slot.type, at.block->GetDouble(at.event, SlotIn(at, slot)));
      default:
        return row_->SetBytes(field_, at.block->GetBytes(at.event, SlotIn(at, slot)));
    }
  }

  void SetInt(ValueType type, int64_t value) {
    if (type == ValueType::kBool) return row_->Set(field_, static_cast<uint8_t>(value));
    if (type == ValueType::kInt32) return row_->Set(field_, static_cast<int32_t>(value));
    row_->Set(field_, value);
  }

  void SetFloat(ValueType type, double value) {
    if (type == ValueType::kFloat) return row_->Set(field_, static_cast<float>(value));
    row_->Set(field_, value);
  }

  void SetNewest(const EventSlot& slot, uint64_t k) {
    std::string elements;
    for (const EventAt at : source_->Newest(fold_, k)) {
      AppendElement(slot.type, *at.block, at.event, SlotIn(at, slot), &elements);
    }
    row_->SetBytes(field_, elements);
  }

  absl::Status SetCounts(const EventSlot& slot, const Aggregation& aggregation) {
    if (aggregation.function == AggregateFunction::kCountDistinct) {
      const std::optional<uint64_t> count = source_->CountDistinct(fold_);
      if (!count.has_value()) return TooManyValues(aggregation);
      row_->Set(field_, static_cast<int64_t>(*count));
      return absl::OkStatus();
    }
    const std::optional<ValueCounts> top = source_->Top(fold_, aggregation.k);
    if (!top.has_value()) return TooManyValues(aggregation);
    std::string elements;
    for (const auto& [key, count] : *top) AppendKeyElement(slot.type, key, &elements);
    row_->SetBytes(field_, elements);
    return absl::OkStatus();
  }

  absl::Status TooManyValues(const Aggregation& aggregation) const {
    return MakeError(
        absl::StatusCode::kResourceExhausted, "TOO_MANY_DISTINCT_VALUES",
        StrCat("row ", question_, ": aggregation ", aggregation.name, " of view ",
               plan_.view().versioned_name(), " met more than ", limits::kMaxWindowDistinctValues,
               " distinct values in its window; shorten the window or aggregate a coarser field"));
  }

  void SetPercentile(const EventSlot& slot, double percentile, const WindowFold& fold) {
    const bool ints = slot.kind == SlotKind::kInt;
    if (!ints && fold.numbers.floats.nans != 0) return row_->Set(field_, kNaN);
    const double value =
        SketchValue(source_->Bucket(fold_, PercentileRank(percentile, fold.count)));
    // What lies outside of the window's own values is surely wrong.
    const double min = ints ? static_cast<double>(fold.numbers.ints.min) : fold.numbers.floats.min;
    const double max = ints ? static_cast<double>(fold.numbers.ints.max) : fold.numbers.floats.max;
    row_->Set(field_, value < min ? min : value > max ? max : value);
  }

  template <typename T>
  void SetNumber(const Aggregation& aggregation, const NumberPartial<T>& partial) {
    const double count = partial.count;
    const bool nan = partial.nans != 0;
    switch (aggregation.function) {
      case AggregateFunction::kSum:
        return SetSum(partial.sum);
      case AggregateFunction::kMean:
        return row_->Set(field_, OneNaN(static_cast<double>(partial.sum) / count));
      case AggregateFunction::kMin:
      case AggregateFunction::kMax: {
        const T value = aggregation.function == AggregateFunction::kMin ? partial.min : partial.max;
        if constexpr (std::is_same_v<T, int64_t>) {
          return SetInt(aggregation.type.type, value);
        } else {
          return SetFloat(aggregation.type.type, nan ? kNaN : value);
        }
      }
      default: {  // variance and stddev
        if (partial.count < 2) return;
        // Of an infinite value there is no distance from the mean.
        const bool finite = std::isfinite(static_cast<double>(partial.sum));
        const double variance = finite ? OneNaN(partial.m2 / (count - 1)) : kNaN;
        const bool root = aggregation.function == AggregateFunction::kStddev;
        return row_->Set(field_, root ? std::sqrt(variance) : variance);
      }
    }
  }

  void SetSum(double sum) { row_->Set(field_, OneNaN(sum)); }
  void SetSum(__int128 sum) {
    if (sum < std::numeric_limits<int64_t>::min() || sum > std::numeric_limits<int64_t>::max()) {
      if (overflows_ != nullptr) overflows_->Add();
      return;
    }
    row_->Set(field_, static_cast<int64_t>(sum));
  }

  // The slot as the event's own block lays it out.
  static const EventSlot& SlotIn(EventAt at, const EventSlot& slot) {
    const std::optional<size_t> found = at.block->shape().Find(slot.field);
    return at.block->shape().slots()[*found];
  }

  const WindowPlan& plan_;
  const size_t question_;
  Counter* const overflows_;
  WindowSource* const source_;
  AggregateRowBuilder* const row_;
  size_t field_ = 0;
  size_t fold_ = 0;
};

}  // namespace

WindowBounds BoundWindow(int64_t as_of, int64_t window_micros,
                         const std::optional<FactPlace>& tombstone) {
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  // All facts of the instant that begins the window are out.
  FactPlace after{kLeast, std::numeric_limits<uint64_t>::max()};
  if (as_of >= kLeast + window_micros) after.time = as_of - window_micros;
  if (tombstone.has_value()) after = std::max(after, *tombstone);
  return {after, as_of};
}

absl::Status AnswerWindows(const WindowPlan& plan, size_t question, Counter* overflows,
                           WindowSource* source, AggregateRowBuilder* row) {
  Answerer answerer(plan, question, overflows, source, row);
  const size_t fields = plan.view().aggregations.size();
  absl::InlinedVector<WindowFold, 16> folds(plan.folds().size());
  for (size_t i = 0; i < folds.size(); ++i) folds[i] = source->Fold(i);
  for (const WindowPlan::Wanted& wanted : plan.wanted()) {
    const WindowFold& fold = folds[wanted.fold];
    RETURN_IF_ERROR(answerer.Answer(wanted, fold));
    if (fold.count > 0) {
      row->Set(fields + wanted.aggregation, fold.newest.block->time(fold.newest.event));
    }
  }
  return absl::OkStatus();
}

void KeepTop(size_t k, ValueCounts* counts) {
  const auto before = [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  };
  const size_t kept = std::min(k, counts->size());
  std::partial_sort(counts->begin(), counts->begin() + static_cast<ptrdiff_t>(kept), counts->end(),
                    before);
  counts->resize(kept);
}

}  // namespace fletch
