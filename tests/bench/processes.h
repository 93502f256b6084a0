// SPDX-License-Identifier: Apache-2.0
// Servers as child processes, and what they cost.
#ifndef FLETCH_TESTS_BENCH_PROCESSES_H_
#define FLETCH_TESTS_BENCH_PROCESSES_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace fletch::bench {

// A folder under TMPDIR that goes with the object.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// What a process holds of the machine's memory, bytes.
struct Memory {
  double anonymous = 0;
  double mapped = 0;  // resident pages of files under the folder that was asked about
};

// A child that writes its address to `port_file` when it is ready; ended by SIGTERM.
class Server {
 public:
  // Exits the benchmark with a message when the child does not become ready in 60 s.
  Server(const std::vector<std::string>& command, const std::string& port_file);
  ~Server();
  // Ends it with this signal and waits; no other call but the destructor after it.
  void End(int signal);
  const std::string& address() const { return address_; }
  // From before exec until the address was there.
  double seconds_to_ready() const { return seconds_to_ready_; }
  pid_t pid() const { return pid_; }
  // User and system time so far, microseconds, from the process accounts.
  double CpuMicros() const;
  double ResidentBytes() const;
  Memory MemoryOf(const std::string& folder) const;

 private:
  pid_t pid_ = -1;
  std::string address_;
  double seconds_to_ready_ = 0;
};

// Of a process, by /proc/PID/smaps.
Memory MemoryOfProcess(pid_t pid, const std::string& folder);

// fletchd on a port of its own with an empty data folder.
std::vector<std::string> FletchdCommand(const std::string& binary, const std::string& folder);

// Where this binary lies.
std::string SelfPath();

// Makes `nice` mean something between programs of different sessions: writes -20 to
// /proc/self/autogroup where it may, and says so.
void RaiseAutogroup();

}  // namespace fletch::bench

#endif  // FLETCH_TESTS_BENCH_PROCESSES_H_
