// SPDX-License-Identifier: Apache-2.0
#include "tests/contract/daemon_process.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace fletch {
namespace {

void SleepMs(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

// 0: metrics are off.
int PortOf(const std::string& address) {
  return address.empty() ? 0 : std::stoi(address.substr(address.rfind(':') + 1));
}

}  // namespace

DaemonProcess::DaemonProcess(std::vector<std::string> flags, std::string data_dir,
                             std::string listen) {
  std::string name = std::filesystem::temp_directory_path() / "fletch_contract_XXXXXX";
  folder_ = mkdtemp(name.data());
  data_dir_ = data_dir.empty() ? folder_ + "/data" : std::move(data_dir);
  const char* binary = std::getenv("FLETCHD");
  std::vector<std::string> args = {binary == nullptr ? "fletchd" : binary, "--listen=" + listen,
                                   "--metrics-listen=127.0.0.1:0",
                                   "--port-file=" + folder_ + "/ports", "--data-dir=" + data_dir_};
  args.insert(args.end(), flags.begin(), flags.end());
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  const std::string log = folder_ + "/log";
  pid_ = fork();
  if (pid_ == 0) {
    const int fd = open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    dup2(fd, STDERR_FILENO);
    dup2(fd, STDOUT_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
}

DaemonProcess::~DaemonProcess() {
  if (WaitForExit(0) == -1) {
    Signal(SIGKILL);
    WaitForExit(10'000);
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

bool DaemonProcess::WaitUntilReady() {
  for (int waited_ms = 0; waited_ms < 60'000; waited_ms += 20) {
    std::ifstream file(folder_ + "/ports");
    std::string address, metrics_address;
    if (std::getline(file, address) && std::getline(file, metrics_address)) {
      port_ = PortOf(address);
      metrics_port_ = PortOf(metrics_address);
      return true;
    }
    if (WaitForExit(0) != -1) return false;
    SleepMs(20);
  }
  return false;
}

void DaemonProcess::Signal(int signal) {
  if (exit_code_ == -1) kill(pid_, signal);
}

int DaemonProcess::WaitForExit(int timeout_ms) {
  for (int waited_ms = 0; exit_code_ == -1; waited_ms += 10) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    } else if (waited_ms >= timeout_ms) {
      break;
    } else {
      SleepMs(10);
    }
  }
  return exit_code_;
}

std::string DaemonProcess::Metrics() const {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(metrics_port_));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const std::string request = "GET /metrics HTTP/1.0\r\n\r\n";
  std::string answer;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
      write(fd, request.data(), request.size()) == static_cast<ssize_t>(request.size())) {
    char buffer[4096];
    ssize_t got = 0;
    while ((got = read(fd, buffer, sizeof(buffer))) > 0) answer.append(buffer, got);
  }
  close(fd);
  return answer;
}

std::string DaemonProcess::Output() const {
  std::stringstream out;
  out << std::ifstream(folder_ + "/log").rdbuf();
  return out.str();
}

}  // namespace fletch
