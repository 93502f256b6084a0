// SPDX-License-Identifier: Apache-2.0
// describe-index, rebuild-index, audit-recall.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "command.h"
#include "count_text.h"
#include "effort.h"
#include "filter.h"
#include "progress.h"
#include "result.h"

namespace fletch::ctl {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(200);

struct AuditArgs {
  std::string index = {};
  uint64_t queries = 0;
  uint64_t top_k = 0;
  uint64_t seed = 0;
  std::string filter = {};
  bool reachability = false;
  EffortArgs effort = {};
};

Json DescriptionJson(const v1::DescribeIndexResponse& index) {
  Json calibration = Json::array();
  for (const v1::IndexCalibration& point : index.calibration()) {
    calibration.push_back({{"recall", point.recall()}, {"ef", point.ef()}});
  }
  return {{"index", index.index()},
          {"metric", v1::Metric_Name(index.metric())},
          {"dimension", index.dimension()},
          {"m", index.m()},
          {"ef_construction", index.ef_construction()},
          {"target_recall", index.target_recall()},
          {"vectors", index.vectors()},
          {"graph_vectors", index.graph_vectors()},
          {"buffered_vectors", index.buffered_vectors()},
          {"dead_vectors", index.dead_vectors()},
          {"unreachable_vectors", index.unreachable_vectors()},
          {"encoding", index.encoding()},
          {"calibration", calibration},
          {"graph_bytes", index.graph_bytes()},
          {"vector_bytes", index.vector_bytes()},
          {"other_bytes", index.other_bytes()},
          {"file_bytes", index.file_bytes()},
          {"file_seq", index.file_seq()},
          {"state", index.state()},
          {"progress", index.progress()},
          {"warning", index.warning()},
          {"sampled_recall", index.sampled_recall()},
          {"samples", index.samples()}};
}

std::string GraphText(const v1::DescribeIndexResponse& index) {
  if (index.encoding().empty()) {
    return absl::StrCat("none yet; ", CountText(index.buffered_vectors(), "vector"),
                        " compared one by one");
  }
  return absl::StrCat(CountText(index.graph_vectors(), "vector"), " as ", index.encoding(), ", m ",
                      index.m(), ", ef_construction ", index.ef_construction(), "; ",
                      index.buffered_vectors(), " compared one by one, ", index.dead_vectors(),
                      " dead, ", index.unreachable_vectors(), " unreachable");
}

std::string CalibrationText(const v1::DescribeIndexResponse& index) {
  std::string text;
  for (const v1::IndexCalibration& point : index.calibration()) {
    absl::StrAppend(&text, text.empty() ? "" : ", ",
                    absl::StrFormat("%.3f at ef %d", point.recall(), point.ef()));
  }
  return text.empty() ? "not measured yet" : text;
}

std::string DescriptionText(const v1::DescribeIndexResponse& index) {
  std::vector<std::pair<std::string, std::string>> lines = {
      {"index", index.index()},
      {"vectors", absl::StrCat(index.vectors(), " of ", index.dimension(), " elements, ",
                               v1::Metric_Name(index.metric()))},
      {"graph", GraphText(index)},
      {"target recall", NumberText(index.target_recall())},
      {"recall measured", CalibrationText(index)},
      {"recall sampled", index.samples() == 0
                             ? "no samples yet"
                             : absl::StrFormat("%.4f, %s since start", index.sampled_recall(),
                                               CountText(index.samples(), "sample"))},
      {"memory", absl::StrCat(MebibytesText(index.graph_bytes()), " graph, ",
                              MebibytesText(index.vector_bytes()), " vectors in mapped files, ",
                              MebibytesText(index.other_bytes()), " other")},
      {"file", index.file_seq() == 0 ? "none"
                                     : absl::StrCat(MebibytesText(index.file_bytes()),
                                                    ", as of commit ", index.file_seq())},
      {"state",
       index.state() == "idle"
           ? index.state()
           : absl::StrFormat("%s, %d%%", index.state(), static_cast<int>(100 * index.progress()))}};
  if (!index.warning().empty()) lines.emplace_back("warning", index.warning());
  std::string text;
  for (const auto& [name, value] : lines) {
    absl::StrAppend(&text, absl::StrFormat("%-17s%s\n", name, value));
  }
  return text;
}

void Show(const v1::DescribeIndexResponse& index, const Context& context) {
  if (context.json) {
    PrintJson(DescriptionJson(index));
  } else {
    Print(DescriptionText(index));
  }
}

absl::StatusOr<v1::DescribeIndexResponse> Ask(const client::Client& client,
                                              const std::string& index) {
  v1::DescribeIndexRequest request;
  request.set_index(index);
  return client.DescribeIndex(std::move(request));
}

absl::Status Describe(const std::string& index, const Context& context) {
  CTL_ASSIGN(const client::Client client, context.Connect());
  CTL_ASSIGN(const v1::DescribeIndexResponse answer, Ask(client, index));
  Show(answer, context);
  return absl::OkStatus();
}

absl::Status Rebuild(const std::string& index, bool no_wait, const Context& context) {
  CTL_ASSIGN(const client::Client client, context.Connect());
  v1::RebuildIndexRequest request;
  request.set_index(index);
  CTL_ASSIGN(const v1::RebuildIndexResponse begun, client.RebuildIndex(std::move(request)));
  v1::DescribeIndexResponse now = begun.index();
  Progress progress(ErrorsGoToTerminal());
  while (!no_wait && now.state() != "idle") {
    progress.Update(static_cast<uint64_t>(1000 * now.progress()), 1000,
                    static_cast<uint64_t>(static_cast<double>(now.vectors()) * now.progress()));
    absl::SleepFor(kPoll);
    CTL_ASSIGN(now, Ask(client, index));
  }
  progress.Hide();
  Show(now, context);
  return absl::OkStatus();
}

Json AuditJson(const v1::AuditRecallResponse& audit) {
  return {{"queries", audit.queries()},
          {"recall", audit.recall()},
          {"worst_recall", audit.worst_recall()},
          {"complete_share", audit.complete_share()},
          {"short_answers", audit.short_answers()},
          {"search_p50_micros", audit.search_p50_micros()},
          {"exact_p50_micros", audit.exact_p50_micros()},
          {"unreachable", audit.unreachable()},
          {"read_seq", audit.read_seq()}};
}

std::string AuditText(const v1::AuditRecallResponse& audit, bool reachability) {
  if (audit.queries() == 0) return "there is no vector to search for\n";
  std::string text = absl::StrFormat(
      "recall %.4f over %s; the worst %.4f, complete %.1f%%, shorter than exact %d\n"
      "median %.0f µs a search, %.0f µs exact; read_seq %d\n",
      audit.recall(), CountText(audit.queries(), "search", "searches"), audit.worst_recall(),
      100 * audit.complete_share(), audit.short_answers(), audit.search_p50_micros(),
      audit.exact_p50_micros(), audit.read_seq());
  if (reachability) {
    absl::StrAppend(&text, CountText(audit.unreachable(), "vector"),
                    " of the graph no walk reaches; they are compared one by one\n");
  }
  return text;
}

absl::Status Audit(const AuditArgs& args, const Context& context) {
  v1::AuditRecallRequest request;
  request.set_index(args.index);
  request.set_queries(args.queries);
  request.set_top_k(args.top_k);
  request.set_seed(args.seed);
  request.set_reachability(args.reachability);
  PutEffort(args.effort, *request.mutable_params());
  if (!args.filter.empty()) {
    CTL_ASSIGN(*request.mutable_filter(), ParseFilter(args.filter));
  }
  CTL_ASSIGN(const client::Client client, context.ForLongCalls().Connect());
  Waiting waiting(ErrorsGoToTerminal(), "searching");
  const absl::StatusOr<v1::AuditRecallResponse> audit = client.AuditRecall(std::move(request));
  waiting.Hide();
  if (!audit.ok()) return audit.status();
  if (context.json) {
    PrintJson(AuditJson(*audit));
  } else {
    Print(AuditText(*audit, args.reachability));
  }
  return absl::OkStatus();
}

CLI::App* AddIndexArgument(CLI::App* command, std::string& index) {
  command->add_option("index", index, "A FLOAT_VECTOR field with an index, view:field")->required();
  return command;
}

}  // namespace

void AddIndexCommands(CLI::App& app, Context& context) {
  auto described = std::make_shared<std::string>();
  CLI::App* describe = AddIndexArgument(
      app.add_subcommand("describe-index",
                         "What an index holds, how it is built and how well it is searched"),
      *described);
  AddExample(*describe, "fletchctl describe-index airport_profile:profile");
  describe->callback([&context, described] {
    context.action = [&context, described] { return Describe(*described, context); };
  });

  auto rebuilt = std::make_shared<std::string>();
  auto no_wait = std::make_shared<bool>(false);
  CLI::App* rebuild = AddIndexArgument(
      app.add_subcommand("rebuild-index",
                         "Build an index anew from the stored facts; searches go on meanwhile"),
      *rebuilt);
  rebuild->add_flag("--no-wait", *no_wait, "Return at once; describe-index shows the progress");
  AddExample(*rebuild, "fletchctl rebuild-index airport_profile:profile");
  rebuild->callback([&context, rebuilt, no_wait] {
    context.action = [&context, rebuilt, no_wait] { return Rebuild(*rebuilt, *no_wait, context); };
  });

  auto args = std::make_shared<AuditArgs>();
  CLI::App* audit = AddIndexArgument(
      app.add_subcommand("audit-recall",
                         "Search for the vectors of random entities as a client would and exactly, "
                         "and say how much was found"),
      args->index);
  audit->add_option("--queries", args->queries, "Searches; default 100");
  audit->add_option("--top-k", args->top_k, "Hits of each; default 10");
  audit->add_option("--filter", args->filter, "As of search");
  audit->add_option("--seed", args->seed, "For the choice of entities; default by the clock");
  audit->add_flag("--reachability", args->reachability,
                  "Count the vectors that no walk of the graph reaches, too");
  AddEffort(*audit, args->effort);
  AddExample(*audit, "fletchctl audit-recall airport_profile:profile --queries 1000 --top-k 10");
  audit->callback(
      [&context, args] { context.action = [&context, args] { return Audit(*args, context); }; });
}

}  // namespace fletch::ctl
