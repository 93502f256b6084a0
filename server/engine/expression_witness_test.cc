// SPDX-License-Identifier: Apache-2.0
// The witness is SQLite itself, given the same text: precedence and every function.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "server/engine/expression_testing.h"
#include "server/engine/sql_functions.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

class Witness {
 public:
  Witness() { sqlite3_open(":memory:", &connection_); }
  ~Witness() { sqlite3_close(connection_); }
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;

  struct Answer {
    bool refused = false;
    int type = SQLITE_NULL;
    std::string text;  // as ShowCell
  };
  Answer Ask(const std::string& expression) {
    sqlite3_stmt* statement = nullptr;
    Answer answer;
    if (sqlite3_prepare_v2(connection_, ("SELECT " + expression).c_str(), -1, &statement,
                           nullptr) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
      answer.refused = true;
    } else {
      answer.type = sqlite3_column_type(statement, 0);
      answer.text = Show(statement, answer.type);
    }
    sqlite3_finalize(statement);
    return answer;
  }

 private:
  static std::string Show(sqlite3_stmt* statement, int type) {
    if (type == SQLITE_NULL) return "NULL";
    if (type == SQLITE_FLOAT) {
      return ShowCell(Column{.type = {ValueType::kDouble},
                             .row_count = 1,
                             .doubles = {sqlite3_column_double(statement, 0)}},
                      0);
    }
    return std::string(static_cast<const char*>(sqlite3_column_blob(statement, 0)),
                       static_cast<size_t>(sqlite3_column_bytes(statement, 0)));
  }
  sqlite3* connection_ = nullptr;
};

ValueType TypeFor(int sqlite_type) {
  if (sqlite_type == SQLITE_FLOAT) return ValueType::kDouble;
  return sqlite_type == SQLITE_TEXT ? ValueType::kString : ValueType::kInt64;
}

class Texts {
 public:
  explicit Texts(std::mt19937_64* random) : random_(*random) {}

  // Operands and operators without parentheses, so that precedence decides; now and then it is no
  // expression at all.
  std::string Unparenthesised() {
    std::string text = Operand();
    const size_t operators = 1 + random_() % 7;
    for (size_t i = 0; i < operators; ++i) text += Continue();
    return text;
  }

 private:
  template <size_t N>
  std::string One(const char* const (&of)[N]) {
    return of[random_() % N];
  }

  std::string Operand() {
    std::string text;
    while (random_() % 4 == 0) text += One({"NOT ", "- ", "+ ", "~ ", "-"});
    if (text.size() >= 2 && text.substr(text.size() - 2) == "--") text += " ";
    const uint64_t what = random_() % 12;
    if (what == 0) return text + "NULL";
    if (what == 1) return text + One({"TRUE", "FALSE"});
    if (what == 2) return text + "CASE " + Plain() + " WHEN " + Plain() + " THEN 7 ELSE 2 END";
    return text + Plain();
  }
  std::string Plain() { return std::to_string(random_() % 6); }

  std::string Continue() {
    switch (random_() % 8) {
      case 0:
        return One({" ISNULL", " NOTNULL", " NOT NULL", " IS NULL", " IS NOT NULL"});
      case 1:
        return One({" IN (", " NOT IN ("}) + Operand() + ", " + Plain() + ", 4)";
      case 2: {
        std::string text = One({" BETWEEN ", " NOT BETWEEN "}) + Operand();
        if (random_() % 4 == 0) text += Continue();
        return text + " AND " + Operand();
      }
      case 3:
        return One({" IS ", " IS NOT ", " IS DISTINCT FROM ", " IS NOT DISTINCT FROM "}) +
               Operand();
      default:
        return One({" OR ", " AND ", " = ", " == ", " <> ", " != ", " < ", " <= ", " > ",
                    " >= ", " & ", " | ", " << ", " >> ", " + ", " - ", " * ", " / ", " % "}) +
               Operand();
    }
  }

  std::mt19937_64& random_;
};

TEST(ExpressionWitness, PrecedenceIsThatOfSqlite) {
  std::mt19937_64 random = SeededRandom();
  Texts texts(&random);
  Witness witness;
  const ExpressionWorld world;
  size_t refused = 0;
  size_t nulls = 0;
  size_t deep = 0;
  constexpr size_t kCases = 8000;
  for (size_t i = 0; i < kCases; ++i) {
    std::string text = texts.Unparenthesised();
    // A comment for both, but not what is meant here.
    for (size_t at; (at = text.find("--")) != std::string::npos;) text.insert(at + 1, " ");
    const Witness::Answer expected = witness.Ask(text);
    const std::string answer = EvaluateOne(world, text, ValueType::kInt64);
    if (answer.find("levels deep") != std::string::npos) {
      ++deep;
      continue;
    }
    if (expected.refused) {
      ++refused;
      EXPECT_THAT(answer, testing::StartsWith("INVALID_ARGUMENT")) << text;
    } else {
      nulls += answer == "NULL" ? 1 : 0;
      EXPECT_EQ(answer, expected.text) << text;
    }
  }
  EXPECT_LT(refused, kCases / 4);
  EXPECT_LT(deep, kCases / 50);
  EXPECT_LT(nulls, kCases * 3 / 4);
}

// Values of one kind, written as SQL.
std::vector<std::string> Samples(char kind) {
  switch (static_cast<SqlArgument>(kind)) {
    case SqlArgument::kInteger:
      return {"0", "1", "-1", "2", "5", "-3", "300", "9223372036854775807", "NULL"};
    case SqlArgument::kText:
    case SqlArgument::kString:
      return {"''", "'a'", "'Aba'", "'  a b '", "'äÖ€😀'", "'ab''c'", "'a' || 'ba'", "NULL"};
    default:
      return {"0", "1", "-2", "0.5", "-0.5", "2.5", "1e300", "100", "-7.25", "NULL", "TRUE"};
  }
}

TEST(ExpressionWitness, EveryFunctionIsThatOfSqlite) {
  std::mt19937_64 random = SeededRandom();
  Witness witness;
  const ExpressionWorld world;
  for (const SqlFunction& function : SqlFunctions()) {
    size_t values = 0;
    for (size_t round = 0; round < 60; ++round) {
      const size_t most = std::min(function.max_arguments, size_t{5});
      const size_t count = function.min_arguments + random() % (most - function.min_arguments + 1);
      std::string text(function.name);
      text += "(";
      for (size_t i = 0; i < count; ++i) {
        const std::vector<std::string> samples =
            Samples(function.arguments[std::min(i, function.arguments.size() - 1)]);
        text += (i == 0 ? "" : ", ") + samples[random() % samples.size()];
      }
      text += ")";
      const Witness::Answer expected = witness.Ask(text);
      ASSERT_FALSE(expected.refused) << text;
      std::string answer = EvaluateOne(world, text, TypeFor(expected.type));
      // INT64 takes no NUMERIC, as a mix of INTEGER and REAL is.
      if (expected.type == SQLITE_INTEGER && answer.find("is NUMERIC") != std::string::npos) {
        answer = EvaluateOne(world, "CAST(" + text + " AS INTEGER)", ValueType::kInt64);
      }
      if (expected.type == SQLITE_NULL && answer.find("INT64 takes") != std::string::npos) {
        answer = EvaluateOne(world, "(" + text + ") IS NULL", ValueType::kBool);
        EXPECT_EQ(answer, "true") << text;
        continue;
      }
      values += expected.type == SQLITE_NULL ? 0 : 1;
      EXPECT_EQ(answer, expected.text) << text;
    }
    EXPECT_GT(values, 0u) << function.name;
  }
}

TEST(ExpressionWitness, TextsCastsAndPatterns) {
  Witness witness;
  const ExpressionWorld world;
  const std::vector<std::string> texts = {
      "'a' || 'b' || 3 || 2.5 || NULL",
      "1 || 2.0 || 1e100",
      "-5 || 'x'",
      "CAST(2 || 3 AS INTEGER) * 2",
      "-1 || '2' = '-12'",
      "'Abc' LIKE 'a_C'",
      "'Abc' NOT LIKE 'a%' OR 'x' LIKE NULL",
      "'50%' LIKE '50!%' ESCAPE '!'",
      "'50x' LIKE '50!%' ESCAPE '!'",
      "'abc' LIKE 'ABC' || '%'",
      "'Abc' GLOB 'A[a-c]*'",
      "'Abc' NOT GLOB 'a*'",
      "'b' IN ('a', 'b', 'c', 'd')",
      "'z' NOT IN ('a', 'b', 'c', NULL)",
      "NULL IN (1, 2, 3, 4)",
      "3 IN (1.0, 2.0, 3.0, 4)",
      "x'41' = x'41'",
      "hex(x'00ff')",
      "CAST(x'4142' AS TEXT)",
      "CAST('12abc' AS INTEGER)",
      "CAST(' -7.9e1x' AS REAL)",
      "CAST(' -7.9e1x' AS NUMERIC)",
      "CAST(-7.9 AS INTEGER)",
      "CAST(7 AS REAL)",
      "CAST(0.1 AS TEXT)",
      "CAST('9223372036854775807' AS INTEGER)",
      "CAST('-00009223372036854775808' AS INTEGER)",
      "length(CAST('äb' AS BLOB))",
      "7 / 2",
      "-7 / 2",
      "-7 % 4",
      "7 / 0",
      "7.0 / 0",
      "5 % 0",
      "0x1F + 1",
      "-9223372036854775808",
      "-9223372036854775808 % -1",
      ".5 + 1. + 1e0 /* a comment */ -- and one more",
      "CASE WHEN NULL THEN 1 WHEN 0 THEN 2 END",
      "CASE 2 WHEN 1 THEN 'a' WHEN 2 THEN 'b' ELSE 'c' END",
      "9007199254740993 = 9007199254740992.0",
      "(1 < 2) IS TRUE",
      "5 IS TRUE",
      "NULL IS NOT FALSE",
      "1e308 * 10",
      "1e308 * 10 - 1e308 * 10",
      "1 << 70",
      "-1 >> 1",
      "8 >> -2",
  };
  for (const std::string& text : texts) {
    const Witness::Answer expected = witness.Ask(text);
    ASSERT_FALSE(expected.refused) << text;
    std::string answer = EvaluateOne(world, text, TypeFor(expected.type));
    if (expected.type == SQLITE_NULL) {
      for (const ValueType type : {ValueType::kDouble, ValueType::kString}) {
        if (answer != "NULL") answer = EvaluateOne(world, text, type);
      }
    }
    if (answer.find("is NUMERIC") != std::string::npos) {
      answer = EvaluateOne(world, text, ValueType::kDouble);
    }
    EXPECT_EQ(answer, expected.text) << text;
  }
}

}  // namespace
}  // namespace fletch
