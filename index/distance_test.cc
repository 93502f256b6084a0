// SPDX-License-Identifier: Apache-2.0
#include "index/distance.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/kernels.h"

namespace fletch {
namespace {

// The definition in distance.h, as words to code.
template <typename Term>
double PlainSum(const std::vector<float>& a, const std::vector<float>& b, Term term) {
  double lane[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  for (size_t i = 0; i < a.size(); ++i) lane[i % 8] = lane[i % 8] + term(a[i], b[i]);
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

double Product(float a, float b) { return static_cast<double>(a) * static_cast<double>(b); }

double SquaredDifference(float a, float b) {
  const double difference = static_cast<double>(a) - static_cast<double>(b);
  return difference * difference;
}

std::vector<float> RandomVector(size_t d, std::mt19937_64* random) {
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> exponent(-20, 20);
  std::vector<float> v(d);
  for (float& x : v) x = std::ldexp(normal(*random), exponent(*random));
  return v;
}

std::vector<size_t> Dimensions() {
  std::vector<size_t> dimensions;
  for (size_t d = 1; d <= 512; ++d) dimensions.push_back(d);
  for (const size_t d : {513, 768, 1000, 1023, 1024, 1536, 2047, 3072, 4095, 4096}) {
    dimensions.push_back(d);
  }
  return dimensions;
}

TEST(DistanceTest, EveryKernelGivesTheBitsOfThePlainLoop) {
  const uint64_t seed = std::random_device{}();
  RecordProperty("seed", std::to_string(seed));
  std::mt19937_64 random(seed);
  for (const Kernels& kernels : SupportedKernels()) {
    for (const size_t d : Dimensions()) {
      const std::vector<float> a = RandomVector(d, &random);
      const std::vector<float> b = RandomVector(d, &random);
      ASSERT_EQ(std::bit_cast<uint64_t>(kernels.dot(a.data(), b.data(), d)),
                std::bit_cast<uint64_t>(PlainSum(a, b, Product)))
          << kernels.name << " d=" << d << " seed=" << seed;
      ASSERT_EQ(std::bit_cast<uint64_t>(kernels.squared_l2(a.data(), b.data(), d)),
                std::bit_cast<uint64_t>(PlainSum(a, b, SquaredDifference)))
          << kernels.name << " d=" << d << " seed=" << seed;
    }
  }
}

TEST(DistanceTest, FloatKernelsAreNearTheDoubleOnes) {
  std::mt19937_64 random(7);
  std::normal_distribution<float> normal;
  for (const Kernels& kernels : SupportedKernels()) {
    for (const size_t d : Dimensions()) {
      std::vector<float> a(d), b(d);
      double size = 0;
      for (size_t i = 0; i < d; ++i) {
        a[i] = normal(random);
        b[i] = normal(random);
        size += std::abs(Product(a[i], b[i])) + SquaredDifference(a[i], b[i]);
      }
      EXPECT_NEAR(kernels.dot_float(a.data(), b.data(), d), PlainSum(a, b, Product), 1e-6 * size);
      EXPECT_NEAR(kernels.squared_l2_float(a.data(), b.data(), d),
                  PlainSum(a, b, SquaredDifference), 1e-6 * size);
    }
  }
}

TEST(DistanceTest, ScoresAreWhatTheirNamesSay) {
  const std::vector<float> a = {3, 4};
  const std::vector<float> b = {4, 3};
  EXPECT_EQ(Score(VectorMetric::kCosine, a, b), 24.0f / 25.0f);
  EXPECT_EQ(Score(VectorMetric::kDot, a, b), 24.0f);
  EXPECT_EQ(Score(VectorMetric::kL2, a, b), std::sqrt(2.0f));
  EXPECT_TRUE(Nearer(VectorMetric::kCosine, 0.9f, 0.8f));
  EXPECT_TRUE(Nearer(VectorMetric::kDot, 2, 1));
  EXPECT_TRUE(Nearer(VectorMetric::kL2, 1, 2));
  EXPECT_FALSE(Nearer(VectorMetric::kL2, 1, 1));
}

TEST(DistanceTest, ScorerGivesTheBitsOfTheFormula) {
  std::mt19937_64 random(11);
  for (const size_t d : {1, 7, 48, 100, 384}) {
    const std::vector<float> a = RandomVector(d, &random);
    const std::vector<float> b = RandomVector(d, &random);
    const double norms = std::sqrt(PlainSum(a, a, Product)) * std::sqrt(PlainSum(b, b, Product));
    EXPECT_EQ(Score(VectorMetric::kCosine, a, b),
              static_cast<float>(PlainSum(a, b, Product) / norms));
    EXPECT_EQ(Score(VectorMetric::kL2, a, b),
              static_cast<float>(std::sqrt(PlainSum(a, b, SquaredDifference))));
    const Scorer scorer(VectorMetric::kCosine, a);
    EXPECT_EQ(scorer.Score(b.data(), Scorer::Norm(VectorMetric::kCosine, b)),
              Score(VectorMetric::kCosine, a, b));
  }
}

}  // namespace
}  // namespace fletch
