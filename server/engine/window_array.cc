// SPDX-License-Identifier: Apache-2.0
#include "server/engine/window_array.h"

#include <algorithm>
#include <cassert>

#include "base/limits.h"

namespace fletch {

WindowArray::WindowArray(const WindowPlan* plan)
    : plan_(plan),
      columns_(plan->shape().slots().size()),
      oldest_(plan->windows().size()),
      ranges_(plan->windows().size()) {}

void WindowArray::Load(const EventBlock* events, absl::Span<const FactPlace> tombstones) {
  events_ = events;
  const size_t count = events->size();
  times_.resize(count);
  for (size_t i = 0; i < count; ++i) times_[i] = events->time(i);
  newest_ = 0;
  std::fill(oldest_.begin(), oldest_.end(), 0);
  cuts_.clear();
  size_t after = 0;
  for (const FactPlace& tombstone : tombstones) {
    while (after < count && FactPlace{events->time(after), events->commit(after)} <= tombstone) {
      ++after;
    }
    cuts_.emplace_back(tombstone.time, after);
  }
  BuildTrie();
  for (size_t slot = 0; slot < columns_.size(); ++slot) LoadSlot(slot);
  value_slides_.clear();
  value_slides_.resize(plan_->folds().size());
  bucket_slides_.clear();
  bucket_slides_.resize(plan_->folds().size());
}

// The gaps' Cartesian tree by bit. Gaps inside one microsecond (bit -1) hang to the left, one under
// the other, so that their events are folded one after another.
void WindowArray::BuildTrie() {
  const size_t gap_count = times_.empty() ? 0 : times_.size() - 1;
  gaps_.resize(gap_count);
  order_.clear();
  open_.clear();
  const auto close_until = [this](int bit, Node node) {
    while (!open_.empty() && gaps_[open_.back()].bit <= bit) {
      const uint32_t gap = open_.back();
      open_.pop_back();
      gaps_[gap].right = node;
      if (node >= 0) gaps_[static_cast<size_t>(node)].parent = gap;
      order_.push_back(gap);
      node = static_cast<Node>(gap);
    }
    return node;
  };
  for (uint32_t i = 0; i < gap_count; ++i) {
    const int bit = TrieBit(times_[i], times_[i + 1]);
    const Node left = close_until(bit, ~static_cast<Node>(i));
    gaps_[i].left = left;
    gaps_[i].bit = bit;
    if (left >= 0) gaps_[static_cast<size_t>(left)].parent = i;
    open_.push_back(i);
  }
  close_until(64, ~static_cast<Node>(gap_count));
}

void WindowArray::LoadSlot(size_t slot_index) {
  const EventSlot& slot = plan_->shape().slots()[slot_index];
  SlotColumn& column = columns_[slot_index];
  const size_t count = times_.size();
  column.nulls = false;
  for (size_t i = 0; i < count && !column.nulls; ++i) {
    column.nulls = events_->is_null(i, slot_index);
  }
  column.before.assign(1, 0);
  column.positions.clear();
  for (uint32_t i = 0; i < count && column.nulls; ++i) {
    if (!events_->is_null(i, slot_index)) column.positions.push_back(i);
    column.before.push_back(static_cast<uint32_t>(column.positions.size()));
  }
  column.values.reset();
  column.buckets.reset();
  if (!slot.numbers) return;
  if (slot.kind == SlotKind::kInt) {
    LoadNumbers(slot_index, &column.ints);
  } else {
    LoadNumbers(slot_index, &column.floats);
  }
}

template <typename T>
void WindowArray::LoadNumbers(size_t slot_index, Numbers<T>* numbers) {
  using Partial = NumberPartial<T>;
  const EventSlot& slot = plan_->shape().slots()[slot_index];
  numbers->events.resize(times_.size());
  for (size_t i = 0; i < times_.size(); ++i) {
    numbers->events[i] = events_->is_null(i, slot_index)
                             ? Partial::None()
                             : Partial::Of(GetNumber<T>(*events_, i, slot));
  }
  numbers->gaps.resize(gaps_.size());
  const auto partial_of = [&](Node node) -> const Partial& {
    return node >= 0 ? numbers->gaps[static_cast<size_t>(node)]
                     : numbers->events[static_cast<size_t>(~node)];
  };
  for (const uint32_t gap : order_) {
    numbers->gaps[gap] = Partial::Merge(partial_of(gaps_[gap].left), partial_of(gaps_[gap].right));
  }
}

// How many events are not after `time`, looked for from a place that is likely near.
size_t WindowArray::CountUpTo(int64_t time, size_t near) const {
  if (times_.empty()) return 0;
  near = std::min(near, times_.size() - 1);
  size_t low = 0;
  size_t high = times_.size();
  if (times_[near] > time) {
    high = near;
    for (size_t step = 1; step <= near; step *= 2) {
      if (times_[near - step] <= time) {
        low = near - step + 1;
        break;
      }
      high = near - step;
    }
  } else {
    low = near + 1;
    for (size_t step = 1; near + step < times_.size(); step *= 2) {
      if (times_[near + step] > time) {
        high = near + step;
        break;
      }
      low = near + step + 1;
    }
  }
  const auto begin = times_.begin();
  return static_cast<size_t>(std::upper_bound(begin + static_cast<ptrdiff_t>(low),
                                              begin + static_cast<ptrdiff_t>(high), time) -
                             begin);
}

void WindowArray::Ask(int64_t as_of) {
  const size_t end = newest_ = CountUpTo(as_of, newest_);
  const auto cut =
      std::upper_bound(cuts_.begin(), cuts_.end(), as_of,
                       [](int64_t time, const auto& entry) { return time < entry.first; });
  const size_t first = cut == cuts_.begin() ? 0 : std::prev(cut)->second;
  for (size_t i = 0; i < ranges_.size(); ++i) {
    const int64_t after = BoundWindow(as_of, plan_->windows()[i], std::nullopt).after.time;
    oldest_[i] = CountUpTo(after, oldest_[i]);
    ranges_[i] = {std::min(std::max(first, oldest_[i]), end), end};
  }
  for (SlotColumn& column : columns_) column.ints.right.begun = column.floats.right.begun = false;
}

WindowFold WindowArray::Fold(size_t fold) {
  const Range range = RangeOf(fold);
  SlotColumn& column = ColumnOf(fold);
  WindowFold answer;
  const size_t end = CountBefore(column, range.end);
  answer.count = end - CountBefore(column, range.begin);
  if (answer.count == 0) return answer;
  answer.newest = {events_, Position(column, end - 1)};
  if (!plan_->folds()[fold].numbers) return answer;
  if (plan_->shape().slots()[plan_->folds()[fold].slot].kind == SlotKind::kInt) {
    answer.numbers.ints = FoldRange(&column.ints, range);
  } else {
    answer.numbers.floats = FoldRange(&column.floats, range);
  }
  return answer;
}

uint32_t WindowArray::ParentOf(size_t event) const {
  if (event == 0) return 0;
  const bool under_gap_before = event == gaps_.size() || gaps_[event - 1].bit <= gaps_[event].bit;
  return static_cast<uint32_t>(under_gap_before ? event - 1 : event);
}

// Everything from event `begin` on, under the gap whose bit is `below`: what stands right of the
// way up.
template <typename T>
void WindowArray::WalkLeft(const Numbers<T>& numbers, size_t begin, int below,
                           NumberPartial<T>* partial) {
  uint32_t gap = ParentOf(begin);
  *partial = numbers.events[begin];
  const int64_t time = times_[begin];
  if (times_[begin + 1] == time && (begin == 0 || times_[begin - 1] != time)) {
    // A whole microsecond, however many events it has.
    const auto next =
        std::upper_bound(times_.begin() + static_cast<ptrdiff_t>(begin), times_.end(), time);
    const size_t whole = static_cast<size_t>(next - times_.begin()) - 2;
    *partial = numbers.gaps[whole];
    gap = gaps_[whole].parent;
  }
  for (; gaps_[gap].bit < below; gap = gaps_[gap].parent) {
    if (begin > gap) continue;
    const Node right = gaps_[gap].right;
    *partial =
        NumberPartial<T>::Merge(*partial, right >= 0 ? numbers.gaps[static_cast<size_t>(right)]
                                                     : numbers.events[static_cast<size_t>(~right)]);
  }
}

// REQUIRES: not empty; ranges of one question are asked with `begin` descending.
template <typename T>
NumberPartial<T> WindowArray::FoldRange(Numbers<T>* numbers, Range range) {
  using Partial = NumberPartial<T>;
  const size_t last = range.end - 1;
  const int bit = TrieBit(times_[range.begin], times_[last]);
  if (bit < 0) {
    const bool whole = range.begin == 0 || times_[range.begin - 1] != times_[range.begin];
    if (whole && range.begin < last) return numbers->gaps[last - 1];
    Partial partial = numbers->events[range.begin];
    for (size_t i = range.begin + 1; i <= last; ++i) {
      partial = Partial::Merge(partial, numbers->events[i]);
    }
    return partial;
  }
  Partial left;
  WalkLeft(*numbers, range.begin, bit, &left);
  RightWalk<T>& right = numbers->right;
  if (!right.begun) right = {true, ParentOf(last), numbers->events[last]};
  for (; gaps_[right.gap].bit < bit; right.gap = gaps_[right.gap].parent) {
    if (right.gap >= last) continue;
    const Node node = gaps_[right.gap].left;
    right.partial = Partial::Merge(node >= 0 ? numbers->gaps[static_cast<size_t>(node)]
                                             : numbers->events[static_cast<size_t>(~node)],
                                   right.partial);
  }
  return Partial::Merge(left, right.partial);
}

EventAt WindowArray::Oldest(size_t fold) {
  const SlotColumn& column = ColumnOf(fold);
  return {events_, Position(column, CountBefore(column, RangeOf(fold).begin))};
}

std::vector<EventAt> WindowArray::Newest(size_t fold, size_t k) {
  const SlotColumn& column = ColumnOf(fold);
  const size_t begin = CountBefore(column, RangeOf(fold).begin);
  const size_t end = CountBefore(column, RangeOf(fold).end);
  std::vector<EventAt> newest;
  for (size_t i = end; i > begin && newest.size() < k; --i) {
    newest.push_back({events_, Position(column, i - 1)});
  }
  return newest;
}

const ValueSlide& WindowArray::MovedValues(size_t fold) {
  SlotColumn& column = ColumnOf(fold);
  if (column.values == nullptr) {
    column.values =
        std::make_unique<ValueIds<std::string>>(MakeValueIds(*events_, plan_->folds()[fold].slot));
  }
  std::optional<ValueSlide>& slide = value_slides_[fold];
  if (!slide.has_value()) slide.emplace(column.values.get());
  slide->Move(RangeOf(fold).begin, RangeOf(fold).end);
  return *slide;
}

std::optional<uint64_t> WindowArray::CountDistinct(size_t fold) {
  const size_t count = MovedValues(fold).distinct();
  if (count > limits::kMaxWindowDistinctValues) return std::nullopt;
  return count;
}

std::optional<ValueCounts> WindowArray::Top(size_t fold, size_t k) {
  const ValueSlide& slide = MovedValues(fold);
  if (slide.distinct() > limits::kMaxWindowDistinctValues) return std::nullopt;
  return slide.Top(k);
}

int32_t WindowArray::Bucket(size_t fold, uint64_t rank) {
  SlotColumn& column = ColumnOf(fold);
  if (column.buckets == nullptr) {
    column.buckets =
        std::make_unique<ValueIds<int32_t>>(MakeBucketIds(*events_, plan_->folds()[fold].slot));
  }
  std::optional<BucketSlide>& slide = bucket_slides_[fold];
  if (!slide.has_value()) slide.emplace(column.buckets.get());
  slide->Move(RangeOf(fold).begin, RangeOf(fold).end);
  return slide->At(rank);
}

}  // namespace fletch
