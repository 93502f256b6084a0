// SPDX-License-Identifier: Apache-2.0
// What people and programs see: tables, plans, joined rows, progress, errors, keys and moments.
#include <gtest/gtest.h>

#include <sstream>

#include "command.h"
#include "completion.h"
#include "joined_output.h"
#include "plan.h"
#include "progress.h"
#include "result.h"
#include "table.h"

namespace fletch::ctl {
namespace {

TEST(Table, AlignsTextsLeftAndNumbersRight) {
  Table table({"airport", "delay"});
  table.Add({"SFO", "7"});
  table.Add({"Zürich", "<NOT_FOUND>"});
  table.Add({"X", "-12.5"});
  EXPECT_EQ(table.ToText(),
            "airport        delay\n"
            "SFO                7\n"
            "Zürich   <NOT_FOUND>\n"
            "X              -12.5\n");
}

TEST(Table, CutsLongCellsAndHidesControlCharacters) {
  Table table({"a"});
  table.Add({std::string(100, 'x')});
  table.Add({"\x1b[2J"});
  EXPECT_EQ(table.ToText(), "a\n" + std::string(59, 'x') + "…\n?[2J\n");
}

TEST(Plan, ShowsChangesDetailsAndServices) {
  v1::ApplyResponse plan;
  plan.set_revision(4);
  v1::PlannedChange& added = *plan.add_changes();
  added.set_kind(v1::ENTITY);
  added.set_name("airport");
  added.set_change(v1::UNCHANGED);
  v1::PlannedChange& view = *plan.add_changes();
  view.set_kind(v1::FEATURE_VIEW);
  view.set_name("weather");
  view.set_change(v1::BREAKING);
  view.set_version(2);
  view.add_details("field t: DOUBLE becomes INT64");
  view.add_affected_services("model");
  EXPECT_EQ(PlanText(plan, true),
            "UNCHANGED  Entity airport\n"
            "BREAKING   FeatureView weather (version 2)\n"
            "           field t: DOUBLE becomes INT64\n"
            "           services that keep the older version: model\n"
            "1 of 2 objects would change; nothing was changed (--dry-run); revision 4\n");
  const Json json = PlanJson(plan, false);
  EXPECT_EQ(json["changes"][1]["change"], "BREAKING");
  EXPECT_EQ(json["changes"][1]["affected_services"][0], "model");
}

v1::GetHistoricalFeaturesResponse Answer() {
  v1::GetHistoricalFeaturesResponse answer;
  answer.set_row_count(2);
  v1::Column& column = *answer.add_columns();
  column.mutable_strings()->add_values("a,b");
  column.mutable_strings()->add_values("");
  column.add_statuses(v1::PRESENT);
  column.add_statuses(v1::NOT_FOUND);
  return answer;
}

const std::vector<SpineRow> kRows = {{RecordCell(std::string("1")), RecordCell(Json(2.5))},
                                     {RecordCell(), RecordCell(std::string())}};

TEST(JoinedOutput, WritesCsv) {
  std::ostringstream out;
  JoinedOutput output(out, RecordFormat::kCsv, true);
  ASSERT_TRUE(output.Begin({"label", "x"}, {"v:f"}).ok());
  output.Write(kRows, Answer());
  EXPECT_EQ(out.str(), "label,x,v:f,v:f__status\n1,2.5,\"a,b\",PRESENT\n,\"\",,NOT_FOUND\n");
}

TEST(JoinedOutput, WritesJsonLines) {
  std::ostringstream out;
  JoinedOutput output(out, RecordFormat::kJsonLines, false);
  ASSERT_TRUE(output.Begin({"label", "x"}, {"v:f"}).ok());
  output.Write(kRows, Answer());
  EXPECT_EQ(
      out.str(),
      "{\"label\":\"1\",\"x\":2.5,\"v:f\":\"a,b\"}\n{\"label\":null,\"x\":\"\",\"v:f\":null}\n");
}

TEST(JoinedOutput, RefusesAColumnThatIsAlsoAFeature) {
  std::ostringstream out;
  JoinedOutput output(out, RecordFormat::kCsv, false);
  EXPECT_EQ(ExitCode(output.Begin({"v:f"}, {"v:f"})), 2);
}

TEST(Progress, SaysHowFarAndHowFast) {
  EXPECT_EQ(ProgressLine(0.5, 12000, absl::Seconds(2)),
            "[###############...............]  50%  12,000 rows  6,000 rows/s");
  EXPECT_EQ(ProgressLine(-1, 999, absl::Seconds(1)), "999 rows  999 rows/s");
}

TEST(Errors, HaveExitCodesAndWords) {
  EXPECT_EQ(ExitCode(absl::OkStatus()), 0);
  EXPECT_EQ(ExitCode(absl::InvalidArgumentError("x")), 1);
  EXPECT_EQ(ExitCode(Prefixed(UsageError("x"), "a: ")), 2);
  EXPECT_EQ(Explain(UsageError("no"), false), "fletchctl: no\n");
  EXPECT_EQ(Explain(absl::NotFoundError("view 'x'"), false), "fletchctl: NOT_FOUND: view 'x'\n");
  EXPECT_EQ(Explain(absl::NotFoundError("view 'x'"), true),
            "{\"error\":{\"code\":\"NOT_FOUND\",\"message\":\"view 'x'\"}}\n");
}

TEST(Keys, TakeListsOfOneLength) {
  const KeyTypes types = {{"airport", v1::STRING}, {"flight", v1::INT64}};
  const auto keys = ParseKeys({"airport=SFO,JFK", "flight=1,2"}, types);
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->row_count, 2u);
  EXPECT_EQ(keys->columns[1].second.int64s().values(1), 2);
  EXPECT_EQ(ParseKeys({"airport=[\"a,b\"]"}, types)->columns[0].second.strings().values(0), "a,b");
  for (const std::vector<std::string>& bad : {std::vector<std::string>{"airport=A,B", "flight=1"},
                                              {"plane=1"},
                                              {"airport"},
                                              {"flight=x"},
                                              {"airport=A", "airport=B"},
                                              {"airport=[1"}}) {
    EXPECT_EQ(ExitCode(ParseKeys(bad, types).status()), 2) << bad[0];
  }
}

TEST(KnownAt, IsACommitOrATime) {
  EXPECT_EQ(ParseKnownAt("12")->commit_seq(), 12u);
  EXPECT_EQ(ParseKnownAt("1970-01-01T00:00:01Z")->time().micros(0), 1'000'000);
  EXPECT_EQ(ExitCode(ParseKnownAt("-1").status()), 2);
}

TEST(Completion, KnowsTheCommandsItIsGiven) {
  CLI::App app("", "fletchctl");
  bool dry_run = false;
  app.add_subcommand("apply", "It's applied")->add_flag("--dry-run", dry_run, "Only print");
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const auto script = CompletionScript(app, shell);
    ASSERT_TRUE(script.ok());
    EXPECT_NE(script->find("apply"), std::string::npos) << shell;
    EXPECT_NE(script->find("dry-run"), std::string::npos) << shell;
  }
  EXPECT_EQ(ExitCode(CompletionScript(app, "csh").status()), 2);
}

}  // namespace
}  // namespace fletch::ctl
