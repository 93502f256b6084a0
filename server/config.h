// SPDX-License-Identifier: Apache-2.0
// Settings of fletchd: a flag, else FLETCH_* of the environment, else the YAML file of --config,
// else the default.
#ifndef FLETCH_SERVER_CONFIG_H_
#define FLETCH_SERVER_CONFIG_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/limits.h"
#include "base/log.h"

namespace fletch {

// DEFAULT: as written. `fletchd --print-config` says what each does.
struct Config {
  std::string listen = "127.0.0.1:7447";
  std::string metrics_listen = "127.0.0.1:7448";
  std::string data_dir = "./fletch-data";
  std::string port_file;
  std::string log_level = "info";
  uint64_t online_budget = 4ull << 30;
  uint64_t window_budget = 2ull << 30;
  uint64_t vector_budget = 4ull << 30;
  uint64_t block_cache = 512ull << 20;
  uint64_t read_threads = DefaultThreads();
  uint64_t write_threads = 2;
  uint64_t join_threads = DefaultThreads();
  uint64_t read_queue = 1024;
  uint64_t write_queue = 1024;
  uint64_t max_streams = 64;
  uint64_t max_in_flight = 4096;
  uint64_t max_in_flight_bytes = 1ull << 30;
  uint64_t max_message = limits::kMaxMessageBytes;
  uint64_t parity_sample_ppm = 1000;
  uint64_t recall_sample_ppm = 1000;
  uint64_t drain_budget_ms = 10'000;

  // One a core, at least two.
  static uint64_t DefaultThreads();
};

struct CommandLine {
  enum class Action { kRun, kCheckConfig, kPrintConfig, kHelp, kVersion } action = Action::kRun;
  Config config;
  std::vector<std::string> warnings;  // of names that may be mistyped
};

// `args` without the program's name. INVALID_ARGUMENT names what is unknown or out of its range and
// where it stands: a flag, a variable, or a line of the file. A FLETCH_* variable that names no
// setting is a warning, because other programs (clients, Kubernetes) set some too.
absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& args,
                                             const std::map<std::string, std::string>& environment);

// Every setting with its unit, default and effect, as a YAML file that --config takes.
std::string PrintConfig(const Config& config);

// For --help.
std::string HelpText();

// REQUIRES: `config` came from ParseCommandLine.
LogLevel LogLevelOf(const Config& config);

}  // namespace fletch

#endif  // FLETCH_SERVER_CONFIG_H_
