// SPDX-License-Identifier: Apache-2.0
// The buckets of approx_percentile. A bucket is the sign, the exponent and the first 6 bits of the
// mantissa of a double, so it is the same on every machine, and counts of buckets add up in any
// order. No library does this: DDSketch's logarithms differ in their last bit between machines.
#ifndef FLETCH_SERVER_ENGINE_SKETCH_H_
#define FLETCH_SERVER_ENGINE_SKETCH_H_

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace fletch {

// What SketchValue(SketchBucket(x)) is off by, as a part of |x|, at most: half of a 64th.
inline constexpr double kSketchRelativeError = 1.0 / 128;

inline constexpr int kSketchShift = 52 - 6;

// Ascending with x: x <= y means SketchBucket(x) <= SketchBucket(y). Zeros and subnormal numbers
// are bucket 0. REQUIRES: not NaN.
inline int32_t SketchBucket(double x) {
  const uint64_t magnitude = std::bit_cast<uint64_t>(x) & (~uint64_t{0} >> 1);
  if (magnitude < uint64_t{1} << 52) return 0;
  const int32_t bucket = static_cast<int32_t>(magnitude >> kSketchShift);
  return std::signbit(x) ? -bucket : bucket;
}

// The middle of the bucket.
inline double SketchValue(int32_t bucket) {
  if (bucket == 0) return 0;
  const uint64_t first = static_cast<uint64_t>(bucket < 0 ? -bucket : bucket) << kSketchShift;
  const double least = std::bit_cast<double>(first);
  const double middle =
      std::isinf(least) ? least : std::bit_cast<double>(first | uint64_t{1} << (kSketchShift - 1));
  return bucket < 0 ? -middle : middle;
}

// Which of n values in ascending order is the p-percentile, from 1: the least r with r >= p * n.
inline uint64_t PercentileRank(double p, uint64_t n) {
  const double rank = std::ceil(p * static_cast<double>(n));
  return rank < 1 ? 1 : rank > static_cast<double>(n) ? n : static_cast<uint64_t>(rank);
}

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_SKETCH_H_
