// SPDX-License-Identifier: Apache-2.0
// What names in an expression stand for.
#ifndef FLETCH_SERVER_ENGINE_SQL_NAMES_H_
#define FLETCH_SERVER_ENGINE_SQL_NAMES_H_

#include <cstddef>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/engine/expression.h"
#include "server/engine/sql_ast.h"

namespace fletch {

// The index of the input `name`, or `view`.`name` when view is not empty. INVALID_ARGUMENT without
// a position: there is none, there are two, or it is no scalar.
absl::StatusOr<size_t> ResolveSqlName(absl::Span<const ExpressionInput> inputs,
                                      std::string_view view, std::string_view name);

// nullptr when CAST does not make `name`.
const SqlType* FindSqlCastType(std::string_view name);

// What SQLite sees of a column of `type`. REQUIRES: a scalar.
SqlType SqlTypeOf(const DataType& type);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_SQL_NAMES_H_
