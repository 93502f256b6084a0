// SPDX-License-Identifier: Apache-2.0
// What windows know of a set of events, how two neighbouring sets merge, and in which order
// (docs/windows.md). Private to the windows.
//
// The order is that of a binary trie over the event times as unsigned 64-bit numbers: events of one
// microsecond are folded one after another, then two sub-tries merge at each bit in which their
// times differ first. It depends on the event times in the window alone.
#ifndef FLETCH_SERVER_ENGINE_AGGREGATE_STATE_H_
#define FLETCH_SERVER_ENGINE_AGGREGATE_STATE_H_

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "server/engine/window_block.h"
#include "storage/value.h"

namespace fletch {

// The highest bit in which two event times differ; -1: they are equal.
inline int TrieBit(int64_t a, int64_t b) {
  return 63 - std::countl_zero(static_cast<uint64_t>(a) ^ static_cast<uint64_t>(b));
}

// Of the numbers in one column. T: int64_t, whose sums are exact, or double.
template <typename T>
struct NumberPartial {
  using Sum = std::conditional_t<std::is_same_v<T, int64_t>, __int128, double>;

  Sum sum;
  double mean;  // sum / count
  double m2;    // sum of squared distances from the mean
  T min;        // of equal ones (-0.0 and 0.0) the oldest
  T max;
  uint32_t count;  // 0: nothing else is meant
  uint32_t nans;

  static NumberPartial None() { return NumberPartial{}; }

  static NumberPartial Of(T value) {
    NumberPartial one;
    one.sum = value;
    one.mean = static_cast<double>(value);
    one.m2 = 0;
    one.min = one.max = value;
    one.count = 1;
    one.nans = value != value ? 1 : 0;
    return one;
  }

  // Chan's merge. Never subtracts what an event once added.
  static NumberPartial Merge(const NumberPartial& older, const NumberPartial& newer) {
    if (newer.count == 0) return older;
    if (older.count == 0) return newer;
    NumberPartial both;
    both.count = older.count + newer.count;
    both.nans = older.nans + newer.nans;
    both.sum = older.sum + newer.sum;
    both.mean = static_cast<double>(both.sum) / both.count;
    const double distance = newer.mean - older.mean;
    const double weight = static_cast<double>(older.count) * newer.count / both.count;
    both.m2 = older.m2 + newer.m2 + distance * distance * weight;
    both.min = newer.min < older.min ? newer.min : older.min;
    both.max = newer.max > older.max ? newer.max : older.max;
    return both;
  }
};

// By the slot's kind.
union NumberState {
  NumberPartial<int64_t> ints;
  NumberPartial<double> floats;

  NumberState() : ints() {}
  uint32_t count(SlotKind kind) const { return kind == SlotKind::kInt ? ints.count : floats.count; }
};

template <typename T>
T GetNumber(const EventBlock& block, size_t event, const EventSlot& slot) {
  if constexpr (std::is_same_v<T, int64_t>) {
    return block.GetInt(event, slot);
  } else {
    return block.GetDouble(event, slot);
  }
}

// Merges what is given to it, in fact order, as the trie over the times says.
template <typename T>
class TrieFold {
 public:
  using Partial = NumberPartial<T>;

  // `partial`: of events at `first` or, of an aligned sub-trie, from `first` to `last`.
  void Add(int64_t first, int64_t last, const Partial& partial) {
    if (partial.count == 0) return;
    if (top_.count != 0) {
      const int bit = TrieBit(last_, first);
      while (depth_ > 0 && bits_[depth_ - 1] <= bit) Pop();
      stack_[depth_] = top_;
      bits_[depth_++] = bit;
    }
    top_ = partial;
    last_ = last;
  }
  Partial Finish() {
    while (depth_ > 0) Pop();
    return top_;
  }

 private:
  void Pop() {
    --depth_;
    top_ = Partial::Merge(stack_[depth_], top_);
  }

  Partial top_ = Partial::None();
  int64_t last_ = 0;
  int depth_ = 0;
  Partial stack_[65];  // bits fall from 63 to 0, then one of -1
  int bits_[65];
};

// Events [begin, end) of `block`, which are in fact order.
template <typename T>
NumberPartial<T> FoldEvents(const EventBlock& block, size_t slot_index, size_t begin, size_t end) {
  const EventSlot& slot = block.shape().slots()[slot_index];
  TrieFold<T> fold;
  for (size_t i = begin; i < end; ++i) {
    if (block.is_null(i, slot_index)) continue;
    fold.Add(block.time(i), block.time(i), NumberPartial<T>::Of(GetNumber<T>(block, i, slot)));
  }
  return fold.Finish();
}

// The bytes of a value for count_distinct and top_k: equal values have equal keys (-0.0 is 0.0, all
// NaN are one), and keys are ordered as bytes as the values are, NaN last. REQUIRES: not null; a
// slot of kind kInt, kFloat or kBytes.
std::string ValueKey(const EventBlock& block, size_t event, const EventSlot& slot);
// Appends the value of a key as an element of an array of `type` (FORMAT.md, Row).
void AppendKeyElement(ValueType type, std::string_view key, std::string* out);
// Appends an event's value so. REQUIRES: as ValueKey.
void AppendElement(ValueType type, const EventBlock& block, size_t event, const EventSlot& slot,
                   std::string* out);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_AGGREGATE_STATE_H_
