// SPDX-License-Identifier: Apache-2.0
// delete, retract.
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "command.h"
#include "count_text.h"
#include "result.h"

namespace fletch::ctl {
namespace {

struct FactArgs {
  std::string view = {};
  std::vector<std::string> keys = {};
  std::vector<std::string> at = {};
  bool tombstones = false;
};

// The times of --at: one for all rows, or one a row.
absl::StatusOr<v1::TimestampColumn> Times(const FactArgs& args, uint64_t row_count) {
  if (args.at.size() != 1 && args.at.size() != row_count) {
    return UsageError(absl::StrCat("--at has ", args.at.size(), " times for ", row_count,
                                   " rows; give one for all or one a row"));
  }
  v1::TimestampColumn times;
  for (uint64_t row = 0; row < row_count; ++row) {
    CTL_ASSIGN(const auto time, ParseMoment("--at", args.at[args.at.size() == 1 ? 0 : row]));
    times.add_micros(time.micros(0));
  }
  return times;
}

template <typename Response>
void PrintCommit(const Response& response, const char* what, const Context& context) {
  const std::string time = client::FormatTimeMicros(response.commit_time_micros());
  if (context.json) {
    PrintJson(
        {{"rows", response.rows()}, {"commit_seq", response.commit_seq()}, {"commit_time", time}});
    return;
  }
  Print(absl::StrCat(what, " ", CountText(response.rows(), "row"), " in commit ",
                     response.commit_seq(), " at ", time, "\n"));
}

absl::Status Delete(const FactArgs& args, const Context& context) {
  CTL_ASSIGN(const client::Client client, context.Connect());
  CTL_ASSIGN(const ViewSchema schema, GetViewSchema(client, args.view));
  CTL_ASSIGN(const KeyColumns keys, ParseKeys(args.keys, schema.JoinKeys()));
  v1::DeleteRequest request;
  request.set_feature_view(args.view);
  request.set_row_count(keys.row_count);
  PutKeys(keys, *request.mutable_keys());
  if (args.at.empty()) {
    // Now, by the clock that will judge it.
    CTL_ASSIGN(const v1::GetStatusResponse status, client.Status());
    request.mutable_event_timestamps()->add_micros(status.now_micros());
  } else {
    CTL_ASSIGN(*request.mutable_event_timestamps(), Times(args, keys.row_count));
  }
  CTL_ASSIGN(const v1::DeleteResponse response, client.Delete(request));
  PrintCommit(response, "deleted", context);
  return absl::OkStatus();
}

absl::Status Retract(const FactArgs& args, const Context& context) {
  CTL_ASSIGN(const client::Client client, context.Connect());
  CTL_ASSIGN(const ViewSchema schema, GetViewSchema(client, args.view));
  CTL_ASSIGN(const KeyColumns keys,
             ParseKeys(args.keys, args.tombstones ? schema.JoinKeys() : schema.IdentityKeys()));
  v1::RetractRequest request;
  request.set_feature_view(args.view);
  request.set_row_count(keys.row_count);
  request.set_tombstones(args.tombstones);
  PutKeys(keys, *request.mutable_keys());
  CTL_ASSIGN(*request.mutable_event_timestamps(), Times(args, keys.row_count));
  CTL_ASSIGN(const v1::RetractResponse response, client.Retract(request));
  PrintCommit(response, "retracted", context);
  return absl::OkStatus();
}

CLI::Option* AddAt(CLI::App& command, FactArgs& args, const char* help) {
  return command.add_option("--at", args.at, help)->delimiter(',')->allow_extra_args(false);
}

}  // namespace

void AddFactCommands(CLI::App& app, Context& context) {
  auto delete_args = std::make_shared<FactArgs>();
  CLI::App* remove =
      app.add_subcommand("delete", "Mark entities as gone from a view from a time on");
  remove->add_option("view", delete_args->view, "The view")->required();
  AddKeyOption(*remove, delete_args->keys)->required();
  AddAt(*remove, *delete_args,
        "From when: one time, or one a row, separated by commas; default now");
  AddExample(*remove, "fletchctl delete airport_weather --key airport=SFO,JFK --at 2001-02-01");
  remove->callback([&context, delete_args] {
    context.action = [&context, delete_args] { return Delete(*delete_args, context); };
  });

  auto retract_args = std::make_shared<FactArgs>();
  CLI::App* retract = app.add_subcommand("retract", "Withdraw facts as if they had never been");
  retract->add_option("view", retract_args->view, "The view")->required();
  AddKeyOption(*retract, retract_args->keys)->required();
  AddAt(*retract, *retract_args, "The facts' event times: one, or one a row, separated by commas")
      ->required();
  retract->add_flag("--tombstones", retract_args->tombstones, "Withdraw deletions instead of rows");
  AddExample(*retract,
             "fletchctl retract departures --key airport=SFO --key flight=17 --at "
             "2001-02-01T08:30:00Z");
  retract->callback([&context, retract_args] {
    context.action = [&context, retract_args] { return Retract(*retract_args, context); };
  });
}

}  // namespace fletch::ctl
