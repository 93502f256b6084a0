// SPDX-License-Identifier: Apache-2.0
// What nearness is (semantics.md, Vectors): computed in double in one fixed order, returned as
// float.
#ifndef FLETCH_INDEX_DISTANCE_H_
#define FLETCH_INDEX_DISTANCE_H_

#include <cstddef>

#include "absl/types/span.h"

namespace fletch {

enum class VectorMetric : unsigned char { kCosine = 1, kDot = 2, kL2 = 3 };

// The fixed order of every sum of d terms: eight lanes, lane j adds the terms i with i % 8 == j in
// ascending i; then
// ((l0+l4)+(l2+l6)) + ((l1+l5)+(l3+l7)). A term is computed in double from the two floats (a·b; or
// (a-b)·(a-b)), without fused multiply-add. So a plain loop and every SIMD path agree bit for bit.
double DotDouble(const float* a, const float* b, size_t d);
double SquaredL2Double(const float* a, const float* b, size_t d);

// COSINE: Dot(a,b) / (sqrt(Dot(a,a)) * sqrt(Dot(b,b))), larger is nearer. DOT: Dot(a,b), larger is
// nearer. L2: sqrt(SquaredL2), smaller is nearer. REQUIRES: finite; under COSINE neither is all
// zeros.
float Score(VectorMetric metric, absl::Span<const float> a, absl::Span<const float> b);

// True when score `a` is nearer than score `b`.
bool Nearer(VectorMetric metric, float a, float b);

// Score of one query against many vectors, the query's and the vectors' norms computed once. The
// same bits as Score. Thread-safe; `query` must outlive it.
class Scorer {
 public:
  Scorer(VectorMetric metric, absl::Span<const float> query);
  // What Score wants of `v`: sqrt(Dot(v, v)) under COSINE, else 1.
  static double Norm(VectorMetric metric, absl::Span<const float> v);
  // REQUIRES: v has as many floats as the query, norm == Norm(v).
  float Score(const float* v, double norm) const;

 private:
  const VectorMetric metric_;
  const absl::Span<const float> query_;
  double (*const sum_)(const float* a, const float* b, size_t d);
  const double query_norm_;
};

}  // namespace fletch

#endif  // FLETCH_INDEX_DISTANCE_H_
