// SPDX-License-Identifier: Apache-2.0
// fletchd: reads its settings, runs the daemon until SIGTERM or SIGINT, drains.
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/log.h"
#include "server/config.h"
#include "server/daemon.h"

extern char** environ;

namespace {

std::map<std::string, std::string> Environment() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string::npos) out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

int Run(const fletch::CommandLine& command) {
  // Blocked in every thread to come, so that only the waiter gets them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  std::atomic<bool> ready{false};
  std::thread waiter([&ready, &signals] {
    int signal = 0;
    sigwait(&signals, &signal);
    if (!ready.load()) _exit(0);  // nothing was accepted yet, and what is on disk survives a crash
  });
  auto daemon = fletch::Daemon::Start(command.config);
  if (!daemon.ok()) {
    std::fprintf(stderr, "fletchd: %s\n", std::string(daemon.status().message()).c_str());
    std::fflush(nullptr);
    _exit(1);  // the waiter waits still
  }
  for (const std::string& warning : command.warnings) {
    fletch::Log(fletch::LogLevel::kWarning, warning);
  }
  ready.store(true);
  waiter.join();
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);  // a second signal ends the process at once
  (*daemon)->Stop();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto command = fletch::ParseCommandLine({argv + 1, argv + argc}, Environment());
  if (!command.ok()) {
    std::fprintf(stderr, "fletchd: %s\n", std::string(command.status().message()).c_str());
    return 2;
  }
  using Action = fletch::CommandLine::Action;
  if (command->action == Action::kRun) return Run(*command);
  if (command->action == Action::kCheckConfig) {
    for (const std::string& warning : command->warnings) {
      std::fprintf(stderr, "fletchd: warning: %s\n", warning.c_str());
    }
  }
  const std::string text =
      command->action == Action::kHelp          ? fletch::HelpText()
      : command->action == Action::kPrintConfig ? fletch::PrintConfig(command->config)
      : command->action == Action::kCheckConfig ? "the settings are fine\n"
                                                : "fletchd " FLETCH_VERSION "\n";
  std::fputs(text.c_str(), stdout);
  return 0;
}
