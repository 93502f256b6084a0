// SPDX-License-Identifier: Apache-2.0
// Parser of SQLite's scalar expressions, with SQLite's precedence.
#ifndef FLETCH_SERVER_ENGINE_SQL_PARSER_H_
#define FLETCH_SERVER_ENGINE_SQL_PARSER_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/engine/expression.h"
#include "server/engine/sql_ast.h"

namespace fletch {

// The tree of `sql`, names resolved to indices into `inputs`. INVALID_ARGUMENT as SqlError;
// OUT_OF_RANGE: beyond limits::kMaxExpression….
absl::StatusOr<SqlNodePtr> ParseSql(std::string_view sql, absl::Span<const ExpressionInput> inputs);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_SQL_PARSER_H_
