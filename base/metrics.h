// SPDX-License-Identifier: Apache-2.0
// Counters, gauges and histograms, without a word of how they are exported.
#ifndef FLETCH_BASE_METRICS_H_
#define FLETCH_BASE_METRICS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace fletch {

// Name -> value, e.g. {"method","Write"}. Few values only: never a key or a request id.
using MetricLabels = std::vector<std::pair<std::string, std::string>>;

class Counter {
 public:
  void Add(uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// Latencies in microseconds, in buckets of powers of two from 1 µs to 67 s (2^26).
class Histogram {
 public:
  static constexpr int kBuckets = 27;
  void Observe(int64_t micros);
  uint64_t bucket(int i) const { return buckets_[i].load(std::memory_order_relaxed); }
  uint64_t sum_micros() const { return sum_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> buckets_[kBuckets + 1] = {};  // the last one: beyond
  std::atomic<uint64_t> sum_{0};
};

// One exported number or histogram.
struct MetricSample {
  std::string name;
  std::string help;
  MetricLabels labels;
  enum class Kind { kCounter, kGauge, kHistogram } kind = Kind::kCounter;
  double value = 0;  // counter, gauge
  std::vector<uint64_t>
      bucket_counts;       // histogram, not cumulative; bound of i is 2^i µs; last: +Inf
  double sum_seconds = 0;  // histogram
};

// Owns the metrics. Thread-safe; pointers stay valid as long as the registry.
class MetricRegistry {
 public:
  // The metric of this name and labels, made at its first use. Hold on to the pointer: the look-up
  // locks.
  Counter* GetCounter(const std::string& name, const std::string& help,
                      const MetricLabels& labels = {});
  Histogram* GetHistogram(const std::string& name, const std::string& help,
                          const MetricLabels& labels = {});
  // A gauge whose value is asked for at collection. `read` must be thread-safe and outlive the
  // registry's last use; it replaces an earlier gauge of the same name and labels.
  void AddGauge(const std::string& name, const std::string& help, const MetricLabels& labels,
                std::function<double()> read);

  // All samples, by name, then labels.
  std::vector<MetricSample> Collect() const;

 private:
  struct Entry;
  // An existing metric of another kind is a bug and crashes.
  Entry* FindOrMake(MetricSample::Kind kind, const std::string& name, const std::string& help,
                    const MetricLabels& labels) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable Mutex mu_;
  std::map<std::pair<std::string, MetricLabels>, std::shared_ptr<Entry>> entries_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace fletch

#endif  // FLETCH_BASE_METRICS_H_
