// SPDX-License-Identifier: Apache-2.0
// Types of an SQL expression, so that SQLite never converts silently.
#ifndef FLETCH_SERVER_ENGINE_SQL_TYPES_H_
#define FLETCH_SERVER_ENGINE_SQL_TYPES_H_

#include <string_view>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "server/engine/expression.h"
#include "server/engine/sql_ast.h"

namespace fletch {

// Sets type and checked of `root`, parsed from `sql`, and of all below. INVALID_ARGUMENT as
// SqlError: operands of a wrong type, or a result that is not of `result` (BOOL and DOUBLE take
// numbers, INT64 INTEGER, STRING TEXT, all of them NULL).
absl::Status TypeSql(std::string_view sql, absl::Span<const ExpressionInput> inputs,
                     ValueType result, SqlNode& root);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_SQL_TYPES_H_
