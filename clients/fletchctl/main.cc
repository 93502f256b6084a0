// SPDX-License-Identifier: Apache-2.0
// fletchctl: the command line of Fletch. Exit codes: 0 done, 1 an error from the daemon, 2 wrong
// use.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "command.h"
#include "completion.h"
#include "result.h"

namespace fletch::ctl {
namespace {

void AddGlobals(CLI::App& app, Context& context) {
  app.set_version_flag("--version", "fletchctl " FLETCH_VERSION);
  app.add_option("--address", context.address, "The daemon's HOST:PORT")
      ->envname("FLETCH_ADDRESS")
      ->capture_default_str();
  app.add_option("--project", context.project, "The project")->envname("FLETCH_PROJECT");
  app.add_flag("--json", context.json, "Print JSON");
  app.add_option("--timeout", context.timeout_seconds, "Seconds a call may take")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 86400.0));
  app.require_subcommand(1);
  app.fallthrough();  // the flags above may stand behind the command too
}

void AddCompletion(CLI::App& app, Context& context) {
  auto shell = std::make_shared<std::string>();
  CLI::App* completion = app.add_subcommand("completion", "Print the completion script of a shell");
  completion->add_option("shell", *shell, "bash, zsh or fish")->required();
  completion->callback([&app, &context, shell] {
    context.action = [&app, shell]() -> absl::Status {
      CTL_ASSIGN(const std::string script, CompletionScript(app, *shell));
      Print(script);
      return absl::OkStatus();
    };
  });
}

int Main(int argc, char** argv) {
  CLI::App app("fletchctl: declare, write, read and search features of a Fletch daemon",
               "fletchctl");
  Context context;
  AddGlobals(app, context);
  AddRegistryCommands(app, context);
  AddWriteCommand(app, context);
  AddFactCommands(app, context);
  AddReadCommand(app, context);
  AddHistoryCommand(app, context);
  AddTrainCommand(app, context);
  AddSearchCommand(app, context);
  AddStatusCommand(app, context);
  AddCompletion(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;  // help and version are no errors
  }
  const absl::Status status = context.action();
  std::cout.flush();
  if (!status.ok()) {
    std::cerr << Explain(status, context.json);
    return ExitCode(status);
  }
  if (std::cout) return 0;
  std::cerr << "fletchctl: cannot write standard output\n";
  return 2;
}

}  // namespace
}  // namespace fletch::ctl

int main(int argc, char** argv) { return fletch::ctl::Main(argc, argv); }
