// SPDX-License-Identifier: Apache-2.0
// Many rows of one view as columns, field after field: what every read answers with.
#ifndef FLETCH_STORAGE_ROW_COLUMNS_H_
#define FLETCH_STORAGE_ROW_COLUMNS_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/types/span.h"
#include "storage/row_codec.h"
#include "storage/value.h"

namespace fletch {

// What a view says of an entity (semantics.md's table, before a field's null).
struct VisibleRow {
  CellStatus status = CellStatus::kNotFound;  // kPresent: there is a row
  int64_t event_time = kUnsetTime;
  std::string_view row;  // kPresent: bytes that RowView::Parse took
};

// One field of the rows that goes to one column.
struct FieldTarget {
  size_t field = 0;
  Column* column = nullptr;  // of the field's type
};

// Appends rows.size() cells to each column: the value, or zero or empty and why in `statuses`,
// which stays empty while all are kPresent. Leaves null_rows and event_times alone. About 1 ns a
// fixed-width cell.
void AppendRows(const RowLayout& layout, absl::Span<const VisibleRow> rows,
                absl::Span<const FieldTarget> targets);

}  // namespace fletch

#endif  // FLETCH_STORAGE_ROW_COLUMNS_H_
