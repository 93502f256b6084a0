// SPDX-License-Identifier: Apache-2.0
#include "server/metrics_http.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace fletch {
namespace {

std::string Get(int port, const std::string& path) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return "";
  const std::string request = "GET " + path + " HTTP/1.0\r\n\r\n";
  EXPECT_EQ(write(fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  ssize_t got = 0;
  while ((got = read(fd, buffer, sizeof(buffer))) > 0) answer.append(buffer, got);
  close(fd);
  return answer;
}

TEST(MetricsHttpTest, ServesCountersGaugesAndHistograms) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "civetweb's threads have 100 KiB of stack, which ASan's printf alone overflows";
#endif
  MetricRegistry metrics;
  metrics.GetCounter("fletch_test_total", "A counter", {{"code", "OK"}})->Add(41);
  metrics.GetCounter("fletch_test_total", "A counter", {{"code", "NOT_FOUND"}})->Add();
  metrics.AddGauge("fletch_gauge", "A gauge", {}, [] { return 2.5; });
  Histogram* histogram = metrics.GetHistogram("fletch_seconds", "A histogram");
  histogram->Observe(3);
  histogram->Observe(1'000'000'000);  // beyond the last bound
  auto server = MetricsHttp::Start("127.0.0.1:0", &metrics);
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string answer = Get((*server)->port(), "/metrics");
  for (const char* expected :
       {"200 OK", "# TYPE fletch_test_total counter", "fletch_test_total{code=\"OK\"} 41",
        "fletch_test_total{code=\"NOT_FOUND\"} 1", "fletch_gauge 2.5",
        "# TYPE fletch_seconds histogram", "fletch_seconds_bucket{le=\"+Inf\"} 2",
        "fletch_seconds_count 2"}) {
    EXPECT_NE(answer.find(expected), std::string::npos) << expected << "\n" << answer;
  }
}

TEST(MetricsHttpTest, SaysThatThePortIsTaken) {
  MetricRegistry metrics;
  auto first = MetricsHttp::Start("127.0.0.1:0", &metrics);
  ASSERT_TRUE(first.ok());
  const auto second = MetricsHttp::Start("127.0.0.1:" + std::to_string((*first)->port()), &metrics);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(second.status().message().find("--metrics-listen"), std::string::npos);
}

}  // namespace
}  // namespace fletch
