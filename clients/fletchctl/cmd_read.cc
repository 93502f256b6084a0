// SPDX-License-Identifier: Apache-2.0
// read.
#include <memory>

#include "absl/strings/str_cat.h"
#include "command.h"
#include "result.h"
#include "table.h"

namespace fletch::ctl {
namespace {

struct ReadArgs {
  SelectionArgs selection = {};
  std::vector<std::string> keys = {};
  std::vector<std::string> request_context = {};
  MomentArgs moment = {};
  uint64_t min_seq = 0;
  bool event_timestamps = false;
};

void PrintTable(const KeyColumns& keys, const v1::GetOnlineFeaturesResponse& answer) {
  std::vector<std::string> header;
  for (const auto& [name, column] : keys.columns) header.push_back(name);
  for (const v1::ResolvedFeature& feature : answer.features()) header.push_back(feature.ref());
  const std::vector<ColumnReader> columns = Readers(answer.columns());
  const bool with_times = !answer.columns().empty() && answer.columns(0).has_event_timestamps();
  Table table(std::move(header));
  for (uint64_t row = 0; row < answer.row_count(); ++row) {
    std::vector<std::string> cells;
    for (const auto& [name, column] : keys.columns)
      cells.push_back(ColumnReader(column).TextAt(row));
    for (const ColumnReader& column : columns) {
      const std::string time = with_times ? column.EventTimestampAt(row) : "";
      cells.push_back(ShownCell(column, row) + (time.empty() ? "" : " @ " + time));
    }
    table.Add(std::move(cells));
  }
  Print(absl::StrCat(table.ToText(), "as_of ", client::FormatTimeMicros(answer.as_of_micros()),
                     ", read_seq ", answer.read_seq(), "\n"));
}

void PrintDocument(const KeyColumns& keys, const v1::GetOnlineFeaturesResponse& answer) {
  Json rows = Json::array();
  const std::vector<ColumnReader> columns = Readers(answer.columns());
  for (uint64_t row = 0; row < answer.row_count(); ++row) {
    Json line = {{"keys", Json::object()}};
    for (const auto& [name, column] : keys.columns)
      line["keys"][name] = ColumnReader(column).JsonAt(row);
    line.update(FeatureCells(answer.features(), columns, row));
    rows.push_back(std::move(line));
  }
  Json resolved = Json::object();
  for (const v1::ResolvedFeature& feature : answer.features()) {
    resolved[feature.ref()] = feature.resolved();
  }
  PrintJson({{"as_of", client::FormatTimeMicros(answer.as_of_micros())},
             {"read_seq", answer.read_seq()},
             {"resolved", resolved},
             {"rows", rows}});
}

absl::Status Read(const ReadArgs& args, const Context& context) {
  CTL_RETURN_IF_ERROR(CheckSelection(args.selection, /*optional=*/false));
  v1::GetOnlineFeaturesRequest request;
  PutSelection(args.selection, request);
  CTL_RETURN_IF_ERROR(PutMoment(args.moment, request));
  request.set_min_seq(args.min_seq);
  request.set_include_event_timestamps(args.event_timestamps);
  CTL_ASSIGN(const client::Client client, context.Connect());
  CTL_ASSIGN(const ReadColumns columns,
             GetReadColumns(client, args.selection.service, args.selection.features));
  CTL_ASSIGN(const KeyColumns keys, ParseKeys(args.keys, columns.keys));
  CTL_ASSIGN(const KeyColumns request_context,
             ParseContext(args.request_context, columns.context, keys.row_count));
  request.set_row_count(keys.row_count);
  PutKeys(keys, *request.mutable_keys());
  PutKeys(request_context, *request.mutable_request_context());
  CTL_ASSIGN(const v1::GetOnlineFeaturesResponse answer, client.GetOnlineFeatures(request));
  if (context.json) {
    PrintDocument(keys, answer);
  } else {
    PrintTable(keys, answer);
  }
  return absl::OkStatus();
}

}  // namespace

void AddReadCommand(CLI::App& app, Context& context) {
  auto args = std::make_shared<ReadArgs>();
  CLI::App* read = app.add_subcommand("read", "Read features online: as of now, or of --as-of");
  AddSelection(*read, args->selection);
  AddKeyOption(*read, args->keys)->required();
  AddContextOption(*read, args->request_context);
  AddMoment(*read, args->moment);
  read->add_option("--min-seq", args->min_seq, "Wait for this commit to be readable");
  read->add_flag("--event-timestamps", args->event_timestamps, "Show when each value was true");
  AddExample(*read,
             "fletchctl read --service delay_model --key origin=SFO --key destination=JFK "
             "--context hour=8");
  read->callback(
      [&context, args] { context.action = [&context, args] { return Read(*args, context); }; });
}

}  // namespace fletch::ctl
