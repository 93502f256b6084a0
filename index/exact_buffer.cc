// SPDX-License-Identifier: Apache-2.0
#include "index/exact_buffer.h"

#include <algorithm>

namespace fletch {

ExactBuffer::ExactBuffer(VectorMetric metric, size_t dimension)
    : metric_(metric), dimension_(dimension), vectors_(dimension) {}

uint32_t ExactBuffer::Add(absl::Span<const float> vector) {
  const uint32_t row = row_count_.load(std::memory_order_relaxed);
  std::copy(vector.begin(), vector.end(), vectors_.Grow(row));
  if (metric_ == VectorMetric::kCosine) *norms_.Grow(row) = Scorer::Norm(metric_, vector);
  row_count_.store(row + 1, std::memory_order_release);
  return row;
}

}  // namespace fletch
