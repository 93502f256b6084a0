// SPDX-License-Identifier: Apache-2.0
#include "server/metrics_http.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <cmath>
#include <exception>
#include <limits>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/strings.h"

namespace fletch {
namespace {

prometheus::MetricType TypeOf(MetricSample::Kind kind) {
  switch (kind) {
    case MetricSample::Kind::kCounter:
      return prometheus::MetricType::Counter;
    case MetricSample::Kind::kGauge:
      return prometheus::MetricType::Gauge;
    case MetricSample::Kind::kHistogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

prometheus::ClientMetric ToMetric(const MetricSample& sample) {
  prometheus::ClientMetric out;
  for (const auto& [name, value] : sample.labels) out.label.push_back({name, value});
  out.counter.value = sample.value;
  out.gauge.value = sample.value;
  uint64_t count = 0;
  for (size_t i = 0; i < sample.bucket_counts.size(); ++i) {
    count += sample.bucket_counts[i];
    const bool last = i + 1 == sample.bucket_counts.size();
    const double bound =
        last ? std::numeric_limits<double>::infinity() : std::ldexp(1e-6, static_cast<int>(i));
    out.histogram.bucket.push_back({count, bound});
  }
  out.histogram.sample_count = count;
  out.histogram.sample_sum = sample.sum_seconds;
  return out;
}

class RegistryCollectable final : public prometheus::Collectable {
 public:
  explicit RegistryCollectable(const MetricRegistry* metrics) : metrics_(metrics) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    std::vector<prometheus::MetricFamily> families;
    for (const MetricSample& sample : metrics_->Collect()) {
      if (families.empty() || families.back().name != sample.name) {
        families.push_back({sample.name, sample.help, TypeOf(sample.kind), {}});
      }
      families.back().metric.push_back(ToMetric(sample));
    }
    return families;
  }

 private:
  const MetricRegistry* const metrics_;
};

}  // namespace

struct MetricsHttp::Parts {
  std::shared_ptr<RegistryCollectable> collectable;
  std::unique_ptr<prometheus::Exposer> exposer;
};

MetricsHttp::MetricsHttp(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
MetricsHttp::~MetricsHttp() = default;

absl::StatusOr<std::unique_ptr<MetricsHttp>> MetricsHttp::Start(const std::string& address,
                                                                const MetricRegistry* metrics) {
  auto parts = std::make_unique<Parts>();
  parts->collectable = std::make_shared<RegistryCollectable>(metrics);
  try {
    parts->exposer = std::make_unique<prometheus::Exposer>(address, 1);
  } catch (const std::exception& error) {
    return MakeError(
        absl::StatusCode::kUnavailable, "ADDRESS_IN_USE",
        StrCat("cannot serve metrics on ", address, " (", error.what(),
               "): the port is in use or the address is not this machine's; choose another with "
               "--metrics-listen, or none with --metrics-listen="));
  }
  parts->exposer->RegisterCollectable(parts->collectable);
  return std::unique_ptr<MetricsHttp>(new MetricsHttp(std::move(parts)));
}

int MetricsHttp::port() const { return parts_->exposer->GetListeningPorts().at(0); }

}  // namespace fletch
