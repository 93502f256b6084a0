// SPDX-License-Identifier: Apache-2.0
#include "base/metrics.h"

#include <gtest/gtest.h>

#include <numeric>

namespace fletch {
namespace {

TEST(Metrics, OneCounterPerNameAndLabels) {
  MetricRegistry registry;
  Counter* a = registry.GetCounter("requests", "Requests.", {{"method", "Write"}});
  Counter* b = registry.GetCounter("requests", "Requests.", {{"method", "Search"}});
  EXPECT_NE(a, b);
  EXPECT_EQ(a, registry.GetCounter("requests", "Requests.", {{"method", "Write"}}));
  a->Add();
  a->Add(4);
  EXPECT_EQ(a->value(), 5u);
  EXPECT_EQ(b->value(), 0u);
}

TEST(Metrics, BucketsArePowersOfTwo) {
  const std::vector<std::pair<int64_t, int>> cases = {{-5, 0},
                                                      {0, 0},
                                                      {1, 0},
                                                      {2, 1},
                                                      {3, 2},
                                                      {4, 2},
                                                      {5, 3},
                                                      {1 << 26, 26},
                                                      {(1 << 26) + 1, 27},
                                                      {std::numeric_limits<int64_t>::max(), 27}};
  for (const auto& [micros, bucket] : cases) {
    Histogram histogram;
    histogram.Observe(micros);
    for (int i = 0; i <= Histogram::kBuckets; ++i) {
      EXPECT_EQ(histogram.bucket(i), i == bucket ? 1u : 0u) << micros << " in " << i;
    }
  }
}

TEST(Metrics, CollectsByNameThenLabels) {
  MetricRegistry registry;
  double depth = 3;
  registry.AddGauge("queue_depth", "Waiting tasks.", {}, [] { return -1.0; });
  registry.AddGauge("queue_depth", "Waiting tasks.", {}, [&depth] { return depth; });
  registry.GetHistogram("latency", "Latency.", {{"m", "b"}})->Observe(1'500'000);
  registry.GetHistogram("latency", "Latency.", {{"m", "a"}})->Observe(500'000);
  registry.GetCounter("errors", "Errors.")->Add(7);
  const std::vector<MetricSample> samples = registry.Collect();
  ASSERT_EQ(samples.size(), 4u);
  EXPECT_EQ(samples[0].name, "errors");
  EXPECT_EQ(samples[0].kind, MetricSample::Kind::kCounter);
  EXPECT_EQ(samples[0].value, 7);
  EXPECT_EQ(samples[1].labels, (MetricLabels{{"m", "a"}}));
  EXPECT_DOUBLE_EQ(samples[1].sum_seconds, 0.5);
  EXPECT_DOUBLE_EQ(samples[2].sum_seconds, 1.5);
  ASSERT_EQ(samples[2].bucket_counts.size(), Histogram::kBuckets + 1u);
  EXPECT_EQ(samples[2].bucket_counts[21], 1u);  // 2^20 < 1.5e6 <= 2^21
  EXPECT_EQ(samples[3].kind, MetricSample::Kind::kGauge);
  EXPECT_EQ(samples[3].help, "Waiting tasks.");
  EXPECT_EQ(samples[3].value, 3);
}

TEST(MetricsDeathTest, OneNameIsOfOneKind) {
  MetricRegistry registry;
  registry.GetCounter("requests", "Requests.");
  EXPECT_DEATH(registry.GetHistogram("requests", "Requests."), "two kinds");
}

}  // namespace
}  // namespace fletch
