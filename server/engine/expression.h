// SPDX-License-Identifier: Apache-2.0
// Scalar SQL expressions (SQLite's dialect; semantics.md, On-demand features). Compiled once,
// evaluated over columns; one evaluation on every path.
#ifndef FLETCH_SERVER_ENGINE_EXPRESSION_H_
#define FLETCH_SERVER_ENGINE_EXPRESSION_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/call.h"
#include "storage/value.h"

namespace fletch {

// A name an expression may use. Arrays and vectors may stand here too; an expression that names one
// is refused.
struct ExpressionInput {
  std::string view;  // "airport_weather"; of the request's context "request"
  std::string name;  // "temperature_c"
  DataType type;
};

// One expression as declared. `type` is BOOL, INT64, DOUBLE or STRING.
struct ExpressionSpec {
  std::string name;
  std::string sql;
  DataType type;
};

// Expressions of one on-demand view. Immutable and thread-safe.
class ExpressionProgram {
 public:
  // Checks and compiles. INVALID_ARGUMENT (field path `path`[i].sql, with what stands at which
  // character and what would be right): not one scalar expression; an unknown name; a name that two
  // inputs share and that is not written view.name; a function that is not allowed (the message
  // lists those that are) or with a wrong number of arguments; operands or a result of the wrong
  // type. OUT_OF_RANGE: longer or deeper than limits.h allows.
  static absl::StatusOr<std::shared_ptr<const ExpressionProgram>> Compile(
      std::vector<ExpressionInput> inputs, std::vector<ExpressionSpec> specs,
      std::string_view path);
  virtual ~ExpressionProgram() = default;

  // Indices into Compile's inputs that some expression uses, ascending; with `wanted` (indices of
  // expressions), those that these use.
  virtual std::vector<size_t> UsedInputs(absl::Span<const size_t> wanted) const = 0;

  // The values of expressions `wanted`, a column each, row_count rows. `inputs`: one entry for each
  // of Compile's inputs; nullptr where UsedInputs does not name it. A column of one row stands for
  // all rows. A row whose status is not kPresent or that is in null_rows, and NaN, are NULL. A
  // result NULL, NaN or beyond its type, and integer overflow anywhere inside, are kNullValue; BOOL
  // is true for what is not 0. event_times stay empty. RESOURCE_EXHAUSTED: a row needs longer
  // texts or patterns than limits.h allows, naming expression and row; its steps are bounded by
  // the expression's size. About 0.1 to 0.3 µs a row and expression.
  virtual absl::StatusOr<std::vector<Column>> Evaluate(absl::Span<const Column* const> inputs,
                                                       absl::Span<const size_t> wanted,
                                                       size_t row_count,
                                                       const Call& call) const = 0;
};

// Changes whenever the same expression could give another answer: SQLite's version and ours.
// Training sets keep it.
std::string ExpressionEngineVersion();

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_EXPRESSION_H_
