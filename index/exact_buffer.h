// SPDX-License-Identifier: Apache-2.0
// All rows' vectors at full precision, in memory that never moves.
#ifndef FLETCH_INDEX_EXACT_BUFFER_H_
#define FLETCH_INDEX_EXACT_BUFFER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "index/chunked_rows.h"
#include "index/distance.h"

namespace fletch {

// One thread adds, any number read without a lock.
class ExactBuffer {
 public:
  ExactBuffer(VectorMetric metric, size_t dimension);

  // REQUIRES: vector.size() == dimension; fewer than 2^32 rows.
  uint32_t Add(absl::Span<const float> vector);
  // Rows that can be read.
  uint32_t row_count() const { return row_count_.load(std::memory_order_acquire); }
  // REQUIRES: row < row_count(), here and below.
  absl::Span<const float> vector(uint32_t row) const { return {vectors_[row], dimension_}; }
  // `scorer`'s Score of the row.
  float Score(const Scorer& scorer, uint32_t row) const {
    return scorer.Score(vectors_[row], metric_ == VectorMetric::kCosine ? *norms_[row] : 1.0);
  }

 private:
  const VectorMetric metric_;
  const size_t dimension_;
  ChunkedRows<float> vectors_;
  ChunkedRows<double> norms_;  // under COSINE
  std::atomic<uint32_t> row_count_{0};
};

}  // namespace fletch

#endif  // FLETCH_INDEX_EXACT_BUFFER_H_
