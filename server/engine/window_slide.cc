// SPDX-License-Identifier: Apache-2.0
#include "server/engine/window_slide.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "absl/container/flat_hash_map.h"
#include "server/engine/sketch.h"

namespace fletch {
namespace {

// Numbers values in their order; `value_of(event)` is called for events that `counts` says yes to.
template <typename Value, typename Counts, typename ValueOf>
ValueIds<Value> Number(size_t events, Counts counts, ValueOf value_of) {
  ValueIds<Value> ids;
  ids.of_event.assign(events, kNoId);
  absl::flat_hash_map<Value, uint32_t> found;
  for (size_t i = 0; i < events; ++i) {
    if (!counts(i)) continue;
    const auto [at, added] = found.try_emplace(value_of(i), static_cast<uint32_t>(found.size()));
    if (added) ids.values.push_back(at->first);
    ids.of_event[i] = at->second;
  }
  std::sort(ids.values.begin(), ids.values.end());
  std::vector<uint32_t> ordered(ids.values.size());
  for (size_t id = 0; id < ids.values.size(); ++id) {
    ordered[found.at(ids.values[id])] = static_cast<uint32_t>(id);
  }
  for (uint32_t& id : ids.of_event) {
    if (id != kNoId) id = ordered[id];
  }
  return ids;
}

double ToDouble(const EventBlock& events, size_t event, const EventSlot& slot) {
  return slot.kind == SlotKind::kInt ? static_cast<double>(events.GetInt(event, slot))
                                     : events.GetDouble(event, slot);
}

// Moves [*begin, *end) to [to_begin, to_end), one event at a time, never through less than nothing.
template <typename Add, typename Remove>
void MoveRange(size_t* begin, size_t* end, size_t to_begin, size_t to_end, Add add, Remove remove) {
  while (*begin > to_begin) add(--*begin);
  while (*end < to_end) add((*end)++);
  while (*begin < to_begin) remove((*begin)++);
  while (*end > to_end) remove(--*end);
}

}  // namespace

ValueIds<std::string> MakeValueIds(const EventBlock& events, size_t slot_index) {
  const EventSlot& slot = events.shape().slots()[slot_index];
  return Number<std::string>(
      events.size(), [&](size_t i) { return !events.is_null(i, slot_index); },
      [&](size_t i) { return ValueKey(events, i, slot); });
}

ValueIds<int32_t> MakeBucketIds(const EventBlock& events, size_t slot_index) {
  const EventSlot& slot = events.shape().slots()[slot_index];
  return Number<int32_t>(
      events.size(),
      [&](size_t i) {
        return !events.is_null(i, slot_index) && !std::isnan(ToDouble(events, i, slot));
      },
      [&](size_t i) { return SketchBucket(ToDouble(events, i, slot)); });
}

void ValueSlide::Move(size_t begin, size_t end) {
  MoveRange(
      &begin_, &end_, begin, end, [this](size_t i) { Add(i); }, [this](size_t i) { Remove(i); });
}

void ValueSlide::Add(size_t event) {
  const uint32_t id = ids_->of_event[event];
  if (id == kNoId || counts_[id]++ != 0) return;
  places_[id] = static_cast<uint32_t>(present_.size());
  present_.push_back(id);
}

void ValueSlide::Remove(size_t event) {
  const uint32_t id = ids_->of_event[event];
  if (id == kNoId || --counts_[id] != 0) return;
  present_[places_[id]] = present_.back();
  places_[present_.back()] = places_[id];
  present_.pop_back();
}

ValueCounts ValueSlide::Top(size_t k) const {
  std::vector<uint32_t> ids = present_;
  const size_t kept = std::min(k, ids.size());
  std::partial_sort(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(kept), ids.end(),
                    [this](uint32_t a, uint32_t b) {
                      return counts_[a] != counts_[b] ? counts_[a] > counts_[b] : a < b;
                    });
  ValueCounts top;
  for (size_t i = 0; i < kept; ++i) top.emplace_back(ids_->values[ids[i]], counts_[ids[i]]);
  return top;
}

void BucketSlide::Move(size_t begin, size_t end) {
  MoveRange(
      &begin_, &end_, begin, end, [this](size_t i) { Change(i, 1); },
      [this](size_t i) { Change(i, -1); });
}

void BucketSlide::Change(size_t event, int32_t by) {
  const uint32_t id = ids_->of_event[event];
  if (id == kNoId) return;
  for (size_t i = id + 1; i < sums_.size(); i += i & (~i + 1)) sums_[i] += by;
}

int32_t BucketSlide::At(uint64_t rank) const {
  size_t before = 0;
  int64_t left = static_cast<int64_t>(rank);
  for (size_t step = std::bit_floor(sums_.size()); step > 0; step /= 2) {
    if (before + step < sums_.size() && sums_[before + step] < left) {
      before += step;
      left -= sums_[before];
    }
  }
  return ids_->values[before];
}

}  // namespace fletch
