// SPDX-License-Identifier: Apache-2.0
// A fletchd of one test, on free ports, with a folder of its own.
#ifndef FLETCH_TESTS_CONTRACT_DAEMON_PROCESS_H_
#define FLETCH_TESTS_CONTRACT_DAEMON_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace fletch {

// Not thread-safe.
class DaemonProcess {
 public:
  // Starts $FLETCHD with `flags` beside --listen, --metrics-listen, --port-file and --data-dir. An
  // empty `data_dir` is made and removed at the end.
  explicit DaemonProcess(std::vector<std::string> flags = {}, std::string data_dir = "",
                         std::string listen = "127.0.0.1:0");
  // Kills what still runs.
  ~DaemonProcess();

  // True once it serves; false when it ended or 60 s passed.
  bool WaitUntilReady();
  void Signal(int signal);
  // The exit code, 128 + the signal's number, or -1 when it still runs after `timeout_ms`.
  int WaitForExit(int timeout_ms);

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  // GET /metrics; empty when it does not answer.
  std::string Metrics() const;
  const std::string& data_dir() const { return data_dir_; }
  // What it said on standard error so far.
  std::string Output() const;

 private:
  std::string folder_;
  std::string data_dir_;
  pid_t pid_ = -1;
  int exit_code_ = -1;
  int port_ = 0;
  int metrics_port_ = 0;
};

}  // namespace fletch

#endif  // FLETCH_TESTS_CONTRACT_DAEMON_PROCESS_H_
