// SPDX-License-Identifier: Apache-2.0
#include "index/distance.h"

#include <cmath>

#include "index/kernels.h"

namespace fletch {

double DotDouble(const float* a, const float* b, size_t d) { return BestKernels().dot(a, b, d); }

double SquaredL2Double(const float* a, const float* b, size_t d) {
  return BestKernels().squared_l2(a, b, d);
}

float Score(VectorMetric metric, absl::Span<const float> a, absl::Span<const float> b) {
  return Scorer(metric, a).Score(b.data(), Scorer::Norm(metric, b));
}

bool Nearer(VectorMetric metric, float a, float b) {
  return metric == VectorMetric::kL2 ? a < b : a > b;
}

Scorer::Scorer(VectorMetric metric, absl::Span<const float> query)
    : metric_(metric),
      query_(query),
      sum_(metric == VectorMetric::kL2 ? BestKernels().squared_l2 : BestKernels().dot),
      query_norm_(Norm(metric, query)) {}

double Scorer::Norm(VectorMetric metric, absl::Span<const float> v) {
  if (metric != VectorMetric::kCosine) return 1.0;
  return std::sqrt(DotDouble(v.data(), v.data(), v.size()));
}

float Scorer::Score(const float* v, double norm) const {
  const double sum = sum_(query_.data(), v, query_.size());
  switch (metric_) {
    case VectorMetric::kCosine:
      return static_cast<float>(sum / (query_norm_ * norm));
    case VectorMetric::kDot:
      return static_cast<float>(sum);
    case VectorMetric::kL2:
      return static_cast<float>(std::sqrt(sum));
  }
  return 0;
}

}  // namespace fletch
