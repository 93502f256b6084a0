// SPDX-License-Identifier: Apache-2.0
// Random typed expressions over random columns, compared with a plain walk of the same tree.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "server/engine/expression_testing.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

// NULL, INTEGER or REAL.
struct Value {
  bool null = true;
  bool real = false;
  int64_t whole = 0;
  double number = 0;
};
Value Whole(int64_t whole) {
  return {.null = false, .whole = whole, .number = static_cast<double>(whole)};
}
Value Real(double number) {
  if (std::isnan(number)) return {};
  return {.null = false, .real = true, .number = number};
}

// -1, 0, 1, exactly, of an INTEGER with a REAL too. 64-bit long doubles hold every INT64.
int Compare(const Value& a, const Value& b) {
  const auto exact = [](const Value& v) {
    return v.real ? static_cast<long double>(v.number) : static_cast<long double>(v.whole);
  };
  return exact(a) < exact(b) ? -1 : exact(a) > exact(b) ? 1 : 0;
}

struct Tree {
  std::string op;  // of an input its name, of a literal its text
  std::vector<Tree> children = {};
  size_t input = 0;
  Value literal = {};
};

using Row = std::vector<Value>;

class Walker {
 public:
  explicit Walker(const Row* row) : row_(*row) {}
  bool overflow() const { return overflow_; }

  Value Walk(const Tree& tree) {
    const std::string& op = tree.op;
    const auto child = [&](size_t i) { return Walk(tree.children[i]); };
    if (op == "input") return row_[tree.input];
    if (op == "literal") return tree.literal;
    if (op == "CASE") {
      if (Truth(child(0)) == 1) return child(1);
      return child(2);
    }
    if (op == "coalesce") {
      const Value first = child(0);
      return first.null ? child(1) : first;
    }
    if (op == "IN") return In(tree);
    if (op == "AND" || op == "OR") return Logic(op == "AND" ? 0 : 1, child(0), child(1));
    if (op == "BETWEEN") {
      const Value value = child(0);
      const Value low = child(1);
      const Value high = child(2);
      return Logic(0, Comparison(">=", value, low), Comparison("<=", value, high));
    }
    const Value a = child(0);
    if (op == "NOT") return Truth(a) < 0 ? Value{} : Whole(Truth(a) == 1 ? 0 : 1);
    if (op == "IS NULL") return Whole(a.null ? 1 : 0);
    if (op == "negative" || op == "abs") return Sign(op == "abs", a);
    if (op == "INTEGER" || op == "REAL") return Cast(op, a);
    const Value b = child(1);
    if (op == "min" || op == "max") {
      if (a.null || b.null) return {};
      const int order = Compare(a, b);
      return (op == "min" ? order < 0 : order >= 0) ? a : b;
    }
    if (op == "%" || op == "&" || op == "|") return Integers(op, a, b);
    if (op == "+" || op == "-" || op == "*" || op == "/") return Arithmetic(op[0], a, b);
    return Comparison(op, a, b);
  }

 private:
  // -1: NULL.
  static int Truth(const Value& value) { return value.null ? -1 : value.number != 0 ? 1 : 0; }

  static Value Logic(int decides, const Value& a, const Value& b) {
    if (Truth(a) == decides || Truth(b) == decides) return Whole(decides);
    if (a.null || b.null) return {};
    return Whole(1 - decides);
  }

  Value In(const Tree& tree) {
    const Value value = Walk(tree.children[0]);
    bool null = value.null;
    for (size_t i = 1; i < tree.children.size(); ++i) {
      const Value item = Walk(tree.children[i]);
      if (item.null) null = true;
      if (!item.null && !value.null && Compare(value, item) == 0) return Whole(1);
    }
    return null ? Value{} : Whole(0);
  }

  Value Sign(bool absolute, const Value& a) {
    if (a.null) return {};
    if (a.real && absolute) return a.number < 0 ? Real(-a.number) : a;  // -0.0 stays
    if (a.real) return Real(0 - a.number);
    if (absolute && a.whole >= 0) return a;
    if (a.whole == std::numeric_limits<int64_t>::min()) return Overflow();
    return Whole(-a.whole);
  }

  Value Cast(const std::string& to, const Value& a) {
    if (a.null) return {};
    if (to == "REAL") return Real(a.number);
    if (!a.real) return a;
    if (!(a.number >= -0x1p63 && a.number < 0x1p63)) return Overflow();
    return Whole(static_cast<int64_t>(a.number));
  }

  static Value Integers(const std::string& op, const Value& a, const Value& b) {
    if (a.null || b.null) return {};
    if (op == "&") return Whole(a.whole & b.whole);
    if (op == "|") return Whole(a.whole | b.whole);
    if (b.whole == 0) return {};
    return Whole(b.whole == -1 ? 0 : a.whole % b.whole);
  }

  Value Arithmetic(char op, const Value& a, const Value& b) {
    if (a.null || b.null) return {};
    if (!a.real && !b.real) {
      if (op == '/' && b.whole == 0) return {};
      const __int128 x = a.whole;
      const __int128 y = b.whole;
      const __int128 result = op == '+' ? x + y : op == '-' ? x - y : op == '*' ? x * y : x / y;
      if (result != static_cast<int64_t>(result)) return Overflow();
      return Whole(static_cast<int64_t>(result));
    }
    const double x = a.number;
    const double y = b.number;
    if (op == '/') return y == 0 ? Value{} : Real(x / y);
    return Real(op == '+' ? x + y : op == '-' ? x - y : x * y);
  }

  static Value Comparison(const std::string& op, const Value& a, const Value& b) {
    if (op == "IS") {
      return Whole(a.null || b.null ? (a.null && b.null) : Compare(a, b) == 0);
    }
    if (a.null || b.null) return {};
    const int order = Compare(a, b);
    return Whole(op == "="    ? order == 0
                 : op == "<>" ? order != 0
                 : op == "<"  ? order < 0
                 : op == "<=" ? order <= 0
                 : op == ">"  ? order > 0
                              : order >= 0);
  }

  Value Overflow() {
    overflow_ = true;
    return {};
  }

  const Row& row_;
  bool overflow_ = false;
};

struct NamedInput {
  const char* name;
  bool real;
};
constexpr std::array<NamedInput, 6> kInputs = {
    {{"i", false}, {"j", false}, {"b", false}, {"r", true}, {"q", true}, {"once", false}}};

class Grower {
 public:
  explicit Grower(std::mt19937_64* random) : random_(*random) {}

  // `whole`: an INTEGER, else any number.
  Tree Grow(size_t depth, bool whole) {
    if (depth == 0 || random_() % 8 == 0) return Leaf(whole);
    const auto any = [&] { return Grow(depth - 1, false); };
    const auto same = [&] { return Grow(depth - 1, whole); };
    switch (random_() % 12) {
      case 0:
        return {One({"AND", "OR"}), {any(), any()}};
      case 1:
        return {"NOT", {any()}};
      case 2:
        return {One({"=", "<>", "<", "<=", ">", ">=", "IS"}), {any(), any()}};
      case 3:
        return {"CASE", {any(), same(), same()}};
      case 4:
        return {"coalesce", {same(), same()}};
      case 5: {
        Tree in{"IN", {any()}};
        for (size_t n = 1 + random_() % 5; n > 0; --n) {
          in.children.push_back(random_() % 2 == 0 ? Leaf(false) : any());
        }
        return in;
      }
      case 6:
        return {"BETWEEN", {any(), any(), any()}};
      case 7:
        return {"IS NULL", {any()}};
      case 8:
        return {One({"negative", "abs"}), {same()}};
      case 9:
        if (whole) return {"INTEGER", {any()}};
        return {"REAL", {any()}};
      case 10:
        if (whole) return {One({"%", "&", "|"}), {same(), same()}};
        return {One({"min", "max"}), {any(), any()}};
      default: {
        Tree chain = same();
        for (size_t n = 1 + random_() % 6; n > 0; --n) {
          chain = {One({"+", "-", "*", "/"}), {std::move(chain), same()}};
        }
        return chain;
      }
    }
  }

  std::string Write(const Tree& tree) {
    const auto child = [&](size_t i) { return Write(tree.children[i]); };
    const std::string& op = tree.op;
    if (op == "input") return kInputs[tree.input].name;
    if (op == "literal") return Literal(tree.literal);
    if (op == "CASE")
      return "CASE WHEN " + child(0) + " THEN " + child(1) + " ELSE " + child(2) + " END";
    if (op == "IS NULL") return "(" + child(0) + " IS NULL)";
    if (op == "BETWEEN") return "(" + child(0) + " BETWEEN " + child(1) + " AND " + child(2) + ")";
    if (op == "NOT") return "(NOT " + child(0) + ")";
    if (op == "negative") return "(- (" + child(0) + "))";
    if (op == "INTEGER" || op == "REAL") return "CAST(" + child(0) + " AS " + op + ")";
    if (op == "abs") return "abs(" + child(0) + ")";
    if (op == "coalesce" || op == "min" || op == "max") {
      return op + "(" + child(0) + ", " + child(1) + ")";
    }
    if (op == "IN") {
      std::string list;
      for (size_t i = 1; i < tree.children.size(); ++i) list += (i == 1 ? "" : ", ") + child(i);
      return "(" + child(0) + " IN (" + list + "))";
    }
    return "(" + child(0) + " " + op + " " + child(1) + ")";
  }

 private:
  template <size_t N>
  std::string One(const char* const (&of)[N]) {
    return of[random_() % N];
  }

  Tree Leaf(bool whole) {
    if (random_() % 3 == 0) {
      constexpr int64_t kLiterals[] = {
          0, 1, -1, 2, 7, std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()};
      if (random_() % 12 == 0) return {.op = "literal"};
      if (whole || random_() % 2 == 0) {
        return {.op = "literal", .literal = Whole(kLiterals[random_() % 7])};
      }
      return {.op = "literal", .literal = Real(static_cast<double>(random_() % 9) - 2.5)};
    }
    while (true) {
      const size_t input = random_() % kInputs.size();
      if (!whole || !kInputs[input].real) return {.op = "input", .input = input};
    }
  }

  static std::string Literal(const Value& value) {
    if (value.null) return "NULL";
    return value.real ? std::to_string(value.number) : std::to_string(value.whole);
  }

  std::mt19937_64& random_;
};

// Rows with nulls of every kind, and the values the walker sees of them.
struct Data {
  ExpressionWorld world;
  std::vector<Row> rows;
};

Data RandomData(std::mt19937_64& random, size_t row_count) {
  Data data{.world = {}, .rows = std::vector<Row>(row_count, Row(kInputs.size()))};
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  constexpr int64_t kWholes[] = {0, 1, -1, 2, 3, 5, -7, 100, kMost, -kMost - 1, kMost - 1, 1 << 30};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const double reals[] = {0, -0.0, 0.5, -1, 2, 3, 1e18, -1e19, 1e308, nan, infinity, 9.3e18};
  constexpr ValueType kTypes[] = {ValueType::kInt64,  ValueType::kTimestamp, ValueType::kBool,
                                  ValueType::kDouble, ValueType::kFloat,     ValueType::kInt32};
  for (size_t c = 0; c < kInputs.size(); ++c) {
    const bool once = c == 5;  // one row for all
    Column column{.type = {kTypes[c]}, .row_count = once ? 1 : row_count};
    for (size_t row = 0; row < column.row_count; ++row) {
      Value value;
      const int64_t whole = kWholes[random() % 12];
      const double real = reals[random() % 12];
      if (c == 0 || c == 1) {
        column.int64s.push_back(whole);
        value = Whole(whole);
      } else if (c == 2) {
        column.bools.push_back(whole & 1);
        value = Whole(whole & 1);
      } else if (c == 3) {
        column.doubles.push_back(real);
        value = Real(real);
      } else if (c == 4) {
        column.floats.push_back(static_cast<float>(real));
        value = Real(static_cast<float>(real));
      } else {
        column.int32s.push_back(static_cast<int32_t>(whole % 1000));
        value = Whole(whole % 1000);
      }
      const bool by_status = c % 2 == 0;
      const bool null = random() % 5 == 0;
      if (by_status)
        column.statuses.push_back(null ? CellStatus::kOutsideMaxAge : CellStatus::kPresent);
      if (null && !by_status) column.null_rows.push_back(row);
      if (null) value = {};
      for (size_t r = once ? 0 : row; r < (once ? row_count : row + 1); ++r)
        data.rows[r][c] = value;
    }
    data.world.Add(kInputs[c].name, std::move(column));
  }
  return data;
}

std::string Expected(const Tree& tree, ValueType type, const Row& row) {
  Walker walker(&row);
  const Value value = walker.Walk(tree);
  if (walker.overflow() || value.null) return "NULL";
  Column column{.type = {type}, .row_count = 1};
  column.bools = {static_cast<uint8_t>(value.number != 0)};
  column.int64s = {value.whole};
  column.doubles = {value.number};
  return ShowCell(column, 0);
}

TEST(ExpressionProperty, EqualsAPlainWalk) {
  std::mt19937_64 random = SeededRandom();
  Grower grower(&random);
  constexpr size_t kRows = 40;
  size_t present = 0;
  size_t overflows = 0;
  size_t cells = 0;
  for (size_t round = 0; round < 150; ++round) {
    const Data data = RandomData(random, kRows);
    std::vector<Tree> trees;
    std::vector<ExpressionSpec> specs;
    for (size_t i = 0; i < 1 + random() % 9; ++i) {
      constexpr ValueType kTypes[] = {ValueType::kInt64, ValueType::kDouble, ValueType::kBool};
      const ValueType type = kTypes[random() % 3];
      trees.push_back(grower.Grow(1 + random() % 4, type == ValueType::kInt64));
      specs.push_back({"e" + std::to_string(i), grower.Write(trees.back()), {type}});
    }
    const auto program = ExpressionProgram::Compile(data.world.inputs, specs, "e");
    ASSERT_TRUE(program.ok()) << program.status();
    std::vector<size_t> wanted;
    for (size_t i = 0; i < trees.size(); ++i) {
      if (round % 2 == 0 || random() % 2 == 0) wanted.push_back(i);
    }
    std::vector<const Column*> inputs(kInputs.size());  // nothing but what is said to be used
    for (const size_t i : (*program)->UsedInputs(wanted)) inputs[i] = &data.world.columns[i];
    const auto columns = (*program)->Evaluate(inputs, wanted, kRows, Call{});
    ASSERT_TRUE(columns.ok()) << columns.status();
    for (size_t w = 0; w < wanted.size(); ++w) {
      for (size_t row = 0; row < kRows; ++row) {
        const Tree& tree = trees[wanted[w]];
        const std::string answer = ShowCell((*columns)[w], row);
        ASSERT_EQ(answer, Expected(tree, specs[wanted[w]].type.type, data.rows[row]))
            << specs[wanted[w]].sql << " row " << row;
        Walker walker(&data.rows[row]);
        walker.Walk(tree);
        overflows += walker.overflow() ? 1 : 0;
        present += answer != "NULL" ? 1 : 0;
        ++cells;
      }
    }
  }
  EXPECT_GT(present, cells / 4);
  EXPECT_GT(overflows, cells / 100);
}

}  // namespace
}  // namespace fletch
