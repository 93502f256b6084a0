// SPDX-License-Identifier: Apache-2.0
#include "command.h"

#include <algorithm>
#include <iostream>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "result.h"

namespace fletch::ctl {

absl::StatusOr<client::Client> Context::ConnectWithoutProject() const {
  const double seconds = timeout_seconds.value_or(30);
  return client::Client::Connect(address, {.project = project,
                                           .connect_timeout = absl::Seconds(std::min(seconds, 3.0)),
                                           .call_timeout = absl::Seconds(seconds)});
}

Context Context::ForLongCalls() const {
  Context context = *this;
  if (!timeout_seconds) context.timeout_seconds = std::numeric_limits<double>::infinity();
  return context;
}

absl::StatusOr<client::Client> Context::Connect() const {
  if (project.empty()) {
    return UsageError("no project is named; add --project NAME or set FLETCH_PROJECT");
  }
  return ConnectWithoutProject();
}

void AddSelection(CLI::App& command, SelectionArgs& args) {
  command.add_option("--features", args.features, "Feature refs, view:field, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_option("--service", args.service, "A feature service, instead of --features");
}

absl::Status CheckSelection(const SelectionArgs& args, bool optional) {
  if (!args.features.empty() && !args.service.empty()) {
    return UsageError("--features and --service exclude each other");
  }
  if (optional || !args.features.empty() || !args.service.empty()) return absl::OkStatus();
  return UsageError("say what to read: --features view:field,… or --service NAME");
}

CLI::Option* AddKeyOption(CLI::App& command, std::vector<std::string>& keys) {
  return command
      .add_option("--key", keys,
                  "NAME=VALUE[,VALUE…], once a key column; with commas inside: NAME=[\"a,b\"]")
      ->allow_extra_args(false);
}

CLI::Option* AddContextOption(CLI::App& command, std::vector<std::string>& context) {
  return command
      .add_option("--context", context,
                  "NAME=VALUE[,VALUE…], once a column of the request's context: one value for all "
                  "rows, or one a row")
      ->allow_extra_args(false);
}

void AddExample(CLI::App& command, const std::string& lines) {
  command.footer(absl::StrCat("Example:\n  ", absl::StrReplaceAll(lines, {{"\n", "\n  "}})));
}

void AddMoment(CLI::App& command, MomentArgs& args) {
  command.add_option("--as-of", args.as_of, "Event-time instant asked about; default now");
  command.add_option("--known-at", args.known_at,
                     "What may be used: a commit number or a time; default all");
}

absl::StatusOr<v1::TimestampColumn> ParseMoment(const std::string& option,
                                                const std::string& text) {
  const absl::StatusOr<int64_t> micros = client::ParseTimeMicros(text);
  if (!micros.ok()) return UsageError(absl::StrCat(option, ": ", micros.status().message()));
  v1::TimestampColumn column;
  column.add_micros(*micros);
  return column;
}

absl::StatusOr<v1::KnownAt> ParseKnownAt(const std::string& text) {
  v1::KnownAt known_at;
  uint64_t commit_seq = 0;
  if (absl::SimpleAtoi(text, &commit_seq)) {
    known_at.set_commit_seq(commit_seq);
    return known_at;
  }
  CTL_ASSIGN(*known_at.mutable_time(), ParseMoment("--known-at", text));
  return known_at;
}

std::string ShownCell(const ColumnReader& column, uint64_t row) {
  const v1::CellStatus status = column.StatusAt(row);
  if (status != v1::PRESENT) return absl::StrCat("<", v1::CellStatus_Name(status), ">");
  return column.TextAt(row);
}

std::vector<ColumnReader> Readers(const google::protobuf::RepeatedPtrField<v1::Column>& columns) {
  return std::vector<ColumnReader>(columns.begin(), columns.end());
}

Json FeatureCells(const google::protobuf::RepeatedPtrField<v1::ResolvedFeature>& features,
                  const std::vector<ColumnReader>& columns, uint64_t row) {
  Json cells = {{"values", Json::object()}, {"statuses", Json::object()}};
  for (int i = 0; i < features.size(); ++i) {
    const std::string& ref = features[i].ref();
    cells["values"][ref] = columns[i].JsonAt(row);
    cells["statuses"][ref] = v1::CellStatus_Name(columns[i].StatusAt(row));
    const std::string event_timestamp = columns[i].EventTimestampAt(row);
    if (!event_timestamp.empty()) cells["event_timestamps"][ref] = event_timestamp;
  }
  return cells;
}

void Print(const std::string& text) { std::cout << text; }

void PrintJson(const Json& document) {
  std::cout << document.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
}

}  // namespace fletch::ctl
