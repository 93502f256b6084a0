// SPDX-License-Identifier: Apache-2.0
#include "base/metrics.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "base/log.h"

namespace fletch {

void Histogram::Observe(int64_t micros) {
  const uint64_t value = micros < 0 ? 0 : static_cast<uint64_t>(micros);  // a set clock may go back
  const int bucket = value <= 1 ? 0 : std::bit_width(value - 1);
  buckets_[std::min(bucket, kBuckets)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

struct MetricRegistry::Entry {
  MetricSample::Kind kind;
  std::string help;
  Counter counter;
  Histogram histogram;
  std::function<double()> read;

  Entry(MetricSample::Kind kind_of_entry, std::string help_text)
      : kind(kind_of_entry), help(std::move(help_text)) {}
};

MetricRegistry::Entry* MetricRegistry::FindOrMake(MetricSample::Kind kind, const std::string& name,
                                                  const std::string& help,
                                                  const MetricLabels& labels) {
  std::shared_ptr<Entry>& entry = entries_[{name, labels}];
  if (entry == nullptr) entry = std::make_shared<Entry>(kind, help);
  if (entry->kind != kind) {
    Log(LogLevel::kError, "one metric name used for two kinds of metric", {{"metric", name}});
    std::abort();
  }
  return entry.get();
}

Counter* MetricRegistry::GetCounter(const std::string& name, const std::string& help,
                                    const MetricLabels& labels) {
  MutexLock lock(&mu_);
  return &FindOrMake(MetricSample::Kind::kCounter, name, help, labels)->counter;
}

Histogram* MetricRegistry::GetHistogram(const std::string& name, const std::string& help,
                                        const MetricLabels& labels) {
  MutexLock lock(&mu_);
  return &FindOrMake(MetricSample::Kind::kHistogram, name, help, labels)->histogram;
}

void MetricRegistry::AddGauge(const std::string& name, const std::string& help,
                              const MetricLabels& labels, std::function<double()> read) {
  auto gauge = std::make_shared<Entry>(MetricSample::Kind::kGauge, help);
  gauge->read = std::move(read);
  MutexLock lock(&mu_);
  FindOrMake(MetricSample::Kind::kGauge, name, help, labels);
  entries_[{name, labels}] = std::move(gauge);  // a Collect under way keeps the old one alive
}

std::vector<MetricSample> MetricRegistry::Collect() const {
  std::map<std::pair<std::string, MetricLabels>, std::shared_ptr<Entry>> entries;
  {
    MutexLock lock(&mu_);
    entries = entries_;  // gauges are read without the lock: they may take locks of their own
  }
  std::vector<MetricSample> samples;
  samples.reserve(entries.size());
  for (const auto& [key, entry] : entries) {
    MetricSample sample;
    sample.name = key.first;
    sample.help = entry->help;
    sample.labels = key.second;
    sample.kind = entry->kind;
    switch (entry->kind) {
      case MetricSample::Kind::kCounter:
        sample.value = static_cast<double>(entry->counter.value());
        break;
      case MetricSample::Kind::kGauge:
        sample.value = entry->read();
        break;
      case MetricSample::Kind::kHistogram:
        for (int i = 0; i <= Histogram::kBuckets; ++i) {
          sample.bucket_counts.push_back(entry->histogram.bucket(i));
        }
        sample.sum_seconds = static_cast<double>(entry->histogram.sum_micros()) / 1e6;
        break;
    }
    samples.push_back(std::move(sample));
  }
  return samples;
}

}  // namespace fletch
