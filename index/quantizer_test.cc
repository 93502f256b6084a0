// SPDX-License-Identifier: Apache-2.0
#include "index/quantizer.h"

#include <cmath>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/graph_distance.h"
#include "index/graph_test_util.h"

namespace fletch {
namespace {

constexpr VectorMetric kMetrics[] = {VectorMetric::kCosine, VectorMetric::kDot, VectorMetric::kL2};

// Dimensions of very different size and place.
Rows RandomRows(size_t count, size_t d, std::mt19937_64* random) {
  std::normal_distribution<float> normal;
  Rows rows(count, std::vector<float>(d));
  for (auto& row : rows) {
    for (size_t i = 0; i < d; ++i) {
      row[i] = static_cast<float>(i % 5) + std::ldexp(normal(*random), -static_cast<int>(i % 7));
    }
  }
  return rows;
}

CodeRanges Learn(const Rows& rows, bool trimmed) {
  return LearnRanges(
      rows[0].size(), rows.size(), [&](size_t i) { return rows[i].data(); }, trimmed);
}

TEST(QuantizerTest, CodesAreWithinHalfAStepUnlessClipped) {
  std::mt19937_64 random(1);
  const Rows rows = RandomRows(3000, 37, &random);
  const CodeRanges ranges = Learn(rows, /*trimmed=*/false);
  std::vector<uint8_t> code(37);
  double residuals = 0;
  for (const auto& row : rows) {
    residuals += EncodeVector(ranges, row.data(), code.data());
    for (size_t i = 0; i < code.size(); ++i) {
      EXPECT_NEAR(ranges.low[i] + ranges.step[i] * code[i], row[i], 0.501f * ranges.step[i]);
    }
  }
  EXPECT_NEAR(residuals / 3000, UsualResidual(ranges), 0.1 * UsualResidual(ranges));
}

TEST(QuantizerTest, TrimmedRangesClipFewElements) {
  std::mt19937_64 random(2);
  Rows rows = RandomRows(4000, 8, &random);
  rows[7][3] = 1e6f;
  const CodeRanges ranges = Learn(rows, /*trimmed=*/true);
  EXPECT_LT(ranges.step[3], 1.0f);
  size_t clipped = 0;
  for (const auto& row : rows) {
    for (size_t i = 0; i < 8; ++i) {
      clipped += row[i] < ranges.low[i] || row[i] > ranges.low[i] + 255.5f * ranges.step[i];
    }
  }
  EXPECT_LE(clipped, 4000u * 8 / 500);
  EXPECT_GT(Learn(rows, /*trimmed=*/false).step[3], 1000.0f);
}

TEST(QuantizerTest, DistancesAreOffByAboutTheDeviation) {
  std::mt19937_64 random(3);
  const size_t d = 100;
  for (const VectorMetric metric : kMetrics) {
    Rows rows = RandomRows(2000, d, &random);
    for (auto& row : rows) row = GraphVector(metric, row);
    const CodeRanges ranges = Learn(rows, metric != VectorMetric::kDot);
    CodeQuery query;
    query.Set(metric, ranges.low, ranges.step, rows[0]);
    ASSERT_EQ(query.blocks, 2u);
    std::vector<uint8_t> code(2 * kCodeBlock, 99);  // what follows a code does not count
    size_t far_off = 0;
    for (const auto& row : rows) {
      EncodeVector(ranges, row.data(), code.data());
      const uint32_t first = 0;
      int32_t sum = 0;
      BestKernels().dot_codes({code.data(), 0}, &first, 1, query.weights.data(), query.blocks,
                              &sum);
      const float bias = CodeBias(metric, ranges, row.data(), code.data());
      const float about = bias + query.offset - query.scale * static_cast<float>(sum);
      const float exact = DistanceOfScore(metric, Score(metric, rows[0], row));
      far_off += std::abs(about - exact) > 4 * query.DeviationAt(exact);
    }
    EXPECT_LE(far_off, 40u) << "metric " << static_cast<int>(metric);
    EXPECT_GT(query.DeviationAt(0), 0);
  }
}

TEST(QuantizerTest, HugeFloatsAreRefused) {
  std::mt19937_64 random(4);
  Rows rows = RandomRows(100, 4, &random);
  const CodeRanges ranges = Learn(rows, true);
  CodeQuery query;
  query.Set(VectorMetric::kL2, ranges.low, ranges.step, std::vector<float>{3e38f, 1, 1, 1});
  EXPECT_FALSE(std::isfinite(query.offset));
  rows[50][2] = 3e38f;
  EXPECT_TRUE(Learn(rows, true).low.empty());
}

TEST(QuantizerTest, AConstantDimensionIsKept) {
  const Rows rows(50, {2.5f, -1});
  const CodeRanges ranges = Learn(rows, true);
  std::vector<uint8_t> code(2);
  EXPECT_EQ(EncodeVector(ranges, rows[0].data(), code.data()), 0);
}

}  // namespace
}  // namespace fletch
