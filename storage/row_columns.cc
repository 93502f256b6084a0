// SPDX-License-Identifier: Apache-2.0
#include "storage/row_columns.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "base/limits.h"

namespace fletch {
namespace {

// Rows whose bytes stay in the cache while their fields are taken one after another.
constexpr size_t kRowsAtOnce = 256;

// A row of any layout, all zero, as far as fixed-width fields go. Windows have two fields an
// aggregation.
constexpr size_t kMostFields =
    std::max(limits::kMaxFieldsPerView, 2 * limits::kMaxAggregationsPerView);
constexpr char kBlank[kRowHeaderBytes + kMostFields / 8 + kMostFields * sizeof(uint64_t)] = {};

}  // namespace

// Reads one field after another of at most kRowsAtOnce rows. Rows that are not there, or were
// written with more or fewer fields than the layout's, are exceptions: their bases are zeros.
class RowColumns {
 public:
  RowColumns(const RowLayout& layout, absl::Span<const VisibleRow> rows)
      : layout_(layout), rows_(rows) {
    const uint32_t header = Header(layout);
    for (size_t i = 0; i < rows.size(); ++i) {
      bases_[i] = kBlank;
      uint32_t found = ~header;
      if (rows[i].status == CellStatus::kPresent) {
        std::memcpy(&found, rows[i].row.data(), sizeof(found));
      }
      if (found == header) {
        bases_[i] = rows[i].row.data();
      } else {
        exceptions_.push_back(i);
      }
    }
  }

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
    const size_t offset =
        kRowHeaderBytes + (layout_.field_count() + 7) / 8 + layout_.slots_[field].offset;
    const size_t null_byte = kRowHeaderBytes + field / 8;
    const size_t before = values->size();
    values->resize(before + rows_.size());
    T* const to = values->data() + before;
    char nulls = 0;
    for (size_t i = 0; i < rows_.size(); ++i) {
      std::memcpy(&to[i], bases_[i] + offset, sizeof(T));  // of a null it is zero
      nulls |= bases_[i][null_byte];
    }
    const char null_bit = static_cast<char>(1 << (field % 8));
    if ((nulls & null_bit) != 0) {
      CellStatus* const statuses = Statuses(out);
      for (size_t i = 0; i < rows_.size(); ++i) {
        if ((bases_[i][null_byte] & null_bit) != 0) statuses[i] = CellStatus::kNullValue;
      }
    }
    for (const size_t i : exceptions_) {
      if (rows_[i].status != CellStatus::kPresent) {
        Statuses(out)[i] = rows_[i].status;
      } else if (!ReadOther(rows_[i].row, field, &to[i])) {
        Statuses(out)[i] = CellStatus::kNullValue;
      }
    }
    Finish(out);
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
    const size_t row_count = out->row_count;
    for (size_t i = 0; i < rows_.size(); ++i) {
      CellStatus status = rows_[i].status;
      if (status == CellStatus::kPresent) {
        const RowView view(&layout_, rows_[i].row);
        view.AppendTo(field, out);
        if (view.is_null(field)) status = CellStatus::kNullValue;
      } else {
        AppendEmpty(out);
      }
      if (status == CellStatus::kPresent) continue;
      out->row_count = row_count;
      Statuses(out)[i] = status;
    }
    out->row_count = row_count;
    Finish(out);
  }

  // Those of the rows, of which out->row_count does not know yet.
  CellStatus* Statuses(Column* out) const {
    out->statuses.resize(out->row_count + rows_.size(), CellStatus::kPresent);
    return out->statuses.data() + out->row_count;
  }

  void Finish(Column* out) const {
    if (!out->statuses.empty()) Statuses(out);
    out->row_count += rows_.size();
  }

  const RowLayout& layout_;
  const absl::Span<const VisibleRow> rows_;
  const char* bases_[kRowsAtOnce];
  std::vector<size_t> exceptions_;
};

void AppendRows(const RowLayout& layout, absl::Span<const VisibleRow> rows,
                absl::Span<const FieldTarget> targets) {
  for (size_t begin = 0; begin < rows.size(); begin += kRowsAtOnce) {
    const RowColumns columns(layout, rows.subspan(begin, kRowsAtOnce));
    for (const FieldTarget& target : targets) columns.Append(target);
  }
}

}  // namespace fletch
