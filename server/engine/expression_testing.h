// SPDX-License-Identifier: Apache-2.0
// One expression on rows, for tests.
#ifndef FLETCH_SERVER_ENGINE_EXPRESSION_TESTING_H_
#define FLETCH_SERVER_ENGINE_EXPRESSION_TESTING_H_

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/strings.h"
#include "server/engine/expression.h"

namespace fletch {

// Named columns of one view "v".
struct ExpressionWorld {
  std::vector<ExpressionInput> inputs;
  std::vector<Column> columns;

  void Add(std::string name, Column column) {
    inputs.push_back({"v", std::move(name), column.type});
    columns.push_back(std::move(column));
  }
  std::vector<const Column*> Pointers() const {
    std::vector<const Column*> pointers;
    for (const Column& column : columns) pointers.push_back(&column);
    return pointers;
  }
};

// "NULL", "7", "2.5" (17 digits), "text", "true".
inline std::string ShowCell(const Column& column, size_t row) {
  if (!column.statuses.empty() && column.statuses[row] != CellStatus::kPresent) return "NULL";
  switch (column.type.type) {
    case ValueType::kBool:
      return column.bools[row] != 0 ? "true" : "false";
    case ValueType::kInt64:
      return std::to_string(column.int64s[row]);
    case ValueType::kDouble: {
      char text[40];
      std::snprintf(text, sizeof(text), "%.17g", column.doubles[row]);
      return text;
    }
    default:
      return column.strings[row];
  }
}

inline absl::StatusOr<std::shared_ptr<const ExpressionProgram>> CompileOne(
    const ExpressionWorld& world, std::string sql, ValueType type) {
  return ExpressionProgram::Compile(world.inputs, {{"e", std::move(sql), {type}}}, "expressions");
}

// The first row's value as ShowCell does, or "<code>: <message>".
inline std::string EvaluateOne(const ExpressionWorld& world, std::string sql, ValueType type) {
  const auto program = CompileOne(world, std::move(sql), type);
  if (!program.ok()) return program.status().ToString();
  const auto columns = (*program)->Evaluate(world.Pointers(), {0}, 1, Call{});
  if (!columns.ok()) return columns.status().ToString();
  return ShowCell((*columns)[0], 0);
}

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_EXPRESSION_TESTING_H_
