// SPDX-License-Identifier: Apache-2.0
// Words of an SQL expression, as SQLite splits them.
#ifndef FLETCH_SERVER_ENGINE_SQL_LEXER_H_
#define FLETCH_SERVER_ENGINE_SQL_LEXER_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace fletch {

enum class SqlTokenKind : uint8_t {
  kEnd,
  kSymbol,   // text: "<=", with == as = and != as <>
  kKeyword,  // text: in capitals
  kName,     // text: without quotes
  kInteger,  // text: decimal digits, within INT64 or 9223372036854775808
  kReal,
  kText,  // text: with its quotes, as written
  kBlob,  // text: x'…'
};

struct SqlToken {
  SqlTokenKind kind;
  std::string text;
  size_t offset;  // of its first byte
  bool quoted = false;
};

// All tokens of `sql`, the last one kEnd. INVALID_ARGUMENT as SqlError says.
absl::StatusOr<std::vector<SqlToken>> LexSql(std::string_view sql);

// INVALID_ARGUMENT "character 12: <message>", counting characters from 1.
absl::Status SqlError(std::string_view sql, size_t offset, std::string_view message);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_SQL_LEXER_H_
