// SPDX-License-Identifier: Apache-2.0
#include "filter.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "result.h"

namespace fletch::ctl {
namespace {

std::string Show(const v1::Value& value) {
  if (value.has_int_value()) return absl::StrCat(value.int_value());
  if (value.has_double_value()) return absl::StrCat("double ", value.double_value());
  if (value.has_bool_value()) return value.bool_value() ? "true" : "false";
  return absl::StrCat("'", value.string_value(), "'");
}

std::string Show(const v1::Filter& filter);

std::string ShowAll(const v1::FilterList& list) {
  return absl::StrJoin(list.filters(), " ",
                       [](std::string* out, const v1::Filter& f) { *out += Show(f); });
}

// A bracketed form in which nothing is left to precedence.
std::string Show(const v1::Filter& filter) {
  switch (filter.filter_case()) {
    case v1::Filter::kAnd:
      return absl::StrCat("(and ", ShowAll(filter.and_()), ")");
    case v1::Filter::kOr:
      return absl::StrCat("(or ", ShowAll(filter.or_()), ")");
    case v1::Filter::kNot:
      return absl::StrCat("(not ", Show(filter.not_()), ")");
    case v1::Filter::kCompare:
      return absl::StrCat("(", v1::CompareOp_Name(filter.compare().op()), " ",
                          filter.compare().ref(), " ", Show(filter.compare().value()), ")");
    case v1::Filter::kIn:
      return absl::StrCat(
          "(in ", filter.in().ref(), " ",
          absl::StrJoin(filter.in().values(), " ",
                        [](std::string* out, const v1::Value& v) { *out += Show(v); }),
          ")");
    case v1::Filter::kBetween:
      return absl::StrCat("(between ", filter.between().ref(), " ", Show(filter.between().low()),
                          " ", Show(filter.between().high()), ")");
    case v1::Filter::kIsNull:
      return absl::StrCat("(null ", filter.is_null().ref(), ")");
    default:
      return "(unset)";
  }
}

std::string Parsed(const std::string& text) {
  const auto filter = ParseFilter(text);
  return filter.ok() ? Show(*filter) : std::string(filter.status().message());
}

TEST(Filter, ReadsTheExampleOfTheHelp) {
  EXPECT_EQ(Parsed("airport_weather:temperature_c < 0 and traffic:departures >= 10"),
            "(and (LT airport_weather:temperature_c 0) (GE traffic:departures 10))");
}

TEST(Filter, KnowsEveryComparison) {
  EXPECT_EQ(Parsed("v:f = 1"), "(EQ v:f 1)");
  EXPECT_EQ(Parsed("v:f == 1"), "(EQ v:f 1)");
  EXPECT_EQ(Parsed("v:f != 1"), "(NE v:f 1)");
  EXPECT_EQ(Parsed("v:f <> 1"), "(NE v:f 1)");
  EXPECT_EQ(Parsed("v:f<=1"), "(LE v:f 1)");
  EXPECT_EQ(Parsed("v@v2:f>1"), "(GT v@v2:f 1)");
}

TEST(Filter, KnowsEveryValue) {
  EXPECT_EQ(Parsed("v:f = -3"), "(EQ v:f -3)");
  EXPECT_EQ(Parsed("v:f = -9223372036854775808"), "(EQ v:f -9223372036854775808)");
  EXPECT_EQ(Parsed("v:f = 1.5"), "(EQ v:f double 1.5)");
  EXPECT_EQ(Parsed("v:f = 1e3"), "(EQ v:f double 1000)");
  EXPECT_EQ(Parsed("v:f = TRUE"), "(EQ v:f true)");
  EXPECT_EQ(Parsed("v:f = 'it''s, ok'"), "(EQ v:f 'it's, ok')");
  EXPECT_EQ(Parsed("v:f = '' and v:g = 2"), "(and (EQ v:f '') (EQ v:g 2))");
}

TEST(Filter, KnowsInBetweenAndNull) {
  EXPECT_EQ(Parsed("v:f in (1, 'x', 2.5)"), "(in v:f 1 'x' double 2.5)");
  EXPECT_EQ(Parsed("v:f not in (1)"), "(not (in v:f 1))");
  EXPECT_EQ(Parsed("v:f between 1 and 2 and v:g is null"), "(and (between v:f 1 2) (null v:g))");
  EXPECT_EQ(Parsed("v:f not between 1 and 2"), "(not (between v:f 1 2))");
  EXPECT_EQ(Parsed("v:f IS NOT NULL"), "(not (null v:f))");
}

TEST(Filter, KnowsWhatTextsBeginWithAndContain) {
  EXPECT_EQ(Parsed("v:f starts with 'San'"), "(PREFIX v:f 'San')");
  EXPECT_EQ(Parsed("v:f NOT STARTS WITH 'it''s'"), "(not (PREFIX v:f 'it's'))");
  EXPECT_EQ(Parsed("v:f contains 'x' and not v:g not contains ''"),
            "(and (CONTAINS v:f 'x') (not (not (CONTAINS v:g ''))))");
  EXPECT_EQ(Parsed("v:f starts 'x'"),
            "filter: `with` is needed here\n  v:f starts 'x'\n             ^");
  EXPECT_EQ(Parsed("v:f contains 3"),
            "filter: a text in single quotes is needed here\n  v:f contains 3\n               ^");
}

TEST(Filter, NotBindsCloserThanAndThanOr) {
  EXPECT_EQ(Parsed("a:b = 1 or c:d = 2 and not e:f = 3 or g:h = 4"),
            "(or (EQ a:b 1) (and (EQ c:d 2) (not (EQ e:f 3))) (EQ g:h 4))");
  EXPECT_EQ(Parsed("(a:b = 1 or c:d = 2) and e:f = 3"),
            "(and (or (EQ a:b 1) (EQ c:d 2)) (EQ e:f 3))");
  EXPECT_EQ(Parsed("not not (a:b = 1)"), "(not (not (EQ a:b 1)))");
}

TEST(Filter, PointsAtWhatIsWrong) {
  EXPECT_EQ(
      Parsed("a:b <"),
      "filter: a number, a text in single quotes, true or false is needed here\n  a:b <\n       ^");
  EXPECT_EQ(Parsed("a:b = 1 c:d = 2"),
            "filter: `and`, `or` or the end is needed here\n  a:b = 1 c:d = 2\n          ^");
  EXPECT_EQ(Parsed("a:b = \"x\""),
            "filter: texts stand in single quotes\n  a:b = \"x\"\n        ^");
  EXPECT_EQ(Parsed("ab = 1"), "filter: a feature, view:field, is needed here\n  ab = 1\n  ^");
}

TEST(Filter, RefusesTheRestWithoutACrash) {
  for (const char* text : {"", "(", "a:b", "a:b in ()", "a:b in (1", "a:b between 1", "a:b not = 1",
                           "a:b = 'x", "a:b = 1)", "a:b = 99999999999999999999999x", "a:b is 1",
                           "and", "not", "a:b = nan", "a:b = 1e999"}) {
    EXPECT_EQ(ExitCode(ParseFilter(text).status()), 2) << text;
  }
  EXPECT_FALSE(ParseFilter(std::string(100'000, '(')).ok());
  std::string nots;
  for (int i = 0; i < 100'000; ++i) nots += "not ";
  EXPECT_FALSE(ParseFilter(nots + "a:b = 1").ok());
}

}  // namespace
}  // namespace fletch::ctl
