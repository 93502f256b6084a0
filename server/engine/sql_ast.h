// SPDX-License-Identifier: Apache-2.0
// The tree of one scalar SQL expression. sql_parser makes it, sql_types gives it types, sql_emitter
// writes it again for SQLite.
#ifndef FLETCH_SERVER_ENGINE_SQL_AST_H_
#define FLETCH_SERVER_ENGINE_SQL_AST_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace fletch {

// What a value can be. kNumeric: INTEGER or REAL, known only when evaluated. kNull: always NULL.
enum class SqlType : uint8_t { kNull, kInteger, kReal, kNumeric, kText, kBlob };

// "INTEGER".
const char* SqlTypeName(SqlType type);
// INTEGER, REAL, NUMERIC or NULL.
inline bool IsNumber(SqlType type) { return type <= SqlType::kNumeric; }

enum class SqlKind : uint8_t {
  kLiteral,  // text: as SQLite reads it; type
  kBoolean,  // text: TRUE or FALSE; 1 or 0
  kName,     // input
  kUnary,    // text: "-", "+", "~" or "NOT"
  kBinary,   // text: the operator ("=", "<>", "IS", "IS NOT", "AND", "||" …)
  kIsNull,   // negated
  kBetween,  // value, low, high; negated
  kIn,       // value, then the list; negated
  kMatch,    // text: "like" or "glob"; value, pattern and perhaps the escape; negated
  kCase,     // [base,] (when, then)…, [else]
  kCast,     // text and type: what it becomes
  kCall,     // text: the function's name; function
};

struct SqlFunction;

struct SqlNode {
  SqlKind kind;
  size_t offset;  // of the byte where messages point
  std::string text = {};
  std::vector<std::unique_ptr<SqlNode>> children = {};
  bool negated = false;
  bool has_base = false;  // kCase
  bool has_else = false;  // kCase
  size_t input = 0;       // kName
  const SqlFunction* function = nullptr;

  // Levels of nesting. A chain of one operator, or of + - * /, is one level.
  size_t depth = 1;
  // kBinary: operators of the chain that ends here; its left operand continues it when above 1.
  size_t chain = 1;

  // Set by sql_types.
  SqlType type = SqlType::kNull;
  // An operation that may overflow INT64 is in it, itself or below.
  bool checked = false;
};

using SqlNodePtr = std::unique_ptr<SqlNode>;

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_SQL_AST_H_
