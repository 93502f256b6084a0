// SPDX-License-Identifier: Apache-2.0
// GET /metrics in Prometheus' text format. The one place that includes <prometheus/…>.
#ifndef FLETCH_SERVER_METRICS_HTTP_H_
#define FLETCH_SERVER_METRICS_HTTP_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/metrics.h"

namespace fletch {

// Serves until it is destroyed. Thread-safe.
class MetricsHttp {
 public:
  // UNAVAILABLE when the address cannot be listened on. `metrics` outlives the server.
  static absl::StatusOr<std::unique_ptr<MetricsHttp>> Start(const std::string& address,
                                                            const MetricRegistry* metrics);
  ~MetricsHttp();

  int port() const;

 private:
  struct Parts;
  explicit MetricsHttp(std::unique_ptr<Parts> parts);
  const std::unique_ptr<Parts> parts_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_METRICS_HTTP_H_
