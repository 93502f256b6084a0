// SPDX-License-Identifier: Apache-2.0
// status.
#include "absl/strings/str_cat.h"
#include "command.h"
#include "count_text.h"
#include "result.h"
#include "table.h"

namespace fletch::ctl {
namespace {

Json ToJson(const v1::GetStatusResponse& status) {
  Json indexes = Json::array();
  for (const v1::VectorIndexStatus& index : status.indexes()) {
    indexes.push_back({{"project", index.project()},
                       {"index", index.index()},
                       {"vectors", index.vectors()},
                       {"graph_vectors", index.graph_vectors()},
                       {"buffered_vectors", index.buffered_vectors()},
                       {"building", index.building()}});
  }
  const int64_t applied = status.applied_time_micros();
  return {{"version", status.version()},
          {"state", status.state()},
          {"now", client::FormatTimeMicros(status.now_micros())},
          {"ready_since", client::FormatTimeMicros(status.ready_since_micros())},
          {"applied_seq", status.applied_seq()},
          {"applied_time", applied == 0 ? Json() : Json(client::FormatTimeMicros(applied))},
          {"registry_revision", status.registry_revision()},
          {"online_entities", status.online_entities()},
          {"online_bytes", status.online_bytes()},
          {"online_budget_bytes", status.online_budget_bytes()},
          {"online_complete", status.online_complete()},
          {"disk_bytes", status.disk_bytes()},
          {"indexes", indexes},
          {"warnings", Json(status.warnings())}};
}

std::string ToText(const v1::GetStatusResponse& status) {
  const int64_t applied = status.applied_time_micros();
  std::string text =
      absl::StrCat("fletchd ", status.version(), ", ", status.state(), " since ",
                   client::FormatTimeMicros(status.ready_since_micros()), "\n", "commits   newest ",
                   status.applied_seq(),
                   applied == 0 ? "" : absl::StrCat(" at ", client::FormatTimeMicros(applied)),
                   "\n", "registry  revision ", status.registry_revision(), "\n", "online    ",
                   status.online_entities(), " entities, ", MebibytesText(status.online_bytes()),
                   " of ", MebibytesText(status.online_budget_bytes()),
                   status.online_complete() ? "" : "; used up: some rows are read from disk", "\n",
                   "disk      ", MebibytesText(status.disk_bytes()), "\n");
  if (status.indexes_size() > 0) {
    Table table({"PROJECT", "INDEX", "VECTORS", "IN GRAPH", "IN BUFFER", "BUILDING"});
    for (const v1::VectorIndexStatus& index : status.indexes()) {
      table.Add({index.project(), index.index(), absl::StrCat(index.vectors()),
                 absl::StrCat(index.graph_vectors()), absl::StrCat(index.buffered_vectors()),
                 index.building() ? "yes" : "no"});
    }
    text += table.ToText();
  }
  for (const std::string& warning : status.warnings())
    absl::StrAppend(&text, "warning: ", warning, "\n");
  return text;
}

}  // namespace

void AddStatusCommand(CLI::App& app, Context& context) {
  CLI::App* status = app.add_subcommand("status", "What the daemon holds and how it is");
  AddExample(*status, "fletchctl status");
  status->callback([&context] {
    context.action = [&context]() -> absl::Status {
      CTL_ASSIGN(const client::Client client, context.ConnectWithoutProject());
      CTL_ASSIGN(const v1::GetStatusResponse response, client.Status());
      if (context.json) {
        PrintJson(ToJson(response));
      } else {
        Print(ToText(response));
      }
      return absl::OkStatus();
    };
  });
}

}  // namespace fletch::ctl
