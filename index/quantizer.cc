// SPDX-License-Identifier: Apache-2.0
#include "index/quantizer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "index/kernels.h"

namespace fletch {
namespace {

constexpr size_t kSampledVectors = 10'000;
// Share of a dimension's elements that may be clipped on each side.
constexpr double kClipped = 0.0005;
constexpr float kLevels = 255;
// Of a uniform error between -1/2 and 1/2.
constexpr double kVarianceOfRounding = 1.0 / 12;
// Codes' deviation from the middle one, about.
constexpr double kCodeSpread = 40;
// Squares of a few thousand of them stay finite.
constexpr float kLargest = 1e15f;

}  // namespace

CodeRanges LearnRanges(size_t dimension, size_t count,
                       absl::FunctionRef<const float*(size_t i)> vector, bool trimmed) {
  const size_t sampled = trimmed ? std::min(count, kSampledVectors) : count;
  const size_t clipped = trimmed ? static_cast<size_t>(kClipped * static_cast<double>(sampled)) : 0;
  CodeRanges ranges{std::vector<float>(dimension), std::vector<float>(dimension)};
  std::vector<const float*> sample(sampled);
  for (size_t i = 0; i < sampled; ++i) sample[i] = vector(i * count / sampled);
  std::vector<float> elements(sampled);
  for (size_t at = 0; at < dimension; ++at) {
    for (size_t i = 0; i < sampled; ++i) elements[i] = sample[i][at];
    if (!std::all_of(elements.begin(), elements.end(),
                     [](float x) { return std::abs(x) < kLargest; })) {
      return {};
    }
    const auto low = elements.begin() + static_cast<ptrdiff_t>(clipped);
    const auto high = elements.end() - 1 - static_cast<ptrdiff_t>(clipped);
    std::nth_element(elements.begin(), low, elements.end());
    const float least = *low;
    std::nth_element(elements.begin(), high, elements.end());
    ranges.low[at] = least;
    ranges.step[at] = (*high - least) / kLevels;
  }
  return ranges;
}

double EncodeVector(const CodeRanges& ranges, const float* v, uint8_t* code) {
  double residual = 0;
  for (size_t i = 0; i < ranges.low.size(); ++i) {
    const float low = ranges.low[i];
    const float step = ranges.step[i];
    const float level = step > 0 ? (v[i] - low) / step : 0;
    code[i] = static_cast<uint8_t>(std::clamp(level + 0.5f, 0.0f, kLevels));
    const double error = static_cast<double>(v[i]) - (low + step * code[i]);
    residual += error * error;
  }
  return residual;
}

double UsualResidual(const CodeRanges& ranges) {
  double sum = 0;
  for (const float step : ranges.step) sum += kVarianceOfRounding * step * step;
  return sum;
}

void CodeQuery::Set(VectorMetric metric, absl::Span<const float> low, absl::Span<const float> step,
                    absl::Span<const float> query) {
  const size_t d = low.size();
  blocks = (d + kCodeBlock - 1) / kCodeBlock;
  weights.assign(blocks * kCodeBlock, 0);
  metric_ = metric;
  float largest = 0;
  float squares = 0;
  float step_squares = 0;
  float step_fourths = 0;
  for (size_t i = 0; i < d; ++i) {
    const float weight = query[i] * step[i];
    largest = std::max(largest, std::abs(weight));
    squares += weight * weight;
    const float square = step[i] * step[i];
    step_squares += square;
    step_fourths += square * square;
  }
  if (!(largest < kLargest)) {
    offset = std::numeric_limits<float>::infinity();
    return;
  }
  const float unit = largest > 0 ? largest / 127 : 1;
  const float per_unit = 1 / unit;
  // Sums around the middle code: what rounding the weights costs is then as often too much as too
  // little.
  double middle = 0;
  int32_t weight_sum = 0;
  for (size_t i = 0; i < d; ++i) {
    const float weight = query[i] * step[i] * per_unit;
    const auto rounded = static_cast<int32_t>(weight + std::copysign(0.5f, weight));
    weights[i] = static_cast<int8_t>(rounded);
    weight_sum += rounded;
    middle += static_cast<double>(query[i] * (low[i] + 128.0f * step[i]));
  }
  const double factor = metric == VectorMetric::kL2 ? 2 : 1;
  const double own = PlainBias(metric, query.data(), d);
  scale = static_cast<float>(factor) * unit;
  offset = static_cast<float>(own - factor * (middle - 128.0 * unit * weight_sum));
  // Codes are rounded, and so are weights, which meet codes some levels from the middle. Where
  // dimensions are wide, so are their steps and what is between q and x.
  code_variance_ = metric == VectorMetric::kDot ? squares
                   : step_squares > 0           ? step_fourths / step_squares
                                                : 0;
  code_variance_ *= kVarianceOfRounding;
  weight_variance_ =
      kVarianceOfRounding * unit * unit * kCodeSpread * kCodeSpread * static_cast<double>(d);
}

float CodeQuery::DeviationAt(float distance) const {
  const double far = std::max(0.0f, distance);
  double variance = weight_variance_;
  switch (metric_) {
    case VectorMetric::kDot:
      variance += code_variance_;
      break;
    case VectorMetric::kCosine:  // |q - x|^2 = 2 - 2 q x
      variance += code_variance_ * (2 + 2 * std::clamp(distance, -1.0f, 1.0f));
      break;
    case VectorMetric::kL2:
      variance = 4 * (variance + code_variance_ * far);
      break;
  }
  return static_cast<float>(std::sqrt(variance));
}

float PlainBias(VectorMetric metric, const float* v, size_t dimension) {
  return metric == VectorMetric::kL2 ? BestKernels().dot_float(v, v, dimension) : 0;
}

float CodeBias(VectorMetric metric, const CodeRanges& ranges, const float* v, const uint8_t* code) {
  if (metric == VectorMetric::kDot) return 0;
  double left = 0;
  double own = 0;
  for (size_t i = 0; i < ranges.low.size(); ++i) {
    const double x = v[i];
    left += x * (x - (ranges.low[i] + ranges.step[i] * code[i]));
    own += x * x;
  }
  return static_cast<float>(metric == VectorMetric::kL2 ? own - 2 * left : -left);
}

}  // namespace fletch
