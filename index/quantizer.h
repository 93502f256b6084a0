// SPDX-License-Identifier: Apache-2.0
// Vectors as bytes, a range of its own for each dimension, and a query's distance to them as one
// sum of integers.
#ifndef FLETCH_INDEX_QUANTIZER_H_
#define FLETCH_INDEX_QUANTIZER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "index/distance.h"

namespace fletch {

// Element i of a vector is about low[i] + step[i] * code, code in 0..255.
struct CodeRanges {
  std::vector<float> low;
  std::vector<float> step;
};

// The ranges of `count` vectors. `trimmed`: from a sample of them, without its few most extreme
// elements, which are then clipped; else all elements are within. Empty when the floats are too
// large for it. REQUIRES: count > 0.
CodeRanges LearnRanges(size_t dimension, size_t count,
                       absl::FunctionRef<const float*(size_t i)> vector, bool trimmed);

// `code` gets `dimension` bytes. Returns |v - what the code says|^2.
double EncodeVector(const CodeRanges& ranges, const float* v, uint8_t* code);
// What that is on average where nothing is clipped.
double UsualResidual(const CodeRanges& ranges);

// A query against codes: distance = bias of the node + offset - scale * (sum of weights * code).
struct CodeQuery {
  // REQUIRES: low, step and query are of one size. Memory is used again. Where the query's floats
  // are too large, offset is not finite.
  void Set(VectorMetric metric, absl::Span<const float> low, absl::Span<const float> step,
           absl::Span<const float> query);

  std::vector<int8_t> weights;  // zeros to a whole number of blocks
  size_t blocks = 0;
  float offset = 0;
  float scale = 0;

  // Standard deviation, about, of that distance from the one to the vector itself, where that is
  // `distance`.
  float DeviationAt(float distance) const;

 private:
  VectorMetric metric_ = VectorMetric::kL2;
  double code_variance_ = 0;    // under DOT of the whole sum; else of a term, for a unit of q - x
  double weight_variance_ = 0;  // of the whole sum
};

// Bias of a node that holds v itself: |v|^2 under L2, else 0.
float PlainBias(VectorMetric metric, const float* v, size_t dimension);

// Bias of a node with v's code. Under L2 and COSINE what the code leaves of v is made good for
// queries near v: those are the ones that must find it. (An inner product knows no nearness.)
float CodeBias(VectorMetric metric, const CodeRanges& ranges, const float* v, const uint8_t* code);

}  // namespace fletch

#endif  // FLETCH_INDEX_QUANTIZER_H_
