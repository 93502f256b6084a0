// SPDX-License-Identifier: Apache-2.0
// One row of a view as bytes (FORMAT.md, Row):
//   u16 n, the number of fields it was written with; u16 f, the bytes of the fixed part; null bits,
//   ceil(n/8) bytes, bit i of byte i/8 set: field i is null; fixed part, field after field: BOOL 1
//   byte, INT32 and FLOAT 4, INT64, DOUBLE and TIMESTAMP 8, all others u32, the end of the field's
//   bytes in the variable part; variable part. Little-endian. A null field's fixed bytes are zero
//   (the others': the end of the field before).
//   Arrays in the variable part: fixed-width elements packed; STRING and BYTES elements each as u32
//   length, bytes. Vectors: 4·d bytes.
#ifndef FLETCH_STORAGE_ROW_CODEC_H_
#define FLETCH_STORAGE_ROW_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/schema.h"
#include "storage/value.h"

namespace fletch {

// Where a view's fields lie. Immutable, thread-safe.
class RowLayout {
 public:
  explicit RowLayout(const std::vector<FieldSchema>& fields);

  size_t field_count() const { return fields_.size(); }
  const DataType& type(size_t field) const { return fields_[field].type; }
  const FieldSchema& field(size_t field) const { return fields_[field]; }
  bool has_vectors() const { return has_vectors_; }

 private:
  friend class RowEncoder;
  friend class RowView;
  friend class RowColumns;
  friend std::string WithoutVectors(const RowLayout& layout, std::string_view row);

  // What reading a field needs, small and in one place.
  struct Slot {
    ValueType type;
    bool array;
    bool variable;       // the fixed part holds an end
    uint32_t dimension;  // vectors
    uint32_t offset;     // in the fixed part
    uint32_t
        previous_offset;  // variable: the fixed offset of the variable field before; kNone: none
  };
  static constexpr uint32_t kNone = UINT32_MAX;

  std::vector<FieldSchema> fields_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> fixed_bytes_;      // of the first i fields; one more than fields
  std::vector<uint32_t> variable_fields_;  // ascending
  bool has_vectors_ = false;
};

// Encodes rows of columns. `columns` has one entry a field: nullptr where the write left the field
// out (it takes its default, else null). REQUIRES: the columns were checked by CheckFieldColumn,
// and each row stays below 4 GiB; layout and columns outlive the encoder. Thread-compatible.
class RowEncoder {
 public:
  RowEncoder(const RowLayout* layout, std::vector<const Column*> columns);
  // Rows must be asked for in ascending order (arrays are found by running sums).
  std::string Encode(size_t row);

 private:
  bool IsNull(size_t field, size_t row);
  void SkipArraysTo(size_t row);

  const RowLayout* const layout_;
  const std::vector<const Column*> columns_;
  std::vector<size_t> next_null_;    // index into null_rows, a field
  std::vector<size_t> array_start_;  // first element of the row, a field
  size_t next_row_ = 0;
};

// OK, or INVALID_ARGUMENT with field path `path` and the row: the wrong type or row count, bad
// UTF-8 or JSON, a non-finite vector element, a zero vector under COSINE, NaN where forbidden, a
// dimension that does not fit, a TIMESTAMP out of years 0001..9999 (OUT_OF_RANGE), null_rows not
// ascending or beyond row_count.
absl::Status CheckFieldColumn(const FieldSchema& field, const Column& column, size_t row_count,
                              std::string_view path);

// Widens or narrows `column` to `type` where data.proto says that is accepted (INT32 -> INT64,
// FLOAT -> DOUBLE, STRING -> JSON, INT64 -> INT32 where every value fits); otherwise leaves it as
// it is.
void CoerceColumn(const DataType& type, Column* column);

// False: a field left out is null.
inline bool HasDefault(const FieldSchema& field) {
  return field.default_value.has_value() && field.default_value->null_rows.empty();
}

inline constexpr size_t kRowHeaderBytes = 4;  // n and f of FORMAT.md's Row

// A look into encoded bytes; does not own them. Fields the row was written without read as their
// default, else null; fields that the layout does not know yet are not seen. Copyable.
class RowView {
 public:
  // DATA_LOSS when the bytes cannot be a row of this layout (all ends are checked here, so the
  // accessors are safe).
  static absl::StatusOr<RowView> Parse(const RowLayout* layout, std::string_view bytes);
  // The same, unchecked, for bytes that were checked before (the online table's).
  RowView(const RowLayout* layout, std::string_view bytes);

  bool is_null(size_t field) const {
    return IsStored(field) ? IsNullBit(field) : !HasDefault(layout_->fields_[field]);
  }
  // Appends the field's value to `out` (row_count + 1). A null, and a vector left out by
  // WithoutVectors, append zero or empty. Does not touch statuses or null_rows. REQUIRES: out->type
  // is the field's. About 3 ns for a scalar.
  void AppendTo(size_t field, Column* out) const {
    const RowLayout::Slot& slot = layout_->slots_[field];
    // What most features are, without a call: an online read does this thousands of times.
    if (slot.type != ValueType::kDouble || slot.array || !IsStored(field) || IsNullBit(field)) {
      return AppendAny(field, out);
    }
    double value;
    std::memcpy(&value, fixed_ + slot.offset, sizeof(value));
    out->doubles.push_back(value);
    ++out->row_count;
  }

  // Scalars. REQUIRES: of that type, not null.
  bool GetBool(size_t field) const;
  int64_t GetInt(size_t field) const;    // INT32, INT64, TIMESTAMP
  double GetDouble(size_t field) const;  // FLOAT, DOUBLE
  std::string_view GetBytes(
      size_t field) const;  // STRING, BYTES, JSON; and a FLOAT_VECTOR's 4·d bytes
  // The field's vector copied out; empty when null.
  std::vector<float> GetVector(size_t field) const;

 private:
  friend class RowColumns;
  friend std::string WithoutVectors(const RowLayout& layout, std::string_view row);

  absl::Status Check() const;
  void AppendAny(size_t field, Column* out) const;
  bool IsStored(size_t field) const { return field < field_count_; }
  // REQUIRES: IsStored(field).
  bool IsNullBit(size_t field) const {
    return (static_cast<uint8_t>(bytes_[kRowHeaderBytes + field / 8]) >> (field % 8) & 1) != 0;
  }
  uint32_t End(uint32_t offset) const;
  std::string_view Stored(const RowLayout::Slot& slot) const;
  const Column& Default(size_t field) const { return *layout_->fields_[field].default_value; }

  const RowLayout* layout_;
  std::string_view bytes_;
  size_t written_count_ = 0;  // fields the row was written with
  size_t field_count_ = 0;    // those of them that the layout knows
  const char* fixed_ = nullptr;
  const char* variable_ = nullptr;
};

// The same row with every vector's bytes left out (not null, length 0): what the online table
// keeps. A row with fields that the layout does not know stays whole. REQUIRES: parsed before.
std::string WithoutVectors(const RowLayout& layout, std::string_view row);

// Appends a zero or empty value of out->type: what a cell without a value holds. row_count + 1.
void AppendEmpty(Column* out);

}  // namespace fletch

#endif  // FLETCH_STORAGE_ROW_CODEC_H_
