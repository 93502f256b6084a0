// SPDX-License-Identifier: Apache-2.0
// compact, audit.
#include <memory>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "command.h"
#include "count_text.h"
#include "progress.h"
#include "result.h"
#include "table.h"

namespace fletch::ctl {
namespace {

struct AuditArgs {
  SelectionArgs selection = {};
  uint64_t entities = 0;
  uint64_t seed = 0;
};

absl::Status Compact(bool all, Context context) {
  if (all) context.project.clear();
  CTL_ASSIGN(const client::Client client, context.ForLongCalls().ConnectWithoutProject());
  Waiting waiting(ErrorsGoToTerminal(), "compacting");
  const absl::StatusOr<v1::CompactResponse> done = client.Compact();
  waiting.Hide();
  if (!done.ok()) return done.status();
  if (context.json) {
    PrintJson({{"facts_folded", done->facts_folded()},
               {"facts_dropped", done->facts_dropped()},
               {"disk_bytes_before", done->disk_bytes_before()},
               {"disk_bytes_after", done->disk_bytes_after()}});
    return absl::OkStatus();
  }
  Print(absl::StrCat("folded ", CountText(done->facts_folded(), "fact"), " into blocks, dropped ",
                     CountText(done->facts_dropped(), "fact"), " past their horizons; ",
                     MebibytesText(done->disk_bytes_before()), " on disk before, ",
                     MebibytesText(done->disk_bytes_after()), " after\n"));
  return absl::OkStatus();
}

Json AuditJson(const v1::AuditParityResponse& audit) {
  Json examples = Json::array();
  for (const v1::ParityMismatch& mismatch : audit.examples()) {
    examples.push_back({{"ref", mismatch.ref()},
                        {"key_hash", absl::BytesToHexString(mismatch.key_hash())},
                        {"as_of", client::FormatTimeMicros(mismatch.as_of_micros())},
                        {"read_seq", mismatch.read_seq()},
                        {"differs_in", mismatch.differs_in()}});
  }
  return {{"cells", audit.cells()},
          {"entities", audit.entities()},
          {"mismatches", audit.mismatches()},
          {"examples", examples},
          {"seed", audit.seed()}};
}

std::string AuditText(const v1::AuditParityResponse& audit) {
  const std::string what =
      absl::StrCat("compared ", CountText(audit.cells(), "cell"), " of ",
                   CountText(audit.entities(), "entity", "entities"), ", online and in training");
  if (audit.mismatches() == 0) {
    return absl::StrCat(what, ": all are equal (seed ", audit.seed(), ")\n");
  }
  Table table({"FEATURE", "KEY HASH", "AS OF", "COMMIT", "DIFFERS IN"});
  for (const v1::ParityMismatch& mismatch : audit.examples()) {
    table.Add({mismatch.ref(), absl::BytesToHexString(mismatch.key_hash()),
               client::FormatTimeMicros(mismatch.as_of_micros()), absl::StrCat(mismatch.read_seq()),
               mismatch.differs_in()});
  }
  return absl::StrCat(what, ":\n", table.ToText());
}

absl::Status Audit(const AuditArgs& args, const Context& context) {
  CTL_RETURN_IF_ERROR(CheckSelection(args.selection, /*optional=*/true));
  v1::AuditParityRequest request;
  PutSelection(args.selection, request);
  request.set_entities(args.entities);
  request.set_seed(args.seed);
  CTL_ASSIGN(const client::Client client, context.ForLongCalls().Connect());
  Waiting waiting(ErrorsGoToTerminal(), "comparing");
  const absl::StatusOr<v1::AuditParityResponse> audit = client.AuditParity(request);
  waiting.Hide();
  if (!audit.ok()) return audit.status();
  if (context.json) {
    PrintJson(AuditJson(*audit));
  } else {
    Print(AuditText(*audit));
  }
  if (audit->mismatches() == 0) return absl::OkStatus();
  return WithAdvice(absl::DataLossError(
                        absl::StrCat(CountText(audit->mismatches(), "cell"), " of ", audit->cells(),
                                     " differ between online and training; this is a fault of "
                                     "the daemon or of its data")),
                    absl::StrCat("ask for the same cells again with --seed ", audit->seed(),
                                 ", and report what differs"));
}

}  // namespace

void AddMaintenanceCommands(CLI::App& app, Context& context) {
  auto all = std::make_shared<bool>(false);
  CLI::App* compact = app.add_subcommand(
      "compact",
      "Maintenance now: raise horizons, fold facts into blocks, take what was erased off the disk; "
      "of the project, or of all without one");
  compact->add_flag("--all", *all, "All projects, whatever --project and FLETCH_PROJECT say");
  AddExample(*compact, "fletchctl compact --all");
  compact->callback(
      [&context, all] { context.action = [&context, all] { return Compact(*all, context); }; });

  auto args = std::make_shared<AuditArgs>();
  CLI::App* audit = app.add_subcommand(
      "audit",
      "Compare what is read online with what training reads, on random entities; exit code 1 when "
      "a cell differs");
  AddSelection(*audit, args->selection);
  audit->add_option("--entities", args->entities, "Entities to ask about; default 1000")
      ->check(CLI::Range(1, 100'000));
  audit->add_option("--seed", args->seed, "For the choice of entities; default by the clock");
  AddExample(*audit, "fletchctl audit --service delay_model --entities 5000");
  audit->callback(
      [&context, args] { context.action = [&context, args] { return Audit(*args, context); }; });
}

}  // namespace fletch::ctl
