// SPDX-License-Identifier: Apache-2.0
#include "server/engine/expression.h"

#include <algorithm>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/sql_ast.h"
#include "server/engine/sql_emitter.h"
#include "server/engine/sql_parser.h"
#include "server/engine/sql_session.h"
#include "server/engine/sql_types.h"
#include "storage/text_check.h"

namespace fletch {
namespace {

constexpr size_t kRowsBetweenChecks = 256;
// Idle SQLite connections of one program, about 50 KB each: more threads than that open their own.
constexpr size_t kIdleSessions = 16;

struct Compiled {
  ExpressionSpec spec;
  SqlNodePtr root;
  std::vector<size_t> inputs = {};  // used ones, ascending
};

void CollectInputs(const SqlNode& node, std::vector<size_t>& inputs) {
  if (node.kind == SqlKind::kName) inputs.push_back(node.input);
  for (const SqlNodePtr& child : node.children) CollectInputs(*child, inputs);
}

void SortUnique(std::vector<size_t>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

// Gives one parameter its value row by row.
class Binder {
 public:
  Binder(const Column& column, size_t parameter)
      : column_(column), parameter_(parameter), broadcast_(column.row_count == 1) {}

  // REQUIRES: rows ascend.
  void Bind(SqlSession& session, size_t row) {
    if (broadcast_ && bound_) return;
    bound_ = true;
    if (broadcast_) row = 0;
    if (IsNull(row)) return session.BindNull(parameter_);
    switch (column_.type.type) {
      case ValueType::kBool:
        return session.BindInteger(parameter_, column_.bools[row] != 0 ? 1 : 0);
      case ValueType::kInt32:
        return session.BindInteger(parameter_, column_.int32s[row]);
      case ValueType::kInt64:
      case ValueType::kTimestamp:
        return session.BindInteger(parameter_, column_.int64s[row]);
      case ValueType::kFloat:
        return session.BindReal(parameter_, column_.floats[row]);
      case ValueType::kDouble:
        return session.BindReal(parameter_, column_.doubles[row]);
      case ValueType::kString:
      case ValueType::kJson:
        return session.BindText(parameter_, column_.strings[row]);
      case ValueType::kBytes:
      case ValueType::kFloatVector:
        break;
    }
    session.BindBlob(parameter_, column_.strings[row]);
  }

 private:
  bool IsNull(size_t row) {
    if (!column_.statuses.empty() && column_.statuses[row] != CellStatus::kPresent) return true;
    const std::vector<uint64_t>& nulls = column_.null_rows;
    while (next_null_ < nulls.size() && nulls[next_null_] < row) ++next_null_;
    return next_null_ < nulls.size() && nulls[next_null_] == row;
  }

  const Column& column_;
  const size_t parameter_;
  const bool broadcast_;
  bool bound_ = false;
  size_t next_null_ = 0;
};

Column EmptyResult(const DataType& type, size_t row_count) {
  Column column{.type = type, .row_count = row_count};
  switch (type.type) {
    case ValueType::kBool:
      column.bools.resize(row_count);
      break;
    case ValueType::kInt64:
      column.int64s.resize(row_count);
      break;
    case ValueType::kDouble:
      column.doubles.resize(row_count);
      break;
    default:
      column.strings.resize(row_count);
  }
  return column;
}

// False: there is no such value; the cell stays empty.
bool SetValue(SqlSession& session, size_t from, size_t row, Column& to) {
  const SqlSession::Type type = session.ColumnType(from);
  if (type == SqlSession::Type::kNull) return false;
  switch (to.type.type) {
    case ValueType::kBool:
      to.bools[row] = session.Real(from) != 0 ? 1 : 0;
      return true;
    case ValueType::kInt64:
      if (type != SqlSession::Type::kInteger) return false;
      to.int64s[row] = session.Integer(from);
      return true;
    case ValueType::kDouble:
      to.doubles[row] = session.Real(from);
      return true;
    default: {
      const std::string_view text = session.Text(from);
      if (type != SqlSession::Type::kText || !IsUtf8(text)) return false;
      to.strings[row] = text;
      return true;
    }
  }
}

class Program final : public ExpressionProgram {
 public:
  Program(std::vector<ExpressionInput> inputs, std::vector<Compiled> expressions)
      : inputs_(std::move(inputs)), expressions_(std::move(expressions)) {}

  std::vector<size_t> UsedInputs(absl::Span<const size_t> wanted) const override {
    std::vector<size_t> used;
    for (const size_t i : wanted) {
      used.insert(used.end(), expressions_[i].inputs.begin(), expressions_[i].inputs.end());
    }
    SortUnique(used);
    return used;
  }

  absl::StatusOr<std::vector<Column>> Evaluate(absl::Span<const Column* const> inputs,
                                               absl::Span<const size_t> wanted, size_t row_count,
                                               const Call& call) const override {
    std::vector<Column> results;
    results.reserve(wanted.size());
    for (const size_t i : wanted) {
      results.push_back(EmptyResult(expressions_[i].spec.type, row_count));
    }
    for (size_t first = 0; first < wanted.size(); first += kMaxSqlColumns) {
      const absl::Span<const size_t> group = wanted.subspan(first, kMaxSqlColumns);
      RETURN_IF_ERROR(EvaluateGroup(inputs, group, {0, row_count}, call,
                                    absl::MakeSpan(results).subspan(first, group.size())));
    }
    return results;
  }

  // Prepares every expression, so that no Evaluate finds that SQLite cannot. Returns the index of
  // the expression at fault too.
  std::pair<size_t, absl::Status> PrepareAll() const {
    for (size_t i = 0; i < expressions_.size(); ++i) {
      absl::StatusOr<std::unique_ptr<SqlSession>> session = Open({&i, 1});
      if (!session.ok()) return {i, session.status()};
    }
    return {0, absl::OkStatus()};
  }

 private:
  struct Rows {
    size_t begin;
    size_t end;
  };
  // A session of these expressions, in this order.
  struct Idle {
    std::vector<size_t> wanted;
    std::unique_ptr<SqlSession> session;
  };

  absl::StatusOr<std::unique_ptr<SqlSession>> Open(absl::Span<const size_t> wanted) const {
    const std::vector<size_t> used = UsedInputs(wanted);
    std::vector<size_t> parameters(inputs_.size());
    for (size_t i = 0; i < used.size(); ++i) parameters[used[i]] = i + 1;
    std::string columns;
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (i > 0) columns += ", ";
      columns += EmitSql(*expressions_[wanted[i]].root, parameters, i);
    }
    return SqlSession::Open(columns);
  }

  absl::StatusOr<std::unique_ptr<SqlSession>> CheckOut(absl::Span<const size_t> wanted) const {
    {
      MutexLock lock(&mu_);
      for (size_t i = idle_.size(); i-- > 0;) {
        if (absl::MakeConstSpan(idle_[i].wanted) != wanted) continue;
        std::unique_ptr<SqlSession> session = std::move(idle_[i].session);
        idle_.erase(idle_.begin() + static_cast<ptrdiff_t>(i));
        return session;
      }
    }
    return Open(wanted);
  }

  void GiveBack(absl::Span<const size_t> wanted, std::unique_ptr<SqlSession> session) const {
    std::unique_ptr<SqlSession> oldest;  // closed outside of the lock
    session->SetCall(nullptr);
    MutexLock lock(&mu_);
    if (idle_.size() == kIdleSessions) {
      oldest = std::move(idle_.front().session);
      idle_.erase(idle_.begin());
    }
    idle_.push_back({{wanted.begin(), wanted.end()}, std::move(session)});
  }

  absl::Status EvaluateGroup(absl::Span<const Column* const> inputs,
                             absl::Span<const size_t> wanted, Rows rows, const Call& call,
                             absl::Span<Column> results) const {
    RETURN_IF_ERROR(call.Check());
    ASSIGN_OR_RETURN(std::unique_ptr<SqlSession> session, CheckOut(wanted));
    session->SetCall(&call);
    const std::vector<size_t> used = UsedInputs(wanted);
    std::vector<Binder> binders;
    for (size_t i = 0; i < used.size(); ++i) binders.emplace_back(*inputs[used[i]], i + 1);
    absl::Status status;
    size_t row = rows.begin;
    for (; row < rows.end && status.ok(); ++row) {
      if ((row + 1) % kRowsBetweenChecks == 0) status = call.Check();
      if (status.ok()) status = EvaluateRow(*session, binders, row, results);
    }
    GiveBack(wanted, std::move(session));
    if (status.code() != absl::StatusCode::kResourceExhausted) return status;
    return Blame(inputs, wanted, row - 1, call, results, status);
  }

  static absl::Status EvaluateRow(SqlSession& session, std::vector<Binder>& binders, size_t row,
                                  absl::Span<Column> results) {
    for (Binder& binder : binders) binder.Bind(session, row);
    RETURN_IF_ERROR(session.Step());
    const uint64_t overflows = session.overflows();
    for (size_t i = 0; i < results.size(); ++i) {
      Column& result = results[i];
      if ((overflows >> i & 1) == 0 && SetValue(session, i, row, result)) continue;
      if (result.statuses.empty()) result.statuses.resize(result.row_count);
      result.statuses[row] = CellStatus::kNullValue;
    }
    session.EndRow();
    return absl::OkStatus();
  }

  // Says which of the expressions it was that failed at `row`: evaluates that row one by one.
  absl::Status Blame(absl::Span<const Column* const> inputs, absl::Span<const size_t> wanted,
                     size_t row, const Call& call, absl::Span<Column> results,
                     const absl::Status& status) const {
    if (wanted.size() > 1) {
      for (size_t i = 0; i < wanted.size(); ++i) {
        RETURN_IF_ERROR(EvaluateGroup(inputs, wanted.subspan(i, 1), {row, row + 1}, call,
                                      results.subspan(i, 1)));
      }
      return status;
    }
    return MakeError(status.code(), ErrorReason(status),
                     StrCat("expression ", expressions_[wanted[0]].spec.name, ", row ", row, ": ",
                            FromAbsl(status.message())));
  }

  const std::vector<ExpressionInput> inputs_;
  const std::vector<Compiled> expressions_;
  mutable Mutex mu_;
  mutable std::vector<Idle> idle_ ABSL_GUARDED_BY(mu_);  // oldest first
};

absl::Status CheckResultType(const DataType& type) {
  const bool fits =
      !type.array && (type.type == ValueType::kBool || type.type == ValueType::kInt64 ||
                      type.type == ValueType::kDouble || type.type == ValueType::kString);
  if (fits) return absl::OkStatus();
  return InvalidArgument(
      StrCat("an expression gives BOOL, INT64, DOUBLE or STRING, not ", DataTypeName(type)),
      "type");
}

absl::StatusOr<Compiled> CompileOne(absl::Span<const ExpressionInput> inputs, ExpressionSpec spec) {
  RETURN_IF_ERROR(CheckResultType(spec.type));
  absl::StatusOr<SqlNodePtr> root = ParseSql(spec.sql, inputs);
  if (!root.ok()) return PrefixField(root.status(), "sql");
  RETURN_IF_ERROR(PrefixField(TypeSql(spec.sql, inputs, spec.type.type, **root), "sql"));
  Compiled compiled{.spec = std::move(spec), .root = *std::move(root)};
  CollectInputs(*compiled.root, compiled.inputs);
  SortUnique(compiled.inputs);
  return compiled;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ExpressionProgram>> ExpressionProgram::Compile(
    std::vector<ExpressionInput> inputs, std::vector<ExpressionSpec> specs, std::string_view path) {
  std::vector<Compiled> expressions;
  const auto at = [&](size_t i) { return StrCat(path, "[", i, "]"); };
  for (size_t i = 0; i < specs.size(); ++i) {
    absl::StatusOr<Compiled> compiled = CompileOne(inputs, std::move(specs[i]));
    if (!compiled.ok()) return PrefixField(compiled.status(), at(i));
    expressions.push_back(*std::move(compiled));
  }
  auto program = std::make_shared<const Program>(std::move(inputs), std::move(expressions));
  const auto [index, status] = program->PrepareAll();
  if (!status.ok()) return PrefixField(PrefixField(status, "sql"), at(index));
  return program;
}

std::string ExpressionEngineVersion() { return StrCat("sqlite ", SqliteVersion(), ", fletch 1"); }

}  // namespace fletch
