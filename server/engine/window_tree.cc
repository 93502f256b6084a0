// SPDX-License-Identifier: Apache-2.0
#include "server/engine/window_tree.h"

#include <algorithm>
#include <map>

#include "base/limits.h"
#include "server/engine/sketch.h"

namespace fletch {
namespace {

double ToDouble(const EventBlock& events, size_t event, const EventSlot& slot) {
  return slot.kind == SlotKind::kInt ? static_cast<double>(events.GetInt(event, slot))
                                     : events.GetDouble(event, slot);
}

void LimitTally(TrieTally* tally) {
  if (tally->values.size() <= limits::kMaxWindowDistinctValues) return;
  *tally = {{}, true};
}

TrieTally TallyEvents(const EventBlock& events, size_t slot_index) {
  std::map<std::string, uint64_t> counts;
  for (size_t i = 0; i < events.size(); ++i) {
    if (events.is_null(i, slot_index)) continue;
    ++counts[ValueKey(events, i, events.shape().slots()[slot_index])];
  }
  TrieTally tally{{counts.begin(), counts.end()}, false};
  LimitTally(&tally);
  return tally;
}

// Adds up two lists of (key, count) that are ordered by key.
template <typename List>
List MergeCounts(const List& a, const List& b) {
  List both;
  both.reserve(a.size() + b.size());
  auto i = a.begin();
  auto j = b.begin();
  while (i != a.end() && j != b.end()) {
    if (i->first < j->first) {
      both.push_back(*i++);
    } else if (j->first < i->first) {
      both.push_back(*j++);
    } else {
      both.emplace_back(i->first, i->second + j->second);
      ++i, ++j;
    }
  }
  both.insert(both.end(), i, a.end());
  both.insert(both.end(), j, b.end());
  return both;
}

TrieTally MakeTally(const EventTrie& node, size_t slot);

TrieTally MergeTallies(const TrieTally& a, const TrieTally& b) {
  if (a.too_many || b.too_many) return {{}, true};
  TrieTally both{MergeCounts(a.values, b.values), false};
  LimitTally(&both);
  return both;
}

// A copy for small nodes only.
template <typename Use>
void WithTally(const EventTrie& node, size_t slot, Use use) {
  if (node.size() >= EventTrie::kTallyEvents) {
    use(node.Tally(slot));
  } else {
    use(MakeTally(node, slot));
  }
}

TrieTally MakeTally(const EventTrie& node, size_t slot) {
  if (node.is_leaf()) return TallyEvents(node.events(), slot);
  TrieTally tally;
  WithTally(*node.older(), slot, [&](const TrieTally& older) {
    WithTally(*node.newer(), slot,
              [&](const TrieTally& newer) { tally = MergeTallies(older, newer); });
  });
  return tally;
}

void CollectBuckets(const EventBlock& events, size_t begin, size_t end, size_t slot_index,
                    std::vector<int32_t>* buckets) {
  const EventSlot& slot = events.shape().slots()[slot_index];
  for (size_t i = begin; i < end; ++i) {
    if (events.is_null(i, slot_index)) continue;
    const double value = ToDouble(events, i, slot);
    if (!std::isnan(value)) buckets->push_back(SketchBucket(value));
  }
}

// All buckets below a small node, or its large sub-tries' lists.
void CollectBuckets(const EventTrie& node, size_t slot, std::vector<int32_t>* buckets,
                    std::vector<const TrieBuckets*>* lists) {
  if (node.is_leaf()) {
    CollectBuckets(node.events(), 0, node.events().size(), slot, buckets);
    return;
  }
  for (const EventTrie* child : {node.older().get(), node.newer().get()}) {
    if (child->size() >= EventTrie::kBucketEvents) {
      lists->push_back(&child->Buckets(slot));
    } else {
      CollectBuckets(*child, slot, buckets, lists);
    }
  }
}

TrieBuckets MakeBuckets(const EventTrie& node, size_t slot) {
  std::vector<int32_t> loose;
  std::vector<const TrieBuckets*> lists;
  CollectBuckets(node, slot, &loose, &lists);
  std::map<int32_t, uint64_t> counts;
  for (const int32_t bucket : loose) ++counts[bucket];
  for (const TrieBuckets* list : lists) {
    uint64_t below = 0;
    for (const auto& [bucket, up_to] : list->up_to) {
      counts[bucket] += up_to - below;
      below = up_to;
    }
  }
  TrieBuckets buckets;
  uint64_t sum = 0;
  for (const auto& [bucket, count] : counts) buckets.up_to.emplace_back(bucket, sum += count);
  return buckets;
}

// Events of `events` within the bounds, as [begin, end).
std::pair<size_t, size_t> RangeIn(const EventBlock& events, const WindowBounds& bounds) {
  size_t begin = 0;
  size_t end = events.size();
  for (size_t low = 0, high = end; low < high; begin = low) {
    const size_t middle = (low + high) / 2;
    if (FactPlace{events.time(middle), events.commit(middle)} <= bounds.after) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  for (size_t low = begin, high = end; low < high; end = low) {
    const size_t middle = (low + high) / 2;
    if (events.time(middle) <= bounds.as_of) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return {begin, std::max(begin, end)};
}

bool IsOutside(const EventTrie& node, const WindowBounds& bounds) {
  return node.last_time() < bounds.after.time || node.first_time() > bounds.as_of;
}

bool IsInside(const EventTrie& node, const WindowBounds& bounds) {
  return node.first_time() > bounds.after.time && node.last_time() <= bounds.as_of;
}

// Whole sub-tries and parts of leaves of which the window is made, oldest first.
template <typename OnWhole, typename OnPart>
void WalkWindow(const EventTrie* node, const WindowBounds& bounds, OnWhole on_whole,
                OnPart on_part) {
  if (node == nullptr || IsOutside(*node, bounds)) return;
  if (IsInside(*node, bounds)) return on_whole(*node);
  if (node->is_leaf()) {
    const auto range = RangeIn(node->events(), bounds);
    if (range.first < range.second) on_part(node->events(), range.first, range.second);
    return;
  }
  WalkWindow(node->older().get(), bounds, on_whole, on_part);
  WalkWindow(node->newer().get(), bounds, on_whole, on_part);
}

template <typename T>
const NumberPartial<T>& NumbersOf(const NumberState& state) {
  if constexpr (std::is_same_v<T, int64_t>) {
    return state.ints;
  } else {
    return state.floats;
  }
}

template <typename T>
NumberPartial<T> FoldWindow(const EventTrie* root, const WindowBounds& bounds, size_t slot_index) {
  TrieFold<T> fold;
  WalkWindow(
      root, bounds,
      [&](const EventTrie& node) {
        fold.Add(node.first_time(), node.last_time(), NumbersOf<T>(node.numbers(slot_index)));
      },
      [&](const EventBlock& events, size_t begin, size_t end) {
        const EventSlot& slot = events.shape().slots()[slot_index];
        for (size_t i = begin; i < end; ++i) {
          if (events.is_null(i, slot_index)) continue;
          fold.Add(events.time(i), events.time(i),
                   NumberPartial<T>::Of(GetNumber<T>(events, i, slot)));
        }
      });
  return fold.Finish();
}

uint64_t CountWindow(const EventTrie* root, const WindowBounds& bounds, size_t slot) {
  uint64_t count = 0;
  WalkWindow(
      root, bounds, [&](const EventTrie& node) { count += node.count(slot); },
      [&](const EventBlock& events, size_t begin, size_t end) {
        for (size_t i = begin; i < end; ++i) count += events.is_null(i, slot) ? 0 : 1;
      });
  return count;
}

// Calls `visit` with the window's events that are not null in the slot, newest first (oldest first
// when !newest_first), until it returns false.
template <typename Visit>
bool VisitWindow(const EventTrie* node, const WindowBounds& bounds, size_t slot, bool newest_first,
                 const Visit& visit) {
  if (node == nullptr || IsOutside(*node, bounds) || node->count(slot) == 0) return true;
  if (!node->is_leaf()) {
    const EventTrie* const older = node->older().get();
    const EventTrie* const newer = node->newer().get();
    return VisitWindow(newest_first ? newer : older, bounds, slot, newest_first, visit) &&
           VisitWindow(newest_first ? older : newer, bounds, slot, newest_first, visit);
  }
  const auto [begin, end] = RangeIn(node->events(), bounds);
  for (size_t i = begin; i < end; ++i) {
    const size_t event = newest_first ? end - 1 - (i - begin) : i;
    if (!node->events().is_null(event, slot) && !visit(EventAt{&node->events(), event})) {
      return false;
    }
  }
  return true;
}

}  // namespace

EventTrie::EventTrie(EventBlock events, std::atomic<int64_t>* memory)
    : events_(std::move(events)), memory_(memory), size_(events_.size()) {
  first_time_ = events_.time(0);
  last_time_ = events_.time(size_ - 1);
  const std::vector<EventSlot>& slots = events_.shape().slots();
  counts_.resize(slots.size());
  const bool any_numbers =
      std::any_of(slots.begin(), slots.end(), [](const EventSlot& slot) { return slot.numbers; });
  if (any_numbers) numbers_.resize(slots.size());
  for (size_t slot = 0; slot < slots.size(); ++slot) {
    for (size_t i = 0; i < size_; ++i) counts_[slot] += events_.is_null(i, slot) ? 0 : 1;
    if (!slots[slot].numbers) continue;
    if (slots[slot].kind == SlotKind::kInt) {
      numbers_[slot].ints = FoldEvents<int64_t>(events_, slot, 0, size_);
    } else {
      numbers_[slot].floats = FoldEvents<double>(events_, slot, 0, size_);
    }
  }
  MakeCaches();
}

EventTrie::EventTrie(Pointer older, Pointer newer, std::atomic<int64_t>* memory)
    : events_(&older->events_.shape()),
      older_(std::move(older)),
      newer_(std::move(newer)),
      memory_(memory),
      first_time_(older_->first_time_),
      last_time_(newer_->last_time_),
      size_(older_->size_ + newer_->size_) {
  const std::vector<EventSlot>& slots = events_.shape().slots();
  counts_.resize(slots.size());
  numbers_.resize(older_->numbers_.size());
  for (size_t slot = 0; slot < slots.size(); ++slot) {
    counts_[slot] = older_->counts_[slot] + newer_->counts_[slot];
    if (!slots[slot].numbers) continue;
    const NumberState& a = older_->numbers_[slot];
    const NumberState& b = newer_->numbers_[slot];
    if (slots[slot].kind == SlotKind::kInt) {
      numbers_[slot].ints = NumberPartial<int64_t>::Merge(a.ints, b.ints);
    } else {
      numbers_[slot].floats = NumberPartial<double>::Merge(a.floats, b.floats);
    }
  }
  MakeCaches();
}

void EventTrie::MakeCaches() {
  const size_t slots = counts_.size();
  int64_t bytes =
      static_cast<int64_t>(sizeof(*this) + events_.bytes() - sizeof(events_) +
                           slots * sizeof(uint32_t) + numbers_.size() * sizeof(NumberState));
  if (size_ >= kTallyEvents) {
    tallies_ = std::make_unique<std::atomic<const TrieTally*>[]>(slots);
    bytes += static_cast<int64_t>(slots * sizeof(void*));
  }
  if (size_ >= kBucketEvents) {
    buckets_ = std::make_unique<std::atomic<const TrieBuckets*>[]>(slots);
    bytes += static_cast<int64_t>(slots * sizeof(void*));
  }
  Account(bytes);
}

EventTrie::~EventTrie() {
  for (size_t slot = 0; slot < counts_.size(); ++slot) {
    if (tallies_ != nullptr) delete tallies_[slot].load(std::memory_order_acquire);
    if (buckets_ != nullptr) delete buckets_[slot].load(std::memory_order_acquire);
  }
  memory_->fetch_sub(bytes_.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

void EventTrie::Account(int64_t bytes) const {
  bytes_.fetch_add(bytes, std::memory_order_relaxed);
  memory_->fetch_add(bytes, std::memory_order_relaxed);
}

template <typename Kept>
const Kept& EventTrie::Keep(std::unique_ptr<const Kept> made, int64_t bytes,
                            std::atomic<const Kept*>* place) const {
  const Kept* there = nullptr;
  if (!place->compare_exchange_strong(there, made.get(), std::memory_order_acq_rel)) return *there;
  Account(bytes);
  return *made.release();
}

const TrieTally& EventTrie::Tally(size_t slot) const {
  const TrieTally* const kept = tallies_[slot].load(std::memory_order_acquire);
  if (kept != nullptr) return *kept;
  auto made = std::make_unique<const TrieTally>(MakeTally(*this, slot));
  size_t bytes = sizeof(TrieTally);
  for (const auto& [key, count] : made->values) bytes += sizeof(made->values[0]) + key.capacity();
  return Keep(std::move(made), static_cast<int64_t>(bytes), &tallies_[slot]);
}

const TrieBuckets& EventTrie::Buckets(size_t slot) const {
  const TrieBuckets* const kept = buckets_[slot].load(std::memory_order_acquire);
  if (kept != nullptr) return *kept;
  auto made = std::make_unique<const TrieBuckets>(MakeBuckets(*this, slot));
  const size_t bytes = sizeof(TrieBuckets) + made->up_to.size() * sizeof(made->up_to[0]);
  return Keep(std::move(made), static_cast<int64_t>(bytes), &buckets_[slot]);
}

EventTreeSource::EventTreeSource(const WindowPlan& plan, absl::Span<const size_t> slots,
                                 const EventTree& tree, int64_t as_of)
    : plan_(plan), slots_(slots), tree_(tree) {
  std::optional<FactPlace> newest;
  if (tree.tombstones != nullptr) {
    const auto after =
        std::upper_bound(tree.tombstones->begin(), tree.tombstones->end(), as_of,
                         [](int64_t time, const FactPlace& place) { return time < place.time; });
    if (after != tree.tombstones->begin()) newest = *std::prev(after);
  }
  for (const int64_t window : plan.windows()) {
    bounds_.push_back(BoundWindow(as_of, window, newest));
  }
}

WindowFold EventTreeSource::Fold(size_t fold) {
  const WindowBounds& bounds = BoundsOf(fold);
  const size_t slot = SlotOf(fold);
  WindowFold answer;
  if (!plan_.folds()[fold].numbers) {
    answer.count = CountWindow(tree_.root.get(), bounds, slot);
  } else if (plan_.shape().slots()[plan_.folds()[fold].slot].kind == SlotKind::kInt) {
    answer.numbers.ints = FoldWindow<int64_t>(tree_.root.get(), bounds, slot);
    answer.count = answer.numbers.ints.count;
  } else {
    answer.numbers.floats = FoldWindow<double>(tree_.root.get(), bounds, slot);
    answer.count = answer.numbers.floats.count;
  }
  if (answer.count > 0) answer.newest = Newest(fold, 1)[0];
  return answer;
}

EventAt EventTreeSource::Oldest(size_t fold) {
  EventAt oldest;
  VisitWindow(tree_.root.get(), BoundsOf(fold), SlotOf(fold), false, [&](EventAt at) {
    oldest = at;
    return false;
  });
  return oldest;
}

std::vector<EventAt> EventTreeSource::Newest(size_t fold, size_t k) {
  std::vector<EventAt> newest;
  VisitWindow(tree_.root.get(), BoundsOf(fold), SlotOf(fold), true, [&](EventAt at) {
    newest.push_back(at);
    return newest.size() < k;
  });
  return newest;
}

std::optional<ValueCounts> EventTreeSource::CountValues(size_t fold) const {
  const size_t slot = SlotOf(fold);
  TrieTally sum;
  const auto add = [&](const TrieTally& tally) { sum = MergeTallies(sum, tally); };
  WalkWindow(
      tree_.root.get(), BoundsOf(fold), [&](const EventTrie& node) { WithTally(node, slot, add); },
      [&](const EventBlock& events, size_t begin, size_t end) {
        EventBlock part(&events.shape());
        for (size_t i = begin; i < end; ++i) part.AppendFrom(events, i);
        add(TallyEvents(part, slot));
      });
  if (sum.too_many) return std::nullopt;
  return std::move(sum.values);
}

std::optional<uint64_t> EventTreeSource::CountDistinct(size_t fold) {
  const std::optional<ValueCounts> counts = CountValues(fold);
  if (!counts.has_value()) return std::nullopt;
  return counts->size();
}

std::optional<ValueCounts> EventTreeSource::Top(size_t fold, size_t k) {
  std::optional<ValueCounts> counts = CountValues(fold);
  if (counts.has_value()) KeepTop(k, &*counts);
  return counts;
}

int32_t EventTreeSource::Bucket(size_t fold, uint64_t rank) {
  const size_t slot = SlotOf(fold);
  std::vector<int32_t> loose;
  std::vector<const TrieBuckets*> lists;
  WalkWindow(
      tree_.root.get(), BoundsOf(fold),
      [&](const EventTrie& node) {
        if (node.size() >= EventTrie::kBucketEvents) {
          lists.push_back(&node.Buckets(slot));
        } else {
          CollectBuckets(node, slot, &loose, &lists);
        }
      },
      [&](const EventBlock& events, size_t begin, size_t end) {
        CollectBuckets(events, begin, end, slot, &loose);
      });
  std::sort(loose.begin(), loose.end());
  const auto up_to = [&](int32_t bucket) {
    auto count =
        static_cast<uint64_t>(std::upper_bound(loose.begin(), loose.end(), bucket) - loose.begin());
    for (const TrieBuckets* list : lists) {
      const auto after =
          std::upper_bound(list->up_to.begin(), list->up_to.end(), bucket,
                           [](int32_t value, const auto& entry) { return value < entry.first; });
      if (after != list->up_to.begin()) count += std::prev(after)->second;
    }
    return count;
  };
  // The least bucket that reaches the rank.
  int32_t low = -SketchBucket(std::numeric_limits<double>::infinity());
  int32_t high = -low;
  while (low < high) {
    const int32_t middle = low + (high - low) / 2;
    if (up_to(middle) >= rank) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

}  // namespace fletch
