// SPDX-License-Identifier: Apache-2.0
#include "server/engine/online_reader.h"

#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "storage/entity_key.h"
#include "storage/row_codec.h"

namespace fletch {
namespace {

constexpr size_t kRowsBetweenChecks = 256;
constexpr size_t kMaxCachedPlans = 1024;  // distinct selections in use at once

void ReserveValues(size_t rows, Column* column) {
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

// Length-prefixed, so that two selections never share a key.
void AppendPart(std::string_view part, std::string* out) {
  out->append(std::to_string(part.size())).append(1, ':').append(part);
}

std::string CacheKey(const std::string& project, const Selection& selection) {
  std::string key;
  AppendPart(project, &key);
  AppendPart(selection.feature_service, &key);
  for (const std::string& ref : selection.features) AppendPart(ref, &key);
  for (const BindingSpec& binding : selection.bindings) {
    key += '|';
    AppendPart(binding.alias, &key);
    AppendPart(binding.feature_view, &key);
    for (const auto& [join_key, column] : binding.join_key_map) {
      AppendPart(join_key, &key);
      AppendPart(column, &key);
    }
  }
  return key;
}

}  // namespace

void AppendCell(const VisibleRow& cell, const RowView* row, size_t field, bool event_times,
                Column* column) {
  CellStatus status = cell.status;
  if (status == CellStatus::kPresent && row->is_null(field)) status = CellStatus::kNullValue;
  if (status == CellStatus::kPresent) {
    row->AppendTo(field, column);
  } else {
    AppendEmpty(column);
    column->statuses.resize(column->row_count - 1, CellStatus::kPresent);
    column->statuses.push_back(status);
  }
  if (status == CellStatus::kPresent && !column->statuses.empty())
    column->statuses.push_back(status);
  if (event_times) column->event_times.push_back(cell.event_time);
}

ColumnWriter::ColumnWriter(const FeaturePlan& plan, size_t row_count, bool event_times)
    : columns_(plan.columns.size()), event_times_(event_times) {
  for (size_t i = 0; i < columns_.size(); ++i) {
    columns_[i].type = plan.columns[i].type;
    ReserveValues(row_count, &columns_[i]);
    if (event_times) columns_[i].event_times.reserve(row_count);
  }
}

absl::Status ColumnWriter::Append(const PlanView& view, const VisibleRow& cell, bool trusted) {
  std::optional<RowView> row;
  if (cell.status == CellStatus::kPresent) {
    if (trusted) {
      row.emplace(&view.view->layout, cell.row);
    } else {
      ASSIGN_OR_RETURN(row, RowView::Parse(&view.view->layout, cell.row));
    }
  }
  for (const PlanField& field : view.fields) {
    AppendCell(cell, row ? &*row : nullptr, field.field, event_times_, &columns_[field.column]);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::vector<Column>>> ReadFeatures(const FeaturePlan& plan,
                                                                absl::Span<const NamedColumn> keys,
                                                                size_t row_count, bool event_times,
                                                                bool may_block, const Call& call,
                                                                Snapshot* snapshot) {
  ASSIGN_OR_RETURN(BoundKeys bound, BindKeys(plan, keys, row_count, "keys"));
  if (plan.reads_vectors && !may_block) return std::nullopt;
  ColumnWriter writer(plan, row_count, event_times);
  std::vector<std::string> entity_keys(row_count);
  for (size_t g = 0; g < plan.groups.size(); ++g) {
    const PlanGroup& group = plan.groups[g];
    for (size_t i = 0; i < row_count; ++i) {
      entity_keys[i].clear();
      AppendKey(bound.groups[g], i, &entity_keys[i]);
    }
    const auto records = snapshot->FindRecords(group.entity_id, entity_keys);
    for (size_t i = 0; i < row_count; ++i) {
      if (i % kRowsBetweenChecks == kRowsBetweenChecks - 1) RETURN_IF_ERROR(call.Check());
      for (const PlanView& view : group.views) {
        std::optional<VisibleRow> cell;
        if (!view.reads_vectors) cell = snapshot->FromMemory(*view.view, records[i]);
        const bool trusted = cell.has_value();
        if (!trusted) {
          if (!may_block) return std::nullopt;
          ASSIGN_OR_RETURN(cell, snapshot->FromFacts(*view.view, entity_keys[i]));
        }
        RETURN_IF_ERROR(writer.Append(view, *cell, trusted));
      }
    }
  }
  return writer.Finish();
}

absl::StatusOr<std::shared_ptr<const FeaturePlan>> PlanCache::Get(const CatalogSnapshot& catalog,
                                                                  const std::string& project,
                                                                  const Selection& selection) {
  const std::string key = CacheKey(project, selection);
  {
    MutexLock lock(&mu_);
    if (revision_ == catalog.revision()) {
      auto found = plans_.find(key);
      if (found != plans_.end()) return found->second;
    }
  }
  ASSIGN_OR_RETURN(std::shared_ptr<const FeaturePlan> plan,
                   MakeFeaturePlan(catalog, project, selection));
  MutexLock lock(&mu_);
  if (revision_ < catalog.revision() || plans_.size() >= kMaxCachedPlans) {
    plans_.clear();
    revision_ = catalog.revision();
  }
  if (revision_ == catalog.revision()) plans_[key] = plan;
  return plan;
}

}  // namespace fletch
