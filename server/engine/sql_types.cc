// SPDX-License-Identifier: Apache-2.0
#include "server/engine/sql_types.h"

#include <algorithm>
#include <optional>
#include <string>

#include "base/status.h"
#include "base/strings.h"
#include "server/engine/sql_functions.h"
#include "server/engine/sql_lexer.h"
#include "server/engine/sql_names.h"

namespace fletch {
namespace {

// What both can be; nothing when they cannot be compared.
std::optional<SqlType> Join(SqlType a, SqlType b) {
  if (a == b || b == SqlType::kNull) return a;
  if (a == SqlType::kNull) return b;
  if (IsNumber(a) && IsNumber(b)) return SqlType::kNumeric;
  return std::nullopt;
}

bool IsInteger(SqlType type) { return type == SqlType::kInteger || type == SqlType::kNull; }
bool IsText(SqlType type) { return type == SqlType::kText || type == SqlType::kNull; }

std::string_view ToNumber(SqlType type) {
  return type == SqlType::kText ? "; CAST(… AS REAL) or CAST(… AS INTEGER) reads a number" : "";
}
std::string_view ToInteger(SqlType type) {
  return IsNumber(type) ? "; CAST(… AS INTEGER) cuts the fraction off" : ToNumber(type);
}
std::string_view ToText(SqlType type) { return "; CAST(… AS TEXT) makes a text"; }

// What an operand must be.
struct Want {
  bool (*fits)(SqlType);
  std::string_view what;
  std::string_view (*how)(SqlType);
};
constexpr Want kNumbers = {IsNumber, "numbers", ToNumber};
constexpr Want kIntegers = {IsInteger, "INTEGER", ToInteger};
constexpr Want kTexts = {IsText, "TEXT", ToText};

class Typer {
 public:
  Typer(std::string_view sql, absl::Span<const ExpressionInput> inputs)
      : sql_(sql), inputs_(inputs) {}

  absl::Status Run(SqlNode& node) {
    for (const SqlNodePtr& child : node.children) {
      RETURN_IF_ERROR(Run(*child));
      node.checked |= child->checked;
    }
    switch (node.kind) {
      case SqlKind::kLiteral:
        return absl::OkStatus();
      case SqlKind::kBoolean:
      case SqlKind::kIsNull:
        return Becomes(node, SqlType::kInteger);
      case SqlKind::kName:
        return Becomes(node, SqlTypeOf(inputs_[node.input].type));
      case SqlKind::kUnary:
        return Unary(node);
      case SqlKind::kBinary:
        return Binary(node);
      case SqlKind::kBetween:
        RETURN_IF_ERROR(Comparable(node, "BETWEEN", 0, 1));
        RETURN_IF_ERROR(Comparable(node, "BETWEEN", 0, 2));
        return Becomes(node, SqlType::kInteger);
      case SqlKind::kIn:
        for (size_t i = 1; i < node.children.size(); ++i) {
          RETURN_IF_ERROR(Comparable(node, "IN", 0, i));
        }
        return Becomes(node, SqlType::kInteger);
      case SqlKind::kMatch:
        for (const SqlNodePtr& child : node.children) {
          RETURN_IF_ERROR(Takes(node.text == "like" ? "LIKE" : "GLOB", kTexts, *child));
        }
        return Becomes(node, SqlType::kInteger);
      case SqlKind::kCase:
        return Case(node);
      case SqlKind::kCast:
        return Cast(node);
      case SqlKind::kCall:
        return Call(node);
    }
    return absl::OkStatus();
  }

 private:
  static absl::Status Becomes(SqlNode& node, SqlType type) {
    node.type = type;
    return absl::OkStatus();
  }

  absl::Status Takes(std::string_view who, const Want& want, const SqlNode& operand) const {
    if (want.fits(operand.type)) return absl::OkStatus();
    return SqlError(sql_, operand.offset,
                    StrCat(who, " takes ", want.what, ", and this is ", SqlTypeName(operand.type),
                           want.how(operand.type)));
  }

  absl::Status Comparable(const SqlNode& node, std::string_view who, size_t a, size_t b) const {
    const SqlNode& right = *node.children[b];
    const SqlType left = node.children[a]->type;
    if (Join(left, right.type).has_value()) return absl::OkStatus();
    return SqlError(sql_, right.offset,
                    StrCat(who, " compares ", SqlTypeName(left), " with ", SqlTypeName(right.type),
                           " here, which are never equal; CAST(… AS ",
                           IsNumber(left) ? "REAL" : SqlTypeName(left), ") converts"));
  }

  absl::Status Unary(SqlNode& node) const {
    const SqlNode& operand = *node.children[0];
    if (node.text == "~") {
      RETURN_IF_ERROR(Takes("~", kIntegers, operand));
      return Becomes(node, SqlType::kInteger);
    }
    RETURN_IF_ERROR(Takes(node.text, kNumbers, operand));
    if (node.text == "NOT") return Becomes(node, SqlType::kInteger);
    if (node.text == "-" && operand.type != SqlType::kReal) node.checked = true;
    return Becomes(node, operand.type);
  }

  absl::Status Binary(SqlNode& node) const {
    const std::string& op = node.text;
    const SqlType left = node.children[0]->type;
    const SqlType right = node.children[1]->type;
    const auto both = [&](const Want& want) -> absl::Status {
      RETURN_IF_ERROR(Takes(op, want, *node.children[0]));
      return Takes(op, want, *node.children[1]);
    };
    if (op == "+" || op == "-" || op == "*" || op == "/") {
      RETURN_IF_ERROR(both(kNumbers));
      const bool real = left == SqlType::kReal || right == SqlType::kReal;
      if (!real) node.checked = true;
      return Becomes(node, real ? SqlType::kReal : *Join(left, right));
    }
    if (op == "%") {
      constexpr Want kWhole = {IsInteger, "INTEGER", [](SqlType type) -> std::string_view {
                                 return IsNumber(type) ? "; mod(…, …) takes REAL" : ToNumber(type);
                               }};
      RETURN_IF_ERROR(both(kWhole));
      return Becomes(node, SqlType::kInteger);
    }
    if (op == "<<" || op == ">>" || op == "&" || op == "|") {
      RETURN_IF_ERROR(both(kIntegers));
      return Becomes(node, SqlType::kInteger);
    }
    if (op == "||") {
      constexpr Want kNoBlob = {[](SqlType type) { return type != SqlType::kBlob; },
                                "TEXT or numbers", ToText};
      RETURN_IF_ERROR(both(kNoBlob));
      return Becomes(node, SqlType::kText);
    }
    if (op == "AND" || op == "OR") {
      RETURN_IF_ERROR(both(kNumbers));
    } else {
      RETURN_IF_ERROR(Comparable(node, op, 0, 1));
    }
    return Becomes(node, SqlType::kInteger);
  }

  // Gives `joined` what it and `value` have in common.
  absl::StatusOr<SqlType> Joined(std::string_view who, SqlType joined, const SqlNode& value) const {
    const std::optional<SqlType> both = Join(joined, value.type);
    if (both.has_value()) return *both;
    return SqlError(
        sql_, value.offset,
        StrCat("the values of ", who, " are numbers, TEXT or BLOB, all alike; this is ",
               SqlTypeName(value.type), ", and before it stands ", SqlTypeName(joined)));
  }

  absl::Status Case(SqlNode& node) const {
    SqlType result = SqlType::kNull;
    const size_t pairs_end = node.children.size() - (node.has_else ? 1 : 0);
    for (size_t i = node.has_base ? 1 : 0; i < pairs_end; i += 2) {
      if (node.has_base) {
        RETURN_IF_ERROR(Comparable(node, "CASE", 0, i));
      } else {
        RETURN_IF_ERROR(Takes("WHEN", kNumbers, *node.children[i]));
      }
      ASSIGN_OR_RETURN(result, Joined("CASE", result, *node.children[i + 1]));
    }
    if (node.has_else) {
      ASSIGN_OR_RETURN(result, Joined("CASE", result, *node.children.back()));
    }
    return Becomes(node, result);
  }

  absl::Status Cast(SqlNode& node) const {
    const SqlNode& operand = *node.children[0];
    const bool from_blob = operand.type == SqlType::kBlob;
    const bool to_number = IsNumber(node.type);
    if ((from_blob && to_number) ||
        (node.type == SqlType::kBlob && IsNumber(operand.type) && operand.type != SqlType::kNull)) {
      return SqlError(sql_, operand.offset,
                      StrCat("CAST makes no ", SqlTypeName(node.type), " of ",
                             SqlTypeName(operand.type), "; CAST it to TEXT first"));
    }
    // SQLite leaves what is a number as it is.
    if (node.type == SqlType::kNumeric && IsNumber(operand.type)) node.type = operand.type;
    if (node.type == SqlType::kInteger && operand.type != SqlType::kInteger) node.checked = true;
    return absl::OkStatus();
  }

  absl::Status Call(SqlNode& node) const {
    const SqlFunction& function = *node.function;
    SqlType joined = SqlType::kNull;
    for (size_t i = 0; i < node.children.size(); ++i) {
      const SqlNode& argument = *node.children[i];
      switch (static_cast<SqlArgument>(
          function.arguments[std::min(i, function.arguments.size() - 1)])) {
        case SqlArgument::kNumber:
          RETURN_IF_ERROR(Takes(function.name, kNumbers, argument));
          break;
        case SqlArgument::kInteger:
          RETURN_IF_ERROR(Takes(function.name, kIntegers, argument));
          break;
        case SqlArgument::kText:
          RETURN_IF_ERROR(Takes(function.name, kTexts, argument));
          break;
        case SqlArgument::kString: {
          constexpr Want kStrings = {
              [](SqlType type) { return type == SqlType::kNull || !IsNumber(type); },
              "TEXT or BLOB", ToText};
          RETURN_IF_ERROR(Takes(function.name, kStrings, argument));
          ASSIGN_OR_RETURN(joined, Joined(function.name, joined, argument));
          break;
        }
        case SqlArgument::kAlike: {
          ASSIGN_OR_RETURN(joined, Joined(function.name, joined, argument));
          break;
        }
        case SqlArgument::kAny:
          break;
      }
    }
    if (function.name == "abs" && node.children[0]->type != SqlType::kReal) node.checked = true;
    return Becomes(node, Result(node, joined));
  }

  static SqlType Result(const SqlNode& node, SqlType joined) {
    switch (node.function->result) {
      case SqlResult::kInteger:
        return SqlType::kInteger;
      case SqlResult::kReal:
        return SqlType::kReal;
      case SqlResult::kText:
        return SqlType::kText;
      case SqlResult::kFirst:
        return node.children[0]->type;
      case SqlResult::kJoined:
        break;
    }
    return joined;
  }

  const std::string_view sql_;
  const absl::Span<const ExpressionInput> inputs_;
};

absl::Status CheckResult(std::string_view sql, ValueType result, const SqlNode& root) {
  const SqlType type = root.type;
  std::string_view what = "a number";
  std::string_view how = "; compare it with something";
  bool fits = IsNumber(type);
  if (result == ValueType::kInt64) {
    fits = IsInteger(type);
    what = "INTEGER";
    how = ToInteger(type);
  } else if (result == ValueType::kString) {
    fits = IsText(type);
    what = "TEXT";
    how = ToText(type);
  } else if (result == ValueType::kDouble) {
    how = ToNumber(type);
  }
  if (fits) return absl::OkStatus();
  return SqlError(sql, root.offset,
                  StrCat("the result is ", SqlTypeName(type), ", and ", ValueTypeName(result),
                         " takes ", what, how));
}

}  // namespace

absl::Status TypeSql(std::string_view sql, absl::Span<const ExpressionInput> inputs,
                     ValueType result, SqlNode& root) {
  RETURN_IF_ERROR(Typer(sql, inputs).Run(root));
  return CheckResult(sql, result, root);
}

}  // namespace fletch
