// SPDX-License-Identifier: Apache-2.0
// The best k of many scored rows, exact to the last tie.
#ifndef FLETCH_INDEX_TOP_K_H_
#define FLETCH_INDEX_TOP_K_H_

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "index/distance.h"

namespace fletch {

// `Hit` has a float `score`. `tie_before` outlives this; it orders hits of one score strictly.
template <typename Hit>
class TopK {
 public:
  TopK(VectorMetric metric, size_t k, absl::FunctionRef<bool(const Hit&, const Hit&)> tie_before)
      : metric_(metric), k_(k), tie_before_(tie_before) {}

  bool WouldEnter(const Hit& hit) const {
    return heap_.size() < k_ || (k_ > 0 && Before(hit, heap_.front()));
  }
  // REQUIRES: WouldEnter(hit).
  void Add(Hit hit) {
    const auto before = [this](const Hit& a, const Hit& b) { return Before(a, b); };
    if (heap_.size() == k_) {
      std::pop_heap(heap_.begin(), heap_.end(), before);
      heap_.pop_back();
    }
    heap_.push_back(std::move(hit));
    std::push_heap(heap_.begin(), heap_.end(), before);
  }
  size_t size() const { return heap_.size(); }
  // REQUIRES: size() > 0.
  const Hit& worst() const { return heap_.front(); }
  // Best first.
  std::vector<Hit> Take() {
    std::sort(heap_.begin(), heap_.end(),
              [this](const Hit& a, const Hit& b) { return Before(a, b); });
    return std::move(heap_);
  }

 private:
  bool Before(const Hit& a, const Hit& b) const {
    if (a.score != b.score) return Nearer(metric_, a.score, b.score);
    return tie_before_(a, b);
  }

  const VectorMetric metric_;
  const size_t k_;
  const absl::FunctionRef<bool(const Hit&, const Hit&)> tie_before_;
  std::vector<Hit> heap_;  // worst on top
};

}  // namespace fletch

#endif  // FLETCH_INDEX_TOP_K_H_
