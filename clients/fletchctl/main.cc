// SPDX-License-Identifier: Apache-2.0
// fletchctl: the command line of Fletch. Exit codes: 0 done, 1 an error from the daemon, 2 wrong
// use.
#include <CLI/CLI.hpp>
#include <iostream>

#include "command.h"
#include "result.h"

namespace fletch::ctl {
namespace {

int Main(int argc, char** argv) {
  CLI::App app("fletchctl: declare, write, read and search features of a Fletch daemon",
               "fletchctl");
  Context context;
  app.set_version_flag("--version", "fletchctl " FLETCH_VERSION);
  AddCommands(app, context);
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
