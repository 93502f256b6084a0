// SPDX-License-Identifier: Apache-2.0
// What people and programs see: tables, plans, progress, errors and moments.
#include <gtest/gtest.h>

#include "command.h"
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
  view.add_affected_training_sets("q1");
  view.add_affected_training_sets("q2");
  EXPECT_EQ(PlanText(plan, true),
            "UNCHANGED  Entity airport\n"
            "BREAKING   FeatureView weather (version 2)\n"
            "           field t: DOUBLE becomes INT64\n"
            "           services that keep the older version: model\n"
            "           training sets that keep the older version: q1, q2\n"
            "1 of 2 objects would change; nothing was changed (--dry-run); revision 4\n");
  const Json json = PlanJson(plan, false);
  EXPECT_EQ(json["changes"][1]["change"], "BREAKING");
  EXPECT_EQ(json["changes"][1]["affected_services"][0], "model");
  EXPECT_EQ(json["changes"][1]["affected_training_sets"][1], "q2");
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
  EXPECT_EQ(Explain(Prefixed(WithAdvice(absl::NotFoundError("x"), "look there"), "a: "), false),
            "fletchctl: NOT_FOUND: a: x\n  next: look there\n");
  EXPECT_EQ(Explain(absl::NotFoundError("view 'x'"), true),
            "{\"error\":{\"code\":\"NOT_FOUND\",\"message\":\"view 'x'\"}}\n");
}

TEST(KnownAt, IsACommitOrATime) {
  EXPECT_EQ(ParseKnownAt("12")->commit_seq(), 12u);
  EXPECT_EQ(ParseKnownAt("1970-01-01T00:00:01Z")->time().micros(0), 1'000'000);
  EXPECT_EQ(ExitCode(ParseKnownAt("-1").status()), 2);
}

}  // namespace
}  // namespace fletch::ctl
