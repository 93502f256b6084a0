// SPDX-License-Identifier: Apache-2.0
#include "server/engine/row_merge.h"

#include "base/status.h"

namespace fletch {

absl::StatusOr<std::string> MergeRow(const RowLayout& layout, const std::vector<bool>& given,
                                     std::string_view patch, std::string_view base) {
  ASSIGN_OR_RETURN(const RowView patch_row, RowView::Parse(&layout, patch));
  ASSIGN_OR_RETURN(const RowView base_row, RowView::Parse(&layout, base));
  std::vector<Column> columns(layout.field_count());
  std::vector<const Column*> fields;
  for (size_t field = 0; field < columns.size(); ++field) {
    const RowView& from = field < given.size() && given[field] ? patch_row : base_row;
    columns[field].type = layout.type(field);
    from.AppendTo(field, &columns[field]);
    if (from.is_null(field)) columns[field].null_rows.push_back(0);
    fields.push_back(&columns[field]);
  }
  return RowEncoder(&layout, std::move(fields)).Encode(0);
}

}  // namespace fletch
