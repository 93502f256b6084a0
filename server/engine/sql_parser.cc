// SPDX-License-Identifier: Apache-2.0
#include "server/engine/sql_parser.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/sql_functions.h"
#include "server/engine/sql_lexer.h"
#include "server/engine/sql_names.h"

namespace fletch {
namespace {

// How strongly operators bind (SQLite's parse.y); NOT and the signs stand in front.
constexpr int kAnything = 1;
constexpr int kOr = 1;
constexpr int kAnd = 2;
constexpr int kNot = 3;
constexpr int kEqual = 4;  // = <> IS IN LIKE GLOB BETWEEN ISNULL NOTNULL
constexpr int kSign = 12;

struct Infix {
  std::string_view text;
  int strength;
};
constexpr Infix kInfixes[] = {{"OR", kOr}, {"AND", kAnd}, {"=", kEqual}, {"<>", kEqual}, {"<", 5},
                              {"<=", 5},   {">", 5},      {">=", 5},     {"&", 7},       {"|", 7},
                              {"<<", 7},   {">>", 7},     {"+", 8},      {"-", 8},       {"*", 9},
                              {"/", 9},    {"%", 9},      {"||", 10}};
constexpr std::string_view kTests[] = {"IS", "ISNULL", "NOTNULL", "BETWEEN", "IN", "LIKE", "GLOB"};

// SQLite's parser keeps 100 words open, so a longer call is not made of one chain.
constexpr size_t kMaxChain = 100;

bool IsArithmetic(std::string_view op) { return op == "+" || op == "-" || op == "*" || op == "/"; }

class Parser {
 public:
  Parser(std::string_view sql, absl::Span<const ExpressionInput> inputs,
         std::vector<SqlToken> tokens)
      : sql_(sql), inputs_(inputs), tokens_(std::move(tokens)) {}

  absl::StatusOr<SqlNodePtr> Run() {
    if (Peek().kind == SqlTokenKind::kEnd) return Error("an expression is missing");
    ASSIGN_OR_RETURN(SqlNodePtr root, Expression(kAnything));
    if (Peek().kind == SqlTokenKind::kEnd) return root;
    return Error(
        StrCat("an operator or the end of the expression should stand here, not ", Here(), Hint()));
  }

 private:
  const SqlToken& Peek(size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  bool Is(std::string_view text, size_t ahead = 0) const {
    const SqlToken& token = Peek(ahead);
    return (token.kind == SqlTokenKind::kKeyword || token.kind == SqlTokenKind::kSymbol) &&
           token.text == text;
  }
  bool Take(std::string_view text) {
    if (!Is(text)) return false;
    ++at_;
    return true;
  }
  std::string Here() const {
    return Peek().kind == SqlTokenKind::kEnd ? "the end" : StrCat("'", Peek().text, "'");
  }
  std::string Hint() const {
    if (Is("COLLATE")) return "; collations are not allowed, lower() makes letters alike";
    if (Is("MATCH") || Is("REGEXP")) return "; LIKE and GLOB compare with patterns";
    if (Is("->") || Is("->>")) return "; JSON is text to an expression";
    if (Is("SELECT") || Is("EXISTS") || Is("VALUES") || Is("WITH")) {
      return "; an expression is one scalar without subqueries";
    }
    return "";
  }
  absl::Status Error(std::string_view message) const {
    return SqlError(sql_, Peek().offset, message);
  }
  absl::Status Expect(std::string_view text, std::string_view where) {
    if (Take(text)) return absl::OkStatus();
    return Error(StrCat(text, " should stand here ", where, ", not ", Here(), Hint()));
  }

  // Every node passes here, with its children in place.
  absl::StatusOr<SqlNodePtr> Finish(SqlNodePtr node, size_t extra_depth = 0) {
    if (++nodes_ > limits::kMaxExpressionNodes) {
      return OutOfRange(StrCat("the expression has more than ", limits::kMaxExpressionNodes,
                               " operators, names and values"));
    }
    if (node->kind == SqlKind::kBinary) {
      const SqlNode& left = *node->children[0];
      const bool same =
          left.kind == SqlKind::kBinary &&
          (left.text == node->text || (IsArithmetic(left.text) && IsArithmetic(node->text)));
      if (same && left.chain < kMaxChain) node->chain = left.chain + 1;
    }
    size_t first = 0;
    if (node->chain > 1) {
      node->depth = node->children[0]->depth;
      first = 1;
    }
    for (size_t i = first; i < node->children.size(); ++i) {
      node->depth = std::max(node->depth, node->children[i]->depth + 1 + extra_depth);
    }
    if (node->depth > limits::kMaxExpressionDepth) return TooDeep();
    return node;
  }
  static absl::Status TooDeep() {
    return OutOfRange(
        StrCat("the expression is nested more than ", limits::kMaxExpressionDepth, " levels deep"));
  }

  // Children must be finished.
  template <typename... Children>
  absl::StatusOr<SqlNodePtr> Make(SqlKind kind, size_t offset, std::string_view text, bool negated,
                                  Children... children) {
    auto node = std::make_unique<SqlNode>(SqlNode{.kind = kind, .offset = offset});
    node->text = text;
    node->negated = negated;
    (node->children.push_back(std::move(children)), ...);
    return Finish(std::move(node));
  }

  // The longest expression from here whose operators bind at least as strongly as `strength`.
  absl::StatusOr<SqlNodePtr> Expression(int strength) {
    if (open_ == limits::kMaxExpressionParentheses) return TooDeep();
    ++open_;
    ASSIGN_OR_RETURN(SqlNodePtr left, Prefix());
    while (true) {
      const size_t offset = Peek().offset;
      const int next = Strength();
      if (next < strength) break;
      if (next == kEqual && !Is("=") && !Is("<>")) {
        ASSIGN_OR_RETURN(left, Test(std::move(left)));
        continue;
      }
      const std::string op = tokens_[at_++].text;
      ASSIGN_OR_RETURN(SqlNodePtr right, Expression(next + 1));
      ASSIGN_OR_RETURN(
          left, Make(SqlKind::kBinary, offset, op, false, std::move(left), std::move(right)));
    }
    --open_;
    return left;
  }

  // Of the infix operator that stands here; 0: none does.
  int Strength() const {
    const size_t skip = Is("NOT") ? 1 : 0;
    if (skip == 1 && Is("NULL", 1)) return kEqual;
    for (const std::string_view test : kTests) {
      if (Is(test, skip)) return kEqual;
    }
    if (skip == 1) return 0;
    for (const Infix& infix : kInfixes) {
      if (Is(infix.text)) return infix.strength;
    }
    return 0;
  }

  // [NOT] IN, BETWEEN, LIKE, GLOB, NULL; ISNULL, NOTNULL, IS.
  absl::StatusOr<SqlNodePtr> Test(SqlNodePtr value) {
    const size_t offset = Peek().offset;
    if (Take("ISNULL")) return Make(SqlKind::kIsNull, offset, "", false, std::move(value));
    if (Take("NOTNULL")) return Make(SqlKind::kIsNull, offset, "", true, std::move(value));
    if (Take("IS")) return Identity(std::move(value), offset);
    const bool negated = Take("NOT");
    if (Take("NULL")) return Make(SqlKind::kIsNull, offset, "", true, std::move(value));
    if (Take("BETWEEN")) {
      ASSIGN_OR_RETURN(SqlNodePtr low, Expression(kNot));
      RETURN_IF_ERROR(Expect("AND", "after BETWEEN and a value"));
      ASSIGN_OR_RETURN(SqlNodePtr high, Expression(kEqual + 1));
      return Make(SqlKind::kBetween, offset, "", negated, std::move(value), std::move(low),
                  std::move(high));
    }
    if (Take("IN")) {
      auto node = std::make_unique<SqlNode>(SqlNode{.kind = SqlKind::kIn, .offset = offset});
      node->negated = negated;
      node->children.push_back(std::move(value));
      RETURN_IF_ERROR(Expect("(", "after IN, with a list of values"));
      RETURN_IF_ERROR(List(*node));
      return Finish(std::move(node));
    }
    return Match(std::move(value), offset, negated);
  }

  absl::StatusOr<SqlNodePtr> Identity(SqlNodePtr value, size_t offset) {
    bool negated = Take("NOT");
    if (Take("DISTINCT")) {
      RETURN_IF_ERROR(Expect("FROM", "after IS DISTINCT"));
      negated = !negated;
    }
    ASSIGN_OR_RETURN(SqlNodePtr right, Expression(kEqual + 1));
    return Make(SqlKind::kBinary, offset, negated ? "IS NOT" : "IS", false, std::move(value),
                std::move(right));
  }

  absl::StatusOr<SqlNodePtr> Match(SqlNodePtr value, size_t offset, bool negated) {
    auto node = std::make_unique<SqlNode>(SqlNode{.kind = SqlKind::kMatch, .offset = offset});
    node->text = Is("LIKE") ? "like" : "glob";
    node->negated = negated;
    ++at_;
    node->children.push_back(std::move(value));
    ASSIGN_OR_RETURN(SqlNodePtr pattern, Expression(kEqual + 1));
    node->children.push_back(std::move(pattern));
    if (Is("ESCAPE") && node->text == "like") {
      ++at_;
      ASSIGN_OR_RETURN(SqlNodePtr escape, Expression(kEqual + 1));
      // SQLite looks at the escape when it evaluates; we know before.
      if (escape->kind != SqlKind::kLiteral || escape->type != SqlType::kText ||
          !IsOneCharacter(escape->text)) {
        return SqlError(sql_, escape->offset, "ESCAPE takes one character, as in ESCAPE '!'");
      }
      node->children.push_back(std::move(escape));
    }
    return Finish(std::move(node), 1);
  }

  // Of a text in its quotes.
  static bool IsOneCharacter(std::string_view quoted) {
    if (quoted == "''''") return true;
    const std::string_view inside = quoted.substr(1, quoted.size() - 2);
    return inside != "''" && std::count_if(inside.begin(), inside.end(),
                                           [](char c) { return (c & 0xC0) != 0x80; }) == 1;
  }

  // Values up to the closing parenthesis, at least one.
  absl::Status List(SqlNode& node) {
    do {
      ASSIGN_OR_RETURN(SqlNodePtr item, Expression(kAnything));
      node.children.push_back(std::move(item));
    } while (Take(","));
    return Expect(")", "after a list of values");
  }

  absl::StatusOr<SqlNodePtr> Prefix() {
    const size_t offset = Peek().offset;
    if (Take("NOT")) {
      ASSIGN_OR_RETURN(SqlNodePtr operand, Expression(kNot));
      return Make(SqlKind::kUnary, offset, "NOT", false, std::move(operand));
    }
    if (Is("-") && Peek(1).kind == SqlTokenKind::kInteger) {
      at_ += 2;
      return Literal(offset, SqlType::kInteger, StrCat("-", tokens_[at_ - 1].text));
    }
    if (Is("-") || Is("+") || Is("~")) {
      const std::string op = tokens_[at_++].text;
      ASSIGN_OR_RETURN(SqlNodePtr operand, Expression(kSign));
      return Make(SqlKind::kUnary, offset, op, false, std::move(operand));
    }
    return Primary();
  }

  absl::StatusOr<SqlNodePtr> Literal(size_t offset, SqlType type, std::string text) {
    auto node = std::make_unique<SqlNode>(SqlNode{.kind = SqlKind::kLiteral, .offset = offset});
    node->type = type;
    node->text = std::move(text);
    return Finish(std::move(node));
  }

  absl::StatusOr<SqlNodePtr> Primary() {
    const SqlToken& token = Peek();
    switch (token.kind) {
      case SqlTokenKind::kInteger:
        if (token.text == "9223372036854775808") {
          return Error("this number does not fit INT64; 9223372036854775808.0 is a REAL");
        }
        ++at_;
        return Literal(token.offset, SqlType::kInteger, token.text);
      case SqlTokenKind::kReal:
        ++at_;
        return Literal(token.offset, SqlType::kReal, token.text);
      case SqlTokenKind::kText:
        ++at_;
        return Literal(token.offset, SqlType::kText, token.text);
      case SqlTokenKind::kBlob:
        ++at_;
        return Literal(token.offset, SqlType::kBlob, token.text);
      case SqlTokenKind::kName:
        return Is("(", 1) && !token.quoted ? Call() : Name();
      default:
        break;
    }
    if (Take("NULL")) return Literal(token.offset, SqlType::kNull, "NULL");
    if (Is("TRUE") || Is("FALSE")) {
      ++at_;
      return Make(SqlKind::kBoolean, token.offset, token.text, false);
    }
    if (Take("CASE")) return Case(token.offset);
    if (Take("CAST")) return Cast(token.offset);
    if (Take("(")) {
      ASSIGN_OR_RETURN(SqlNodePtr inner, Expression(kAnything));
      if (Is(",")) return Error("a list of values stands only after IN; here it should be one");
      RETURN_IF_ERROR(Expect(")", "to close a parenthesis"));
      return inner;
    }
    return Error(StrCat("a name, a value or ( should stand here, not ", Here(), Hint()));
  }

  absl::StatusOr<SqlNodePtr> Case(size_t offset) {
    auto node = std::make_unique<SqlNode>(SqlNode{.kind = SqlKind::kCase, .offset = offset});
    const auto add = [&]() -> absl::Status {
      ASSIGN_OR_RETURN(SqlNodePtr child, Expression(kAnything));
      node->children.push_back(std::move(child));
      return absl::OkStatus();
    };
    node->has_base = !Is("WHEN");
    if (node->has_base) RETURN_IF_ERROR(add());
    if (!Is("WHEN")) return Error(StrCat("CASE should go on with WHEN here, not ", Here()));
    while (Take("WHEN")) {
      RETURN_IF_ERROR(add());
      RETURN_IF_ERROR(Expect("THEN", "after WHEN and a condition"));
      RETURN_IF_ERROR(add());
    }
    node->has_else = Take("ELSE");
    if (node->has_else) RETURN_IF_ERROR(add());
    RETURN_IF_ERROR(Expect("END", "to close a CASE"));
    return Finish(std::move(node));
  }

  absl::StatusOr<SqlNodePtr> Cast(size_t offset) {
    RETURN_IF_ERROR(Expect("(", "after CAST"));
    ASSIGN_OR_RETURN(SqlNodePtr value, Expression(kAnything));
    RETURN_IF_ERROR(Expect("AS", "in CAST(… AS …)"));
    const SqlType* const type =
        Peek().kind == SqlTokenKind::kName ? FindSqlCastType(Peek().text) : nullptr;
    if (type == nullptr) {
      return Error(StrCat(Here(), " is no type; CAST makes INTEGER, REAL, NUMERIC, TEXT or BLOB"));
    }
    ++at_;
    RETURN_IF_ERROR(Expect(")", "to close CAST"));
    auto node = std::make_unique<SqlNode>(SqlNode{.kind = SqlKind::kCast, .offset = offset});
    node->type = *type;
    node->text = SqlTypeName(*type);
    node->children.push_back(std::move(value));
    return Finish(std::move(node));
  }

  absl::StatusOr<SqlNodePtr> Name() {
    const size_t offset = Peek().offset;
    std::string view;
    std::string name = tokens_[at_++].text;
    if (Take(".")) {
      if (Peek().kind != SqlTokenKind::kName) {
        return Error(StrCat("a field's name should stand after the point, not ", Here()));
      }
      view = std::move(name);
      name = tokens_[at_++].text;
    }
    absl::StatusOr<size_t> input = ResolveSqlName(inputs_, view, name);
    if (!input.ok()) return SqlError(sql_, offset, FromAbsl(input.status().message()));
    auto node = std::make_unique<SqlNode>(SqlNode{.kind = SqlKind::kName, .offset = offset});
    node->input = *input;
    return Finish(std::move(node));
  }

  absl::StatusOr<SqlNodePtr> Call() {
    auto node = std::make_unique<SqlNode>(SqlNode{.kind = SqlKind::kCall, .offset = Peek().offset});
    node->function = FindSqlFunction(Peek().text);
    if (node->function == nullptr) {
      return Error(StrCat("the function ", Peek().text, " is not allowed; allowed are ",
                          SqlFunctionNames()));
    }
    node->text = node->function->name;
    at_ += 2;
    if (!Take(")")) RETURN_IF_ERROR(List(*node));
    const auto& [name, arguments, least, most, result, about, needle] = *node->function;
    if (node->children.size() < least || node->children.size() > most) {
      return SqlError(
          sql_, node->offset,
          StrCat(name, " takes ", least, least == most ? "" : StrCat(" to ", most), " argument",
                 most == 1 ? "" : "s", ", not ", node->children.size(),
                 node->children.size() == 1 && least == 2 && (name == "min" || name == "max")
                     ? "; aggregates over rows are not allowed"
                     : ""));
    }
    return Finish(std::move(node), needle == 0 ? 0 : 1);
  }

  const std::string_view sql_;
  const absl::Span<const ExpressionInput> inputs_;
  const std::vector<SqlToken> tokens_;
  size_t at_ = 0;
  size_t nodes_ = 0;
  size_t open_ = 0;
};

}  // namespace

absl::StatusOr<SqlNodePtr> ParseSql(std::string_view sql,
                                    absl::Span<const ExpressionInput> inputs) {
  if (sql.size() > limits::kMaxExpressionBytes) {
    return OutOfRange(StrCat("the expression is ", sql.size(), " bytes long, more than ",
                             limits::kMaxExpressionBytes));
  }
  ASSIGN_OR_RETURN(std::vector<SqlToken> tokens, LexSql(sql));
  return Parser(sql, inputs, std::move(tokens)).Run();
}

}  // namespace fletch
