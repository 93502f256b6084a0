// SPDX-License-Identifier: Apache-2.0
#include "storage/row_columns.h"

#include <cstring>
#include <type_traits>
#include <vector>

namespace fletch {
namespace {

// Rows whose bytes stay in the cache while their fields are taken one after another.
constexpr size_t kRowsAtOnce = 256;

}  // namespace

// Reads one field of rows, most of which were written with all fields of the layout.
class RowColumns {
 public:
  RowColumns(const RowLayout& layout, absl::Span<const VisibleRow> rows)
      : layout_(layout), rows_(rows), header_(Header(layout)) {}

  void Append(const FieldTarget& target) const {
    const RowLayout::Slot& slot = layout_.slots_[target.field];
    Column* out = target.column;
    if (slot.variable) return AppendVariable(target.field, out);
    switch (slot.type) {
      case ValueType::kBool:
        return AppendFixed(target.field, &out->bools, out);
      case ValueType::kInt32:
        return AppendFixed(target.field, &out->int32s, out);
      case ValueType::kInt64:
      case ValueType::kTimestamp:
        return AppendFixed(target.field, &out->int64s, out);
      case ValueType::kFloat:
        return AppendFixed(target.field, &out->floats, out);
      default:
        return AppendFixed(target.field, &out->doubles, out);
    }
  }

 private:
  // The first bytes of a row with just the layout's fields.
  static uint32_t Header(const RowLayout& layout) {
    const uint16_t counts[2] = {static_cast<uint16_t>(layout.field_count()),
                                static_cast<uint16_t>(layout.fixed_bytes_.back())};
    uint32_t header;
    std::memcpy(&header, counts, sizeof(header));
    return header;
  }

  template <typename T>
  void AppendFixed(size_t field, std::vector<T>* values, Column* out) const {
    const size_t null_byte = kRowHeaderBytes + field / 8;
    const int null_bit = 1 << (field % 8);
    const size_t offset =
        kRowHeaderBytes + (layout_.field_count() + 7) / 8 + layout_.slots_[field].offset;
    const size_t before = values->size();
    values->resize(before + rows_.size());
    T* const to = values->data() + before;
    for (size_t i = 0; i < rows_.size(); ++i) {
      const VisibleRow& row = rows_[i];
      if (row.status != CellStatus::kPresent) {
        SetStatus(row.status, before + i, out);
        continue;
      }
      const char* const bytes = row.row.data();
      uint32_t header;
      std::memcpy(&header, bytes, sizeof(header));
      if (header != header_) {
        if (!ReadOther(row.row, field, &to[i])) {
          SetStatus(CellStatus::kNullValue, before + i, out);
        }
        continue;
      }
      std::memcpy(&to[i], bytes + offset, sizeof(T));  // of a null it is zero
      if ((bytes[null_byte] & null_bit) != 0) {
        SetStatus(CellStatus::kNullValue, before + i, out);
      }
    }
    out->row_count += rows_.size();
    FillStatuses(out);
  }

  // Of a row that was written with more or fewer fields; false: null.
  template <typename T>
  bool ReadOther(std::string_view bytes, size_t field, T* to) const {
    const RowView view(&layout_, bytes);
    if (view.is_null(field)) return false;
    if (view.IsStored(field)) {
      std::memcpy(to, view.fixed_ + layout_.slots_[field].offset, sizeof(T));
    } else {
      *to = ListOf<T>(view.Default(field))[0];
    }
    return true;
  }

  template <typename T>
  static const std::vector<T>& ListOf(const Column& column) {
    if constexpr (std::is_same_v<T, uint8_t>)
      return column.bools;
    else if constexpr (std::is_same_v<T, int32_t>)
      return column.int32s;
    else if constexpr (std::is_same_v<T, int64_t>)
      return column.int64s;
    else if constexpr (std::is_same_v<T, float>)
      return column.floats;
    else
      return column.doubles;
  }

  void AppendVariable(size_t field, Column* out) const {
    for (const VisibleRow& row : rows_) {
      const size_t at = out->row_count;
      if (row.status != CellStatus::kPresent) {
        AppendEmpty(out);
        SetStatus(row.status, at, out);
        continue;
      }
      const RowView view(&layout_, row.row);
      view.AppendTo(field, out);
      if (view.is_null(field)) SetStatus(CellStatus::kNullValue, at, out);
    }
    FillStatuses(out);
  }

  static void SetStatus(CellStatus status, size_t row, Column* out) {
    out->statuses.resize(row, CellStatus::kPresent);
    out->statuses.push_back(status);
  }

  static void FillStatuses(Column* out) {
    if (!out->statuses.empty()) out->statuses.resize(out->row_count, CellStatus::kPresent);
  }

  const RowLayout& layout_;
  const absl::Span<const VisibleRow> rows_;
  const uint32_t header_;
};

void AppendRows(const RowLayout& layout, absl::Span<const VisibleRow> rows,
                absl::Span<const FieldTarget> targets) {
  for (size_t begin = 0; begin < rows.size(); begin += kRowsAtOnce) {
    const RowColumns columns(layout, rows.subspan(begin, kRowsAtOnce));
    for (const FieldTarget& target : targets) columns.Append(target);
  }
}

}  // namespace fletch
