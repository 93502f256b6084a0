// SPDX-License-Identifier: Apache-2.0
#include "processes.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace fletch::bench {

TempFolder::TempFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "fletch-bench-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) {
    std::perror("fletch-bench: cannot make a temporary folder");
    std::exit(1);
  }
  path_ = pattern;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Server::Server(const std::vector<std::string>& command, const std::string& port_file) {
  std::filesystem::remove(port_file);  // a former run's
  const auto begin = std::chrono::steady_clock::now();
  pid_ = fork();
  if (pid_ == 0) {
    const int log = open((port_file + ".log").c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
    dup2(log, 1);
    dup2(log, 2);
    std::vector<char*> argv;
    for (const std::string& arg : command) argv.push_back(const_cast<char*>(arg.c_str()));
    argv.push_back(nullptr);
    execv(argv[0], argv.data());
    _exit(127);
  }
  for (int i = 0; i < 12'000; ++i) {
    std::ifstream in(port_file);
    if (std::getline(in, address_) && !address_.empty()) {
      const auto now = std::chrono::steady_clock::now();
      seconds_to_ready_ = std::chrono::duration<double>(now - begin).count();
      return;
    }
    if (waitpid(pid_, nullptr, WNOHANG) != 0) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  std::fprintf(stderr, "fletch-bench: %s did not become ready; its log is %s.log\n",
               command[0].c_str(), port_file.c_str());
  std::exit(1);
}

Server::~Server() { End(SIGTERM); }

void Server::End(int signal) {
  if (pid_ < 0) return;
  kill(pid_, signal);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

double Server::CpuMicros() const {
  std::ifstream in("/proc/" + std::to_string(pid_) + "/stat");
  std::string text((std::istreambuf_iterator<char>(in)), {});
  std::istringstream fields(
      text.substr(text.rfind(')') + 2));  // after the name, which may hold spaces
  std::string skipped;
  for (int i = 3; i < 14; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) * 1e6 / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double Server::ResidentBytes() const {
  std::ifstream in("/proc/" + std::to_string(pid_) + "/statm");
  double total = 0, resident = 0;
  in >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

Memory Server::MemoryOf(const std::string& folder) const { return MemoryOfProcess(pid_, folder); }

Memory MemoryOfProcess(pid_t pid, const std::string& folder) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/smaps");
  Memory memory;
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    std::string first;
    double kib = 0;
    fields >> first;
    if (!first.empty() && first.back() != ':') {  // "from-to flags offset device inode path"
      inside = line.find(folder) != std::string::npos;
    } else if (fields >> kib) {
      if (first == "Anonymous:") memory.anonymous += kib * 1024;
      if (first == "Rss:" && inside) memory.mapped += kib * 1024;
    }
  }
  return memory;
}

std::vector<std::string> FletchdCommand(const std::string& binary, const std::string& folder) {
  return {binary,       "--listen",       "127.0.0.1:0", "--metrics-listen", "",
          "--data-dir", folder + "/data", "--port-file", folder + "/port"};
}

std::string SelfPath() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

void RaiseAutogroup() {
  std::ofstream out("/proc/self/autogroup");
  out << "-20" << std::flush;
  std::fprintf(stderr, "fletch-bench: autogroup priority %s\n",
               out.good() ? "raised to -20" : "left as it is (not allowed)");
}

}  // namespace fletch::bench
