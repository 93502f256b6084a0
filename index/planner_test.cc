// SPDX-License-Identifier: Apache-2.0
#include "index/planner.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fletch {
namespace {

PlanInput Million(double selectivity) {
  return {.rows = 1'000'000,
          .graph_rows = 1'000'000,
          .matches = 1'000'000 * selectivity,
          .filtered = true,
          .listed = true,
          .listed_rows = static_cast<size_t>(1'000'000 * selectivity),
          .ef = 100,
          .dimension = 128};
}

TEST(PlannerTest, FewMatchesAreComparedAllAndManyAreWalked) {
  EXPECT_EQ(PlanSearch(Million(0.0001)).strategy, SearchStrategy::kExactMatches);
  EXPECT_EQ(PlanSearch(Million(0.001)).strategy, SearchStrategy::kExactMatches);
  EXPECT_EQ(PlanSearch(Million(0.5)).strategy, SearchStrategy::kFilteredGraph);
  EXPECT_EQ(PlanSearch(Million(0.2)).strategy, SearchStrategy::kFilteredGraph);
  EXPECT_GT(PlanSearch(Million(0.5)).visit_limit, 10'000u);
}

TEST(PlannerTest, StrategiesChangeOnceAsMoreMatch) {
  bool walked = false;
  for (double selectivity = 1e-6; selectivity <= 1; selectivity *= 1.2) {
    const bool walk = PlanSearch(Million(selectivity)).strategy == SearchStrategy::kFilteredGraph;
    EXPECT_TRUE(walk || !walked) << selectivity;
    walked = walk;
  }
  EXPECT_TRUE(walked);
}

TEST(PlannerTest, WithoutAFilterAGraphIsWalkedUnlessItIsSmall) {
  PlanInput input = Million(1);
  input.filtered = false;
  EXPECT_EQ(PlanSearch(input).strategy, SearchStrategy::kGraph);
  input.rows = input.graph_rows = 200;
  input.listed = false;
  EXPECT_EQ(PlanSearch(input).strategy, SearchStrategy::kExactScan);
}

TEST(PlannerTest, DearQuestionsAreAskedOfTheNearestOnly) {
  PlanInput input = Million(0.1);
  input.listed = false;
  EXPECT_EQ(PlanSearch(input).strategy, SearchStrategy::kFilteredGraph);
  input.dear = true;
  input.rows = input.graph_rows = 60'000;
  input.matches = 6'000;
  EXPECT_EQ(PlanSearch(input).strategy, SearchStrategy::kExactScan);
}

TEST(PlannerTest, ALongListOfFewMatchesIsDearerThanAScan) {
  PlanInput input = Million(0.0001);
  input.listed_rows = 900'000;
  input.graph_rows = 0;
  EXPECT_EQ(PlanSearch(input).strategy, SearchStrategy::kExactScan);
  input.listed_rows = 9'000;
  EXPECT_EQ(PlanSearch(input).strategy, SearchStrategy::kExactMatches);
}

TEST(PlannerTest, WithoutAGraphAllIsExact) {
  PlanInput input = Million(0.03);
  input.graph_rows = 0;
  EXPECT_EQ(PlanSearch(input).strategy, SearchStrategy::kExactMatches);
  input.listed = false;
  EXPECT_EQ(PlanSearch(input).strategy, SearchStrategy::kExactScan);
  EXPECT_THAT(PlanSearch(input).reason, testing::HasSubstr("no graph"));
}

}  // namespace
}  // namespace fletch
