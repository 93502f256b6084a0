// SPDX-License-Identifier: Apache-2.0
// The whole command line.
#include <memory>

#include "command.h"
#include "completion.h"
#include "result.h"

namespace fletch::ctl {
namespace {

void AddGlobals(CLI::App& app, Context& context) {
  app.add_option("--address", context.address, "The daemon's HOST:PORT")
      ->envname("FLETCH_ADDRESS")
      ->capture_default_str();
  app.add_option("--project", context.project, "The project")->envname("FLETCH_PROJECT");
  app.add_flag("--json", context.json, "Print JSON");
  app.add_option("--timeout", context.timeout_seconds,
                 "Seconds a call may take; default 30, and as long as it takes for compact, audit, "
                 "audit-recall and training-set verify")
      ->check(CLI::Range(0.001, 86400.0));
  app.require_subcommand(1);
  app.fallthrough();  // the flags above may stand behind the command too
}

void AddCompletionCommand(CLI::App& app, Context& context) {
  auto shell = std::make_shared<std::string>();
  CLI::App* completion = app.add_subcommand("completion", "Print the completion script of a shell");
  completion->add_option("shell", *shell, "bash, zsh or fish")->required();
  AddExample(*completion, "fletchctl completion bash > /etc/bash_completion.d/fletchctl");
  completion->callback([&app, &context, shell] {
    context.action = [&app, shell]() -> absl::Status {
      CTL_ASSIGN(const std::string script, CompletionScript(app, *shell));
      Print(script);
      return absl::OkStatus();
    };
  });
}

}  // namespace

void AddCommands(CLI::App& app, Context& context) {
  AddGlobals(app, context);
  AddRegistryCommands(app, context);
  AddLineageCommand(app, context);
  AddWriteCommand(app, context);
  AddFactCommands(app, context);
  AddReadCommand(app, context);
  AddHistoryCommand(app, context);
  AddTrainCommand(app, context);
  AddTrainingSetCommands(app, context);
  AddSearchCommand(app, context);
  AddIndexCommands(app, context);
  AddEraseCommands(app, context);
  AddStatusCommand(app, context);
  AddMaintenanceCommands(app, context);
  AddCompletionCommand(app, context);
}

}  // namespace fletch::ctl
