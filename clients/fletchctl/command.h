// SPDX-License-Identifier: Apache-2.0
// What all commands share. Each cmd_*.cc adds its commands to the CLI11 application; parsing one
// sets `action`, which main runs.
#ifndef FLETCH_CLIENTS_FLETCHCTL_COMMAND_H_
#define FLETCH_CLIENTS_FLETCHCTL_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cells.h"
#include "fletch/client.h"
#include "schema.h"

namespace fletch::ctl {

struct Context {
  std::string address = "127.0.0.1:7447";
  std::string project = {};
  bool json = false;
  std::optional<double> timeout_seconds = {};
  std::function<absl::Status()> action = {};

  // A client of the project; a usage error when none is named.
  absl::StatusOr<client::Client> Connect() const;
  // The same without a project.
  absl::StatusOr<client::Client> ConnectWithoutProject() const;
  // For calls that last as long as there are data: they have no deadline unless --timeout is given.
  Context ForLongCalls() const;
};

// The whole command line on `app`. Both must outlive the parsing and the action.
void AddCommands(CLI::App& app, Context& context);

void AddRegistryCommands(CLI::App& app, Context& context);     // apply, get, list, delete-object
void AddLineageCommand(CLI::App& app, Context& context);       // lineage
void AddWriteCommand(CLI::App& app, Context& context);         // write
void AddFactCommands(CLI::App& app, Context& context);         // delete, retract
void AddReadCommand(CLI::App& app, Context& context);          // read
void AddHistoryCommand(CLI::App& app, Context& context);       // history
void AddTrainCommand(CLI::App& app, Context& context);         // train
void AddTrainingSetCommands(CLI::App& app, Context& context);  // training-set …
void AddSearchCommand(CLI::App& app, Context& context);        // search
void AddIndexCommands(CLI::App& app,
                      Context& context);  // describe-index, rebuild-index, audit-recall
void AddEraseCommands(CLI::App& app, Context& context);        // erase, erasures
void AddStatusCommand(CLI::App& app, Context& context);        // status
void AddMaintenanceCommands(CLI::App& app, Context& context);  // compact, audit

// A command line that works, shown at the end of the command's help; one or more lines.
void AddExample(CLI::App& command, const std::string& lines);

// --features A,B and --service NAME.
struct SelectionArgs {
  std::vector<std::string> features = {};
  std::string service = {};
};
void AddSelection(CLI::App& command, SelectionArgs& args);
// Exactly one of the two must be given (or, with `optional`, at most one).
absl::Status CheckSelection(const SelectionArgs& args, bool optional);
template <typename Request>
void PutSelection(const SelectionArgs& args, Request& request) {
  request.set_feature_service(args.service);
  request.mutable_features()->Add(args.features.begin(), args.features.end());
}

// --key NAME=VALUE[,VALUE…], once a key column.
CLI::Option* AddKeyOption(CLI::App& command, std::vector<std::string>& keys);

// --context NAME=VALUE[,VALUE…], once a context column.
CLI::Option* AddContextOption(CLI::App& command, std::vector<std::string>& context);

// --as-of TIME and --known-at COMMIT|TIME.
struct MomentArgs {
  std::string as_of = {};
  std::string known_at = {};
};
void AddMoment(CLI::App& command, MomentArgs& args);
absl::StatusOr<v1::TimestampColumn> ParseMoment(const std::string& option, const std::string& text);
absl::StatusOr<v1::KnownAt> ParseKnownAt(const std::string& text);
template <typename Request>
absl::Status PutMoment(const MomentArgs& args, Request& request);

// A cell as a table shows it: the value, or "<NOT_FOUND>".
std::string ShownCell(const ColumnReader& column, uint64_t row);

// {"values": {ref: value}, "statuses": {ref: "PRESENT"}} of one row, and the event timestamps when
// there are any.
Json FeatureCells(const google::protobuf::RepeatedPtrField<v1::ResolvedFeature>& features,
                  const std::vector<ColumnReader>& columns, uint64_t row);
std::vector<ColumnReader> Readers(const google::protobuf::RepeatedPtrField<v1::Column>& columns);

// Writes to standard output.
void Print(const std::string& text);
// One document and a line feed. Bytes that are not UTF-8 are replaced.
void PrintJson(const Json& document);

// Implementation.
template <typename Request>
absl::Status PutMoment(const MomentArgs& args, Request& request) {
  if (!args.as_of.empty()) {
    auto time = ParseMoment("--as-of", args.as_of);
    if (!time.ok()) return time.status();
    *request.mutable_as_of() = *time;
  }
  if (!args.known_at.empty()) {
    auto known_at = ParseKnownAt(args.known_at);
    if (!known_at.ok()) return known_at.status();
    *request.mutable_known_at() = *known_at;
  }
  return absl::OkStatus();
}

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_COMMAND_H_
