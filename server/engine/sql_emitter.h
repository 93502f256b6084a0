// SPDX-License-Identifier: Apache-2.0
// Writes the tree of an expression for SQLite. Only what the tree holds gets there, and what may
// overflow INT64 goes through the functions of sql_session.
#ifndef FLETCH_SERVER_ENGINE_SQL_EMITTER_H_
#define FLETCH_SERVER_ENGINE_SQL_EMITTER_H_

#include <cstddef>
#include <string>

#include "absl/types/span.h"
#include "server/engine/sql_ast.h"

namespace fletch {

// SQL of `root`, typed. `parameters`: by input, the N of its ?N. Overflows in it are told of
// `column`. AND, OR and BETWEEN evaluate all operands, so that an overflow is seen whatever the
// other operand is; CASE, coalesce, ifnull, iif and IN stop when they know.
std::string EmitSql(const SqlNode& root, absl::Span<const size_t> parameters, size_t column);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_SQL_EMITTER_H_
