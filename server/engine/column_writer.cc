// SPDX-License-Identifier: Apache-2.0
#include "server/engine/column_writer.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/status.h"

namespace fletch {
namespace {

void ReserveValues(size_t rows, Column* column) {
  if (column->type.array) return column->lengths.reserve(rows);
  switch (column->type.type) {
    case ValueType::kBool:
      return column->bools.reserve(rows);
    case ValueType::kInt32:
      return column->int32s.reserve(rows);
    case ValueType::kInt64:
    case ValueType::kTimestamp:
      return column->int64s.reserve(rows);
    case ValueType::kFloat:
      return column->floats.reserve(rows);
    case ValueType::kDouble:
      return column->doubles.reserve(rows);
    case ValueType::kFloatVector:
      return column->floats.reserve(rows * column->type.dimension);
    case ValueType::kString:
    case ValueType::kBytes:
    case ValueType::kJson:
      return column->strings.reserve(rows);
  }
}

// Of the scalars that expressions yield.
void Blank(absl::Span<const size_t> rows, CellStatus status, Column* column) {
  column->statuses.resize(column->row_count, CellStatus::kPresent);
  for (const size_t row : rows) {
    column->statuses[row] = status;
    if (!column->bools.empty()) column->bools[row] = 0;
    if (!column->int64s.empty()) column->int64s[row] = 0;
    if (!column->doubles.empty()) column->doubles[row] = 0;
    if (!column->strings.empty()) column->strings[row].clear();
  }
}

std::shared_ptr<const std::vector<int64_t>> Share(std::vector<int64_t>&& times) {
  return std::make_shared<const std::vector<int64_t>>(std::move(times));
}

}  // namespace

ColumnWriter::ColumnWriter(const FeaturePlan& plan, size_t row_count, bool event_times)
    : plan_(plan),
      row_count_(row_count),
      event_times_(event_times),
      columns_(plan.columns.size() + plan.hidden.size()) {
  for (size_t i = 0; i < columns_.size(); ++i) {
    const size_t asked = plan.columns.size();
    columns_[i].type = i < asked ? plan.columns[i].type : plan.hidden[i - asked].type;
  }
  for (const PlanGroup& group : plan.groups) {
    for (const PlanView& view : group.views) {
      for (const PlanField& field : view.fields) {
        ReserveValues(row_count, &columns_[field.column]);
      }
    }
  }
  if (!event_times) return;
  window_times_.resize(columns_.size());
  for (const PlanGroup& group : plan.groups) view_times_.emplace_back(group.views.size());
}

void ColumnWriter::Append(size_t group, size_t view, absl::Span<const VisibleRow> rows) {
  const PlanView& plan = plan_.groups[group].views[view];
  std::vector<FieldTarget> targets;
  targets.reserve(plan.fields.size());
  for (const PlanField& field : plan.fields) {
    targets.push_back({field.field, &columns_[field.column]});
  }
  AppendRows(plan.layout(), rows, targets);
  if (!event_times_) return;
  if (plan.windows != nullptr) return AppendWindowTimes(plan, rows);
  std::vector<int64_t>& times = view_times_[group][view];
  times.reserve(row_count_);
  for (const VisibleRow& row : rows) times.push_back(row.event_time);
}

void ColumnWriter::AppendWindowTimes(const PlanView& view, absl::Span<const VisibleRow> rows) {
  const size_t aggregations = view.windows->aggregations.size();
  for (const PlanField& field : view.fields) {
    Column times{.type = {ValueType::kTimestamp}};
    const FieldTarget target{aggregations + field.field, &times};
    AppendRows(view.layout(), rows, {&target, 1});
    std::vector<int64_t>& out = window_times_[field.column];
    out.reserve(row_count_);
    for (size_t i = 0; i < rows.size(); ++i) {
      const bool set = times.statuses.empty() || times.statuses[i] == CellStatus::kPresent;
      out.push_back(set ? times.int64s[i] : kUnsetTime);
    }
  }
}

absl::StatusOr<std::vector<Column>> ColumnWriter::Finish(const BoundContext& context,
                                                         const Call& call) {
  for (const PlanExpressions& expressions : plan_.expressions) {
    RETURN_IF_ERROR(Evaluate(expressions, context, call));
  }
  columns_.resize(plan_.columns.size());
  if (event_times_) AttachEventTimes();
  return std::move(columns_);
}

absl::Status ColumnWriter::Evaluate(const PlanExpressions& expressions, const BoundContext& context,
                                    const Call& call) {
  std::vector<const Column*> inputs(expressions.input_columns.size(), nullptr);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (expressions.input_columns[i] != PlanExpressions::kUnused) {
      inputs[i] = &columns_[expressions.input_columns[i]];
    } else if (expressions.input_slots[i] != PlanExpressions::kUnused) {
      inputs[i] = context.columns[expressions.input_slots[i]];
    }
  }
  ASSIGN_OR_RETURN(std::vector<Column> values, expressions.view->program->Evaluate(
                                                   inputs, expressions.wanted, row_count_, call));
  for (size_t i = 0; i < values.size(); ++i) {
    MarkOutOfRetention(expressions, expressions.wanted[i], &values[i]);
    columns_[expressions.fields[i].column] = std::move(values[i]);
  }
  return absl::OkStatus();
}

// What an expression says of a row whose input is not kept any more would be a guess.
void ColumnWriter::MarkOutOfRetention(const PlanExpressions& expressions, size_t expression,
                                      Column* out) const {
  const auto used = expressions.view->program->UsedInputs({&expression, 1});
  std::vector<size_t> rows;
  for (const size_t input : used) {
    const size_t column = expressions.input_columns[input];
    if (column == PlanExpressions::kUnused) continue;
    const std::vector<CellStatus>& statuses = columns_[column].statuses;
    for (size_t row = 0; row < statuses.size(); ++row) {
      if (statuses[row] == CellStatus::kOutOfRetention) rows.push_back(row);
    }
  }
  if (rows.empty()) return;
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  Blank(rows, CellStatus::kOutOfRetention, out);
}

void ColumnWriter::AttachEventTimes() {
  for (size_t g = 0; g < plan_.groups.size(); ++g) {
    for (size_t v = 0; v < plan_.groups[g].views.size(); ++v) {
      const PlanView& view = plan_.groups[g].views[v];
      const auto shared = view.windows == nullptr ? Share(std::move(view_times_[g][v])) : nullptr;
      for (const PlanField& field : view.fields) {
        if (field.column >= columns_.size()) continue;
        columns_[field.column].event_times =
            shared != nullptr ? shared : Share(std::move(window_times_[field.column]));
      }
    }
  }
  if (plan_.expressions.empty()) return;
  const auto unset = Share(std::vector<int64_t>(row_count_, kUnsetTime));
  for (const PlanExpressions& expressions : plan_.expressions) {
    for (const PlanField& field : expressions.fields) columns_[field.column].event_times = unset;
  }
}

}  // namespace fletch
