// SPDX-License-Identifier: Apache-2.0
// P10: the training join against DuckDB's. The reference lives in Python, so the bar is join.py.
#include <cstdio>
#include <cstdlib>

#include "processes.h"
#include "report.h"

namespace fletch::bench {

int RunP10(const Options& options) {
  TempFolder folder;
  Server daemon(FletchdCommand(options.fletchd, folder.path()), folder.path() + "/port");
  const std::string command = options.python + " " FLETCH_BENCH_SOURCE_DIR "/join.py --address " +
                              daemon.address() + " --pid " + std::to_string(daemon.pid()) +
                              " --repeats " + std::to_string(options.repeats) +
                              (options.quick ? " --quick" : "");
  return std::system(command.c_str()) == 0 ? 0 : 1;
}

}  // namespace fletch::bench
