// SPDX-License-Identifier: Apache-2.0
#include "exact_scan.h"

namespace fletch::bench {
namespace {

inline float Dot(const float* a, const float* b, size_t dimension) {
  float sum = 0;
  for (size_t i = 0; i < dimension; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

void ScanAll(const float* rows, size_t count, size_t dimension, const float* query, float* scores) {
  for (size_t i = 0; i < count; ++i) scores[i] = Dot(rows + i * dimension, query, dimension);
}

void ScanListed(const float* rows, const uint32_t* ids, size_t count, size_t dimension,
                const float* query, float* scores) {
  constexpr size_t kAhead = 8;
  for (size_t i = 0; i < count; ++i) {
    if (i + kAhead < count) {
      const float* next = rows + size_t{ids[i + kAhead]} * dimension;
      for (size_t at = 0; at < dimension; at += 16) __builtin_prefetch(next + at);
    }
    scores[i] = Dot(rows + size_t{ids[i]} * dimension, query, dimension);
  }
}

}  // namespace fletch::bench
