// SPDX-License-Identifier: Apache-2.0
// Windows over an array of events: the trie of aggregate_state.h built once, then every window is
// two walks up in it. Private to the windows.
#ifndef FLETCH_SERVER_ENGINE_WINDOW_ARRAY_H_
#define FLETCH_SERVER_ENGINE_WINDOW_ARRAY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "server/engine/window_answer.h"
#include "server/engine/window_slide.h"

namespace fletch {

// Not thread-safe. Used again and again, so that memory is kept.
class WindowArray : public WindowSource {
 public:
  // `plan` outlives it.
  explicit WindowArray(const WindowPlan* plan);

  // `events`: rows of plan->shape(), oldest first; `tombstones`: ascending. Both stay until the
  // next Load.
  void Load(const EventBlock* events, absl::Span<const FactPlace> tombstones);
  // Moves to a question. Cheapest in ascending order.
  void Ask(int64_t as_of);

  WindowFold Fold(size_t fold) override;
  EventAt Oldest(size_t fold) override;
  std::vector<EventAt> Newest(size_t fold, size_t k) override;
  std::optional<uint64_t> CountDistinct(size_t fold) override;
  std::optional<ValueCounts> Top(size_t fold, size_t k) override;
  int32_t Bucket(size_t fold, uint64_t rank) override;

 private:
  // A sub-trie: the gap between two events at which it splits, or ~event.
  using Node = int32_t;
  struct Gap {
    Node left, right;
    uint32_t parent;
    int bit;
  };
  // What the walk up from the newest event found so far: the same for all windows of a question.
  template <typename T>
  struct RightWalk {
    bool begun = false;
    uint32_t gap = 0;
    NumberPartial<T> partial;
  };
  template <typename T>
  struct Numbers {
    std::vector<NumberPartial<T>> events;  // None: null
    std::vector<NumberPartial<T>> gaps;
    RightWalk<T> right;
  };
  struct SlotColumn {
    bool nulls = false;
    std::vector<uint32_t> before;     // nulls: events that are not null among the first i
    std::vector<uint32_t> positions;  // nulls: of events that are not null
    Numbers<int64_t> ints;
    Numbers<double> floats;
    std::unique_ptr<ValueIds<std::string>> values;
    std::unique_ptr<ValueIds<int32_t>> buckets;
  };
  struct Range {
    size_t begin = 0;
    size_t end = 0;
  };

  void BuildTrie();
  void LoadSlot(size_t slot);
  template <typename T>
  void LoadNumbers(size_t slot, Numbers<T>* numbers);
  template <typename T>
  NumberPartial<T> FoldRange(Numbers<T>* numbers, Range range);
  template <typename T>
  void WalkLeft(const Numbers<T>& numbers, size_t begin, int below, NumberPartial<T>* partial);
  uint32_t ParentOf(size_t event) const;
  size_t CountUpTo(int64_t time, size_t near) const;
  // How many events of the slot are not null among the first `events`, and the n-th of them.
  size_t CountBefore(const SlotColumn& column, size_t events) const {
    return column.nulls ? column.before[events] : events;
  }
  size_t Position(const SlotColumn& column, size_t n) const {
    return column.nulls ? column.positions[n] : n;
  }
  Range RangeOf(size_t fold) const { return ranges_[plan_->folds()[fold].window]; }
  SlotColumn& ColumnOf(size_t fold) { return columns_[plan_->folds()[fold].slot]; }
  const ValueSlide& MovedValues(size_t fold);

  const WindowPlan* const plan_;
  const EventBlock* events_ = nullptr;
  std::vector<int64_t> times_;
  std::vector<Gap> gaps_;
  std::vector<uint32_t> order_;  // gaps, children first
  std::vector<uint32_t> open_;   // scratch of BuildTrie
  std::vector<SlotColumn> columns_;
  std::vector<std::pair<int64_t, size_t>> cuts_;  // (tombstone's time, first event after it)
  size_t newest_ = 0;  // where the question before ended, and its windows began
  std::vector<size_t> oldest_;
  std::vector<Range> ranges_;                              // of the question, a window
  std::vector<std::optional<ValueSlide>> value_slides_;    // a fold
  std::vector<std::optional<BucketSlide>> bucket_slides_;  // a fold
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_WINDOW_ARRAY_H_
