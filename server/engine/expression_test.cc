// SPDX-License-Identifier: Apache-2.0
#include "server/engine/expression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/limits.h"
#include "base/status.h"
#include "server/engine/expression_testing.h"
#include "server/engine/sql_ast.h"
#include "server/engine/sql_functions.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

using testing::HasSubstr;

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

// One row of every type, and names that two views share.
ExpressionWorld World() {
  ExpressionWorld world;
  world.Add("i", {.type = {ValueType::kInt64}, .row_count = 1, .int64s = {7}});
  world.Add("most", {.type = {ValueType::kInt64}, .row_count = 1, .int64s = {kMost}});
  world.Add("none", {.type = {ValueType::kInt64}, .row_count = 1, .int64s = {0}, .null_rows = {0}});
  world.Add("r", {.type = {ValueType::kDouble}, .row_count = 1, .doubles = {2.5}});
  world.Add("nan", {.type = {ValueType::kFloat},
                    .row_count = 1,
                    .floats = {std::numeric_limits<float>::quiet_NaN()}});
  world.Add("yes", {.type = {ValueType::kBool}, .row_count = 1, .bools = {1}});
  world.Add("t", {.type = {ValueType::kTimestamp}, .row_count = 1, .int64s = {1'500'000}});
  world.Add("s", {.type = {ValueType::kString}, .row_count = 1, .strings = {"Héllo"}});
  world.Add("json", {.type = {ValueType::kJson}, .row_count = 1, .strings = {"{}"}});
  world.Add("blob", {.type = {ValueType::kBytes}, .row_count = 1, .strings = {"\xff"}});
  world.Add("shared", {.type = {ValueType::kInt32}, .row_count = 1, .int32s = {1}});
  world.Add("shared", {.type = {ValueType::kInt32}, .row_count = 1, .int32s = {2}});
  world.inputs.back().view = "request";
  world.Add("case", {.type = {ValueType::kInt64}, .row_count = 1, .int64s = {3}});
  world.Add("list", {.type = {ValueType::kInt64, true}, .row_count = 1, .lengths = {0}});
  return world;
}

constexpr ValueType B = ValueType::kBool;
constexpr ValueType I = ValueType::kInt64;
constexpr ValueType D = ValueType::kDouble;
constexpr ValueType S = ValueType::kString;

struct Case {
  const char* sql;
  ValueType type;
  const char* value;
};

constexpr Case kValues[] = {
    {"i + 1", I, "8"},
    {"i / 2", I, "3"},
    {"i / 0", I, "NULL"},
    {"i", D, "7"},
    {"i * r", D, "17.5"},
    {"r", B, "true"},
    {"i > 7 OR r", B, "true"},
    {"r - 2.5", B, "false"},
    {"v.i", I, "7"},
    {"\"i\" + v.\"case\"", I, "10"},
    {"shared", I, "INVALID"},
    {"v.shared * 10 + request.shared", I, "12"},
    {"none + 1", I, "NULL"},
    {"none IS NULL", B, "true"},
    {"nan", D, "NULL"},
    {"coalesce(nan, none, 4)", D, "4"},
    {"sqrt(-1)", D, "NULL"},
    {"1e308 * 10", D, "inf"},
    {"1e308 * 10 - 1e308 * 10", D, "NULL"},
    {"yes + yes", I, "2"},
    {"yes = TRUE", B, "true"},
    {"t / 1000000", I, "1"},
    {"s || '!'", S, "Héllo!"},
    {"length(s)", I, "5"},
    {"json || ''", S, "{}"},
    {"hex(blob)", S, "FF"},
    {"CAST(blob AS TEXT)", S, "NULL"},  // no UTF-8
    {"char(55296)", S, "NULL"},         // a surrogate
    {"CASE i WHEN 1 THEN 'one' WHEN 7 THEN 'seven' END", S, "seven"},
    {"i NOT BETWEEN 1 AND 7", B, "false"},
    {"i in (1, 2, 3, 7) -- a comment", B, "true"},
    {"NULL", S, "NULL"},
};

TEST(Expression, Values) {
  const ExpressionWorld world = World();
  for (const Case& one : kValues) {
    EXPECT_THAT(EvaluateOne(world, one.sql, one.type), testing::StartsWith(one.value)) << one.sql;
  }
}

constexpr Case kOverflows[] = {
    {"most + 1", I, "NULL"},
    {"most + 0", I, "9223372036854775807"},
    {"-most - 1", I, "-9223372036854775808"},
    {"-most - 2", I, "NULL"},
    {"most * 2", D, "NULL"},
    {"most * 2.0", D, "1.8446744073709552e+19"},
    {"most + 1.0 + most", D, "1.8446744073709552e+19"},
    {"most + 1 + 1.0", D, "NULL"},
    {"(-most - 1) / -1", I, "NULL"},
    {"-(-most - 1)", I, "NULL"},
    {"abs(-most - 1)", I, "NULL"},
    {"CAST(1e19 AS INTEGER)", I, "NULL"},
    {"CAST('9223372036854775808' AS INTEGER)", I, "NULL"},
    {"CAST(' +0009223372036854775807' AS INTEGER)", I, "9223372036854775807"},
    // Wherever it happens.
    {"coalesce(most + 1, 5)", I, "NULL"},
    {"ifnull(most + 1, 5)", I, "NULL"},
    {"(most + 1) IS NULL", B, "NULL"},
    {"CASE WHEN most + 1 > 0 THEN 1 ELSE 2 END", I, "NULL"},
    {"CASE WHEN 0 AND most + 1 > 0 THEN 1 ELSE 2 END", I, "NULL"},
    {"1 OR most + 1 > 0", B, "NULL"},
    {"iif(i BETWEEN 8 AND most + 1, 1, 2)", I, "NULL"},
    {"typeof(most + 1)", S, "NULL"},
    {"max(1, most + 1)", I, "NULL"},
    {"'a' LIKE 'b' || (most + 1)", B, "NULL"},
    // What is not needed is not evaluated.
    {"CASE WHEN i < 8 THEN i ELSE most + 1 END", I, "7"},
    {"iif(i < 8, i, most + 1)", I, "7"},
    {"coalesce(i, most + 1)", I, "7"},
    {"i IN (7, most + 1)", B, "true"},
    {"i IN (8, most + 1)", B, "NULL"},
};

TEST(Expression, OverflowMakesTheCellNull) {
  const ExpressionWorld world = World();
  for (const Case& one : kOverflows) {
    EXPECT_EQ(EvaluateOne(world, one.sql, one.type), one.value) << one.sql;
  }
}

struct Refusal {
  const char* sql;
  ValueType type;
  const char* says;
};

constexpr Refusal kRefusals[] = {
    {"", I, "an expression is missing"},
    {"i +", I, "character 4: a name, a value or ( should stand here, not the end"},
    {"i 7", I, "character 3: an operator or the end of the expression should stand here"},
    {"'é' || unknown", S, "character 8: there is no field 'unknown' to read; there are v.i, "},
    {"\"text\" = s", B, "A text is written '…'"},
    {"x.i", I, "there is no field 'x.i'"},
    {"shared", I, "'shared' could be v.shared or request.shared; write one of them"},
    {"list", I, "v.list is INT64[]; expressions read scalars only"},
    {"random()", I, "the function random is not allowed; allowed are abs, "},
    {"max(i)", I, "max takes 2 to 100 arguments, not 1; aggregates"},
    {"pow(i)", D, "character 1: pow takes 2 arguments, not 1"},
    {"pi(1)", D, "pi takes 0 arguments, not 1"},
    {"i + s", I, "character 5: + takes numbers, and this is TEXT; CAST(… AS REAL)"},
    {"i = s", B, "character 5: = compares INTEGER with TEXT here"},
    {"s IN ('a', 1)", B, "character 12: IN compares TEXT with INTEGER"},
    {"r % 2", D, "character 1: % takes INTEGER, and this is REAL; mod("},
    {"r | 2", I, "| takes INTEGER, and this is REAL; CAST(… AS INTEGER)"},
    {"s AND 1", B, "AND takes numbers"},
    {"NOT s", B, "character 5: NOT takes numbers"},
    {"i LIKE 'a'", B, "LIKE takes TEXT, and this is INTEGER; CAST(… AS TEXT)"},
    {"s LIKE 'a' ESCAPE 'ab'", B, "character 19: ESCAPE takes one character"},
    {"s LIKE 'a' ESCAPE ''", B, "ESCAPE takes one character"},
    {"blob || 'a'", S, "|| takes TEXT or numbers, and this is BLOB"},
    {"coalesce(i, s)", I, "character 13: the values of coalesce are numbers, TEXT or BLOB"},
    {"CASE WHEN 1 THEN 1 ELSE 'a' END", I, "character 25: the values of CASE"},
    {"CAST(i AS DATE)", I, "character 11: 'DATE' is no type; CAST makes INTEGER, REAL"},
    {"CAST(blob AS INTEGER)", I, "CAST makes no INTEGER of BLOB"},
    {"substr(s, 1.5)", S, "substr takes INTEGER, and this is REAL"},
    {"r", I, "character 1: the result is REAL, and INT64 takes INTEGER; CAST(… AS INTEGER)"},
    {"max(i, r)", I, "the result is NUMERIC, and INT64 takes INTEGER"},
    {"s", B, "the result is TEXT, and BOOL takes a number; compare"},
    {"s", D, "the result is TEXT, and DOUBLE takes a number"},
    {"i", S, "the result is INTEGER, and STRING takes TEXT; CAST(… AS TEXT)"},
    {"(SELECT 1)", I, "character 2: a name, a value or ( should stand here, not 'SELECT'; an"},
    {"EXISTS (SELECT 1)", B, "without subqueries"},
    {"i IN (SELECT 1)", B, "without subqueries"},
    {"i IN ()", B, "should stand here, not ')'"},
    {"i; DROP TABLE x", I, "character 2: an expression ends without ;"},
    {"?1", I, "parameters are not allowed"},
    {":i", I, "parameters are not allowed"},
    {"s COLLATE NOCASE = 'a'", B, "collations are not allowed"},
    {"s REGEXP 'a'", B, "LIKE and GLOB"},
    {"json -> 'a'", S, "JSON is text"},
    {"(i, r)", I, "a list of values stands only after IN"},
    {"9223372036854775808", I, "does not fit INT64; 9223372036854775808.0 is a REAL"},
    {"99999999999999999999", I, "does not fit INT64; 99999999999999999999.0"},
    {"0xFFFFFFFFFFFFFFFF", I, "does not fit INT64"},
    {"12abc", I, "a number and a name run into each other"},
    {"'abc", S, "character 1: the text that begins here has no closing '"},
    {"1 /* x", I, "character 3: a comment begins here"},
    {"x'4'", S, "an even number of hexadecimal digits"},
    {"sum(i) OVER ()", I, "the function sum is not allowed"},
    {"CASE END", I, "should stand here, not 'END'"},
    {"\xff", I, "not UTF-8"},
    {"i § 2", I, "character 3: this character has no meaning here"},
};

TEST(Expression, RefusalsSayWhereAndWhatWouldBeRight) {
  const ExpressionWorld world = World();
  for (const Refusal& one : kRefusals) {
    const auto program = CompileOne(world, one.sql, one.type);
    ASSERT_FALSE(program.ok()) << one.sql;
    EXPECT_EQ(program.status().code(), absl::StatusCode::kInvalidArgument) << one.sql;
    EXPECT_THAT(std::string(program.status().message()), HasSubstr(one.says)) << one.sql;
    EXPECT_EQ(ErrorField(program.status()), "expressions[0].sql");
  }
  const std::string zero("'a\0b'", 5);
  EXPECT_THAT(EvaluateOne(world, zero, S), HasSubstr("char(0) makes one"));
  const auto program = CompileOne(world, "i", ValueType::kInt32);
  EXPECT_EQ(ErrorField(program.status()), "expressions[0].type");
}

std::string Repeat(std::string_view text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

TEST(Expression, TheDeepestOfEveryConstructIsEvaluated) {
  struct Nest {
    const char* before;
    const char* after;
    size_t levels;
    ValueType type;
    const char* leaf;
  };
  const Nest nests[] = {
      {"CASE 1 WHEN 1 THEN ", " END", 1, I, "7"},
      {"CASE WHEN 0 THEN 1 WHEN ", " THEN 7 END", 1, I, "7"},
      {"CASE 1 WHEN 2 THEN 3 ELSE ", " END", 1, I, "7"},
      {"(1 BETWEEN 2 AND (", "))", 1, I, "7"},
      {"1 IN (2, 3, ", ", 4)", 1, I, "7"},
      {"1 IN (", ", 2, 3, 4)", 1, I, "7"},
      {"(1 + (", "))", 1, I, "7"},
      {"(1.5 * (", "))", 1, D, "7"},
      {"(1 AND (1 + ", ") > 0)", 3, I, "7"},
      {"max(1, 2, 3, ", ")", 1, I, "7"},
      {"CAST(CAST(", " AS REAL) AS INTEGER)", 2, I, "7"},
      {"NOT ", "", 1, I, "7"},
      {"- ", "", 1, D, "i"},
      {"~ ", "", 1, I, "7"},
      {"('x' || ", ")", 1, S, "'y'"},
      {"replace('x', ", ", 'y')", 2, S, "'y'"},
      {"('x' NOT LIKE ('a' || ", "))", 3, I, "7"},
      {"(", " ISNULL)", 1, I, "7"},
  };
  const ExpressionWorld world = World();
  for (const Nest& nest : nests) {
    const size_t times = (limits::kMaxExpressionDepth - 1) / nest.levels;
    const std::string deepest = Repeat(nest.before, times) + nest.leaf + Repeat(nest.after, times);
    const auto program = CompileOne(world, deepest, nest.type);
    EXPECT_TRUE(program.ok()) << program.status() << deepest;
    const std::string deeper = nest.before + deepest + nest.after;
    EXPECT_EQ(CompileOne(world, deeper, nest.type).status().code(), absl::StatusCode::kOutOfRange)
        << deeper;
  }
}

TEST(Expression, Limits) {
  const ExpressionWorld world = World();
  // A chain is one level, however long.
  const size_t ones = limits::kMaxExpressionNodes / 2;
  EXPECT_EQ(EvaluateOne(world, "1" + Repeat("+1", ones - 1), I), std::to_string(ones));
  EXPECT_EQ(EvaluateOne(world, "0" + Repeat(" OR i", ones - 1), B), "true");
  EXPECT_EQ(EvaluateOne(world, "1" + Repeat(" AND i+1", 250), B), "true");
  EXPECT_EQ(EvaluateOne(world, "1.5" + Repeat("*1.0", 400), D), "1.5");
  EXPECT_THAT(EvaluateOne(world, "1" + Repeat("+1", ones), I),
              HasSubstr("OUT_OF_RANGE: the expression has more than 1024"));
  EXPECT_EQ(EvaluateOne(world, "i" + std::string(limits::kMaxExpressionBytes - 1, ' '), I), "7");
  EXPECT_THAT(EvaluateOne(world, "i" + std::string(limits::kMaxExpressionBytes, ' '), I),
              HasSubstr("OUT_OF_RANGE: the expression is 16385 bytes long"));
  const size_t open = limits::kMaxExpressionParentheses - 1;
  EXPECT_EQ(EvaluateOne(world, Repeat("(", open) + "i" + Repeat(")", open), I), "7");
  EXPECT_THAT(EvaluateOne(world, Repeat("(", open + 1) + "i" + Repeat(")", open + 1), I),
              HasSubstr("OUT_OF_RANGE: the expression is nested"));
  EXPECT_EQ(EvaluateOne(world, "i IN (" + Repeat("1,", 1000) + "7)", B), "true");
}

// Four rows; the text of row 2 is as long as given.
ExpressionWorld Texts(size_t bytes) {
  ExpressionWorld world;
  world.Add("s", {.type = {ValueType::kString},
                  .row_count = 4,
                  .strings = {"a", "b", std::string(bytes, 'a'), "d"}});
  return world;
}

absl::Status EvaluateAll(const ExpressionWorld& world, std::vector<ExpressionSpec> specs) {
  const auto program = ExpressionProgram::Compile(world.inputs, specs, "e");
  if (!program.ok()) return program.status();
  std::vector<size_t> wanted;
  for (size_t i = 0; i < specs.size(); ++i) wanted.push_back(i);
  const size_t rows = world.columns[0].row_count;
  return (*program)->Evaluate(world.Pointers(), wanted, rows, Call{}).status();
}

TEST(Expression, WhatIsTooLargeNamesExpressionAndRow) {
  const size_t most = limits::kMaxExpressionValueBytes;
  const ExpressionSpec length{"length", "length(s)", {I}};
  EXPECT_TRUE(EvaluateAll(Texts(most), {length}).ok());
  const absl::Status input = EvaluateAll(Texts(most + 1), {length});
  EXPECT_EQ(input.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(input.message()), HasSubstr("expression length, row 2: a text or BLOB"));
  const ExpressionSpec twice{"twice", "s || s", {S}};
  EXPECT_TRUE(EvaluateAll(Texts(most / 2), {length, twice}).ok());
  const absl::Status made = EvaluateAll(Texts(most / 2 + 1), {length, twice});
  EXPECT_EQ(made.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(made.message()), HasSubstr("expression twice, row 2: "));
  const size_t needle = limits::kMaxExpressionNeedleBytes;
  for (const char* const sql : {"'x' LIKE s", "'x' GLOB s", "instr('x', s) = 1",
                                "replace('x', s, '') = 'x'", "trim('x', s) = 'x'"}) {
    EXPECT_TRUE(EvaluateAll(Texts(needle), {length, {"find", sql, {B}}}).ok()) << sql;
    const absl::Status status = EvaluateAll(Texts(needle + 1), {length, {"find", sql, {B}}});
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << sql;
    EXPECT_THAT(std::string(status.message()), HasSubstr("expression find, row 2: a pattern"));
  }
}

TEST(Expression, ASubsetReadsOnlyItsInputs) {
  const ExpressionWorld world = World();
  std::vector<ExpressionSpec> specs;
  for (size_t i = 0; i < 150; ++i) {  // more than one statement holds
    specs.push_back({"e", (i % 2 == 0 ? "i + " : "r * 0 + ") + std::to_string(i), {D}});
  }
  const auto program = ExpressionProgram::Compile(world.inputs, specs, "e");
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_EQ((*program)->UsedInputs({0}), std::vector<size_t>({0}));
  EXPECT_EQ((*program)->UsedInputs({3, 2}), std::vector<size_t>({0, 3}));
  EXPECT_TRUE((*program)->UsedInputs({}).empty());
  std::vector<const Column*> inputs(world.columns.size());
  inputs[3] = &world.columns[3];
  const auto odd = (*program)->Evaluate(inputs, {5, 1, 5}, 3, Call{});  // one row stands for three
  ASSERT_TRUE(odd.ok()) << odd.status();
  ASSERT_EQ(odd->size(), 3u);
  EXPECT_EQ((*odd)[0].doubles, std::vector<double>({5, 5, 5}));
  EXPECT_EQ((*odd)[1].doubles, std::vector<double>({1, 1, 1}));
  EXPECT_TRUE((*odd)[2].statuses.empty());
  std::vector<size_t> all;
  for (size_t i = 0; i < specs.size(); ++i) all.push_back(i);
  const auto every = (*program)->Evaluate(world.Pointers(), all, 1, Call{});
  ASSERT_TRUE(every.ok()) << every.status();
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ((*every)[i].doubles[0], static_cast<double>(i) + (i % 2 == 0 ? 7 : 0));
  }
  EXPECT_TRUE((*program)->Evaluate(world.Pointers(), all, 0, Call{}).ok());
}

TEST(Expression, ACallThatEndsStopsIt) {
  const ExpressionWorld world = World();
  const auto program = CompileOne(world, "i + 1", I);
  ASSERT_TRUE(program.ok());
  size_t checks = 0;
  Call call;
  call.cancelled = [&] { return ++checks > 3; };
  const auto columns = (*program)->Evaluate(world.Pointers(), {0}, 1'000'000, call);
  EXPECT_EQ(columns.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(checks, 4u);
  EXPECT_TRUE((*program)->Evaluate(world.Pointers(), {0}, 1000, Call{}).ok());
  // Inside of one row too, before what may take long.
  const auto patterns = CompileOne(world, "s LIKE s || '%'" + Repeat(" OR s LIKE s", 10), B);
  ASSERT_TRUE(patterns.ok());
  checks = 0;
  EXPECT_EQ((*patterns)->Evaluate(world.Pointers(), {0}, 1, call).status().code(),
            absl::StatusCode::kCancelled);
}

TEST(Expression, ThreadsShareAProgram) {
  ExpressionWorld world;
  constexpr size_t kRows = 500;
  Column a{.type = {ValueType::kInt64}, .row_count = kRows};
  for (size_t row = 0; row < kRows; ++row) a.int64s.push_back(static_cast<int64_t>(row));
  world.Add("a", a);
  const auto program = ExpressionProgram::Compile(
      world.inputs, {{"x", "a * 2", {I}}, {"y", "CAST(a AS TEXT) || '!'", {S}}}, "e");
  ASSERT_TRUE(program.ok());
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t round = 0; round < 40; ++round) {
        const std::vector<size_t> wanted =
            (t + round) % 3 == 0 ? std::vector<size_t>{0, 1} : std::vector<size_t>{round % 2};
        const auto columns = (*program)->Evaluate(world.Pointers(), wanted, kRows, Call{});
        ASSERT_TRUE(columns.ok());
        for (size_t w = 0; w < wanted.size(); ++w) {
          const std::string last = ShowCell((*columns)[w], kRows - 1);
          EXPECT_EQ(last, wanted[w] == 0 ? "998" : "499!");
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// A text of which some is SQL.
std::string Mangled(std::mt19937_64& random) {
  constexpr const char* kPieces[] = {"i",        "r",         "s",
                                     "v.",       "\"",        "'",
                                     "(",        ")",         ",",
                                     "+",        "-",         "*",
                                     "/",        "%",         "||",
                                     "<<",       "~",         " NOT ",
                                     " AND ",    " OR ",      "IS ",
                                     "NULL",     "IN(",       "LIKE ",
                                     "GLOB ",    "ESCAPE ",   "CASE ",
                                     "WHEN ",    "THEN ",     "ELSE ",
                                     " END",     "CAST(",     " AS ",
                                     "TEXT",     "INTEGER",   "1",
                                     "2.5",      "x'00'",     "9223372036854775807",
                                     "''",       "'a'",       "abs(",
                                     "max(",     "coalesce(", "replace(",
                                     "BETWEEN ", "=",         "<",
                                     "--",       "/*",        " ",
                                     "é",        "SELECT ",   ";",
                                     "?",        "0x",        "1e",
                                     "TRUE",     "COLLATE "};
  std::string text;
  if (random() % 3 == 0) {
    for (size_t n = random() % 40; n > 0; --n) text += static_cast<char>(random());
    return text;
  }
  text = random() % 2 == 0 ? "CASE WHEN i > 1 THEN coalesce(s, 'a') || r ELSE upper(s) END" : "";
  for (size_t n = 1 + random() % 12; n > 0; --n) {
    const size_t at = text.empty() ? 0 : random() % text.size();
    if (random() % 3 == 0) {
      text.erase(at, 1 + random() % 4);
    } else {
      text.insert(random() % 2 == 0 ? at : text.size(),
                  kPieces[random() % (sizeof(kPieces) / sizeof(kPieces[0]))]);
    }
  }
  return text;
}

TEST(Expression, NoTextDoesHarm) {
  std::mt19937_64 random = SeededRandom();
  const ExpressionWorld world = World();
  size_t compiled = 0;
  for (size_t i = 0; i < 60'000; ++i) {
    const std::string text = Mangled(random);
    constexpr ValueType kTypes[] = {B, I, D, S};
    const auto program = CompileOne(world, text, kTypes[random() % 4]);
    if (program.ok()) {
      ++compiled;
      EXPECT_TRUE((*program)->Evaluate(world.Pointers(), {0}, 1, Call{}).ok()) << text;
      continue;
    }
    const absl::StatusCode code = program.status().code();
    EXPECT_TRUE(code == absl::StatusCode::kInvalidArgument || code == absl::StatusCode::kOutOfRange)
        << program.status() << text;
    EXPECT_EQ(program.status().message().find("SQLite"), absl::string_view::npos)
        << program.status() << text;
  }
  EXPECT_GT(compiled, 100u);
}

TEST(Expression, DocsShowTheFunctions) {
  std::ifstream file(FLETCH_SOURCE_DIR "/docs/expressions.md");
  std::stringstream page;
  page << file.rdbuf();
  const std::string text = page.str();
  for (const SqlFunction& function : SqlFunctions()) {
    const size_t at = text.find(StrCat("| `", function.name, "` | "));
    ASSERT_NE(at, std::string::npos) << function.name;
    EXPECT_THAT(text.substr(at, text.find('\n', at) - at),
                testing::EndsWith(StrCat(" | ", function.about, " |")));
  }
}

TEST(Expression, VersionNamesBoth) {
  EXPECT_THAT(ExpressionEngineVersion(), testing::MatchesRegex("sqlite 3\\.[0-9.]+, fletch 1"));
}

}  // namespace
}  // namespace fletch
