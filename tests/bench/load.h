// SPDX-License-Identifier: Apache-2.0
// A closed loop of unary calls on raw bytes: as many in flight as asked, each answered by the next
// request.
#ifndef FLETCH_TESTS_BENCH_LOAD_H_
#define FLETCH_TESTS_BENCH_LOAD_H_

#include <cstdint>
#include <string>
#include <vector>

#include "processes.h"

namespace fletch::bench {

struct Load {
  std::string method;                 // "/fletch.v1.ServingService/GetOnlineFeatures"
  std::vector<std::string> requests;  // serialised, taken in turn
  int in_flight = 32;
  double seconds = 3;
};

struct LoadResult {
  uint64_t calls = 0;
  double qps = 0;
  double server_cpu_micros = 0;  // a call
  double p50_micros = 0;
  double p99_micros = 0;
  double p999_micros = 0;
};

// Exits the benchmark with a message when a call fails.
LoadResult RunLoad(const Server& server, const Load& load);

// One call's answer.
std::string CallOnce(const Server& server, const std::string& method, const std::string& request);

}  // namespace fletch::bench

#endif  // FLETCH_TESTS_BENCH_LOAD_H_
