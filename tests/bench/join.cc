// SPDX-License-Identifier: Apache-2.0
// P10 and P14 against DuckDB. The reference lives in Python, so the bars are join.py and
// windows.py.
#include <cstdio>
#include <cstdlib>

#include "processes.h"
#include "report.h"

namespace fletch::bench {

namespace {

int RunScript(const Options& options, const std::string& script) {
  TempFolder folder;
  Server daemon(FletchdCommand(options.fletchd, folder.path()), folder.path() + "/port");
  const std::string command = options.python + " " FLETCH_BENCH_SOURCE_DIR "/" + script +
                              " --address " + daemon.address() + " --pid " +
                              std::to_string(daemon.pid()) + " --repeats " +
                              std::to_string(options.repeats) + (options.quick ? " --quick" : "");
  return std::system(command.c_str()) == 0 ? 0 : 1;
}

}  // namespace

int RunP10(const Options& options) { return RunScript(options, "join.py"); }
int RunP14(const Options& options) { return RunScript(options, "windows.py"); }

}  // namespace fletch::bench
