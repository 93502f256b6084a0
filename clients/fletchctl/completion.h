// SPDX-License-Identifier: Apache-2.0
// Shell completion, made from the commands themselves, so that it cannot fall behind them.
#ifndef FLETCH_CLIENTS_FLETCHCTL_COMPLETION_H_
#define FLETCH_CLIENTS_FLETCHCTL_COMPLETION_H_

#include <CLI/CLI.hpp>
#include <string>

#include "absl/status/statusor.h"

namespace fletch::ctl {

// The script for "bash", "zsh" or "fish". A usage error for others.
absl::StatusOr<std::string> CompletionScript(const CLI::App& app, const std::string& shell);

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_COMPLETION_H_
