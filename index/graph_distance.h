// SPDX-License-Identifier: Apache-2.0
// What a graph is built and walked by: a float that is smaller when nearer: minus the cosine, minus
// the inner product, the squared Euclidean distance. Only its order matters; hits are scored again.
#ifndef FLETCH_INDEX_GRAPH_DISTANCE_H_
#define FLETCH_INDEX_GRAPH_DISTANCE_H_

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "absl/types/span.h"
#include "index/distance.h"
#include "index/kernels.h"

namespace fletch {

// The sum that GraphDistance wants.
inline auto GraphSum(VectorMetric metric) {
  return metric == VectorMetric::kL2 ? BestKernels().squared_l2_float : BestKernels().dot_float;
}

// Huge floats overflow to infinity, and infinities cancel to NaN; such a node is far, never
// unordered.
inline float GraphDistance(VectorMetric metric, float sum) {
  const float distance = metric == VectorMetric::kL2 ? sum : -sum;
  return std::isnan(distance) ? std::numeric_limits<float>::infinity() : distance;
}

// The same of a score (distance.h).
inline float DistanceOfScore(VectorMetric metric, float score) {
  return metric == VectorMetric::kL2 ? score * score : -score;
}

// `v` as the graph holds it: of unit length under COSINE, else unchanged. All zeros stay so.
inline void WriteGraphVector(VectorMetric metric, absl::Span<const float> v, float* out) {
  const double norm = Scorer::Norm(metric, v);
  for (const float x : v) *out++ = norm > 0 ? static_cast<float>(x / norm) : 0;
}
inline std::vector<float> GraphVector(VectorMetric metric, absl::Span<const float> v) {
  std::vector<float> out(v.size());
  WriteGraphVector(metric, v, out.data());
  return out;
}

}  // namespace fletch

#endif  // FLETCH_INDEX_GRAPH_DISTANCE_H_
