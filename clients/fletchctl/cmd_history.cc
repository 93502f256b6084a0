// SPDX-License-Identifier: Apache-2.0
// history.
#include <memory>

#include "absl/strings/str_cat.h"
#include "command.h"
#include "count_text.h"
#include "result.h"
#include "table.h"

namespace fletch::ctl {
namespace {

struct HistoryArgs {
  std::string view = {};
  std::vector<std::string> keys = {};
  std::string start = {};
  std::string end = {};
  std::string known_at = {};
  uint64_t last_k = 0;
  bool all_forms = false;
};

absl::StatusOr<v1::GetFeatureHistoryRequest> ToRequest(const HistoryArgs& args,
                                                       const client::Client& client) {
  v1::GetFeatureHistoryRequest request;
  request.set_feature_view(args.view);
  request.set_last_k(args.last_k);
  request.set_all_forms(args.all_forms);
  CTL_ASSIGN(const ViewSchema schema, GetViewSchema(client, args.view));
  CTL_ASSIGN(const KeyColumns keys, ParseKeys(args.keys, schema.JoinKeys()));
  if (keys.row_count > 1)
    return UsageError("history is of one entity: one value a key, or no key for all");
  PutKeys(keys, *request.mutable_keys());
  if (!args.start.empty()) {
    CTL_ASSIGN(*request.mutable_start(), ParseMoment("--start", args.start));
  }
  if (!args.end.empty()) {
    CTL_ASSIGN(*request.mutable_end(), ParseMoment("--end", args.end));
  }
  if (!args.known_at.empty()) {
    CTL_ASSIGN(*request.mutable_known_at(), ParseKnownAt(args.known_at));
  }
  return request;
}

void PrintLines(const v1::GetFeatureHistoryResponse& page) {
  std::vector<ColumnReader> columns;
  for (const v1::NamedColumn& column : page.columns()) columns.emplace_back(column.column());
  for (uint64_t row = 0; row < page.row_count(); ++row) {
    Json line = {{"event_timestamp", client::FormatTimeMicros(page.event_timestamps().micros(row))},
                 {"form", v1::FactForm_Name(page.forms(row))},
                 {"commit_seq", page.commit_seqs(row)},
                 {"commit_time", client::FormatTimeMicros(page.commit_times_micros(row))},
                 {"columns", Json::object()}};
    for (int i = 0; i < page.columns_size(); ++i) {
      line["columns"][page.columns(i).name()] = columns[i].JsonAt(row);
    }
    PrintJson(line);
  }
}

std::vector<std::string> Header(const v1::GetFeatureHistoryResponse& page) {
  std::vector<std::string> header = {"EVENT TIME"};
  for (const v1::NamedColumn& column : page.columns()) header.push_back(column.name());
  header.insert(header.end(), {"FORM", "COMMIT", "COMMIT TIME"});
  return header;
}

void AddRows(const v1::GetFeatureHistoryResponse& page, Table& table) {
  std::vector<ColumnReader> columns;
  for (const v1::NamedColumn& column : page.columns()) columns.emplace_back(column.column());
  for (uint64_t row = 0; row < page.row_count(); ++row) {
    std::vector<std::string> cells = {
        client::FormatTimeMicros(page.event_timestamps().micros(row))};
    for (const ColumnReader& column : columns) {
      cells.push_back(column.StatusAt(row) == v1::PRESENT ? column.TextAt(row) : "<null>");
    }
    cells.insert(cells.end(),
                 {v1::FactForm_Name(page.forms(row)), absl::StrCat(page.commit_seqs(row)),
                  client::FormatTimeMicros(page.commit_times_micros(row))});
    table.Add(std::move(cells));
  }
}

absl::Status History(const HistoryArgs& args, const Context& context) {
  CTL_ASSIGN(const client::Client client, context.Connect());
  CTL_ASSIGN(v1::GetFeatureHistoryRequest request, ToRequest(args, client));
  std::unique_ptr<Table> table;
  uint64_t facts = 0;
  uint64_t read_seq = 0;
  do {
    CTL_ASSIGN(const v1::GetFeatureHistoryResponse page, client.GetFeatureHistory(request));
    facts += page.row_count();
    read_seq = page.read_seq();
    if (context.json) {
      PrintLines(page);
    } else {
      if (!table) table = std::make_unique<Table>(Header(page));
      AddRows(page, *table);
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  if (context.json) return absl::OkStatus();
  if (facts > 0) Print(table->ToText());
  Print(absl::StrCat(CountText(facts, "fact"), ", read_seq ", read_seq, "\n"));
  return absl::OkStatus();
}

}  // namespace

void AddHistoryCommand(CLI::App& app, Context& context) {
  auto args = std::make_shared<HistoryArgs>();
  CLI::App* history = app.add_subcommand("history", "Print the facts of an entity, or of a view");
  history->add_option("view", args->view, "The view")->required();
  AddKeyOption(*history, args->keys);
  history->add_option("--start", args->start, "Event times from here on, inclusive");
  history->add_option("--end", args->end, "Event times up to here, inclusive");
  history->add_option("--last-k", args->last_k, "Only the newest so many facts of each entity");
  history->add_option("--known-at", args->known_at,
                      "What may be used: a commit number or a time; default all");
  history->add_flag("--all-forms", args->all_forms, "Corrections and retractions too");
  AddExample(*history,
             "fletchctl history airport_weather --key airport=SFO --start 2001-01-01 --last-k 10");
  history->callback(
      [&context, args] { context.action = [&context, args] { return History(*args, context); }; });
}

}  // namespace fletch::ctl
