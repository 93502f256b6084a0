// SPDX-License-Identifier: Apache-2.0
// How often each value occurs in a window that moves over an array of events: each event is added
// once and taken out once while the window moves one way. Private to the windows.
#ifndef FLETCH_SERVER_ENGINE_WINDOW_SLIDE_H_
#define FLETCH_SERVER_ENGINE_WINDOW_SLIDE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "server/engine/window_answer.h"

namespace fletch {

inline constexpr uint32_t kNoId = UINT32_MAX;

// A small number for each distinct value of a slot, ascending with the value.
template <typename Value>
struct ValueIds {
  std::vector<uint32_t> of_event;  // kNoId: null; of buckets also NaN
  std::vector<Value> values;       // by id
};
ValueIds<std::string> MakeValueIds(const EventBlock& events, size_t slot);
ValueIds<int32_t> MakeBucketIds(const EventBlock& events, size_t slot);

// Counts of count_distinct and top_k. A new one stands before the first event.
class ValueSlide {
 public:
  explicit ValueSlide(const ValueIds<std::string>* ids)
      : ids_(ids), counts_(ids->values.size(), 0), places_(ids->values.size(), 0) {}

  // To events [begin, end).
  void Move(size_t begin, size_t end);
  size_t distinct() const { return present_.size(); }
  ValueCounts Top(size_t k) const;

 private:
  void Add(size_t event);
  void Remove(size_t event);

  const ValueIds<std::string>* const ids_;
  std::vector<uint32_t> counts_;
  std::vector<uint32_t> places_;   // in present_
  std::vector<uint32_t> present_;  // ids with a count
  size_t begin_ = 0;
  size_t end_ = 0;
};

// Counts of approx_percentile: a Fenwick tree over the buckets.
class BucketSlide {
 public:
  explicit BucketSlide(const ValueIds<int32_t>* ids)
      : ids_(ids), sums_(ids->values.size() + 1, 0) {}

  void Move(size_t begin, size_t end);
  // The bucket of the rank-th value (from 1). REQUIRES: there are so many.
  int32_t At(uint64_t rank) const;

 private:
  void Change(size_t event, int32_t by);

  const ValueIds<int32_t>* const ids_;
  std::vector<int32_t> sums_;  // from 1
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_WINDOW_SLIDE_H_
