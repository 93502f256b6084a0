// SPDX-License-Identifier: Apache-2.0
// Rows of aggregation views, written field by field as FORMAT.md's Row says. Private to the
// windows; everybody else reads them with RowView.
#ifndef FLETCH_SERVER_ENGINE_WINDOW_ROW_H_
#define FLETCH_SERVER_ENGINE_WINDOW_ROW_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "storage/schema.h"

namespace fletch {

// Where the fields lie. Immutable.
class AggregateRowShape {
 public:
  explicit AggregateRowShape(absl::Span<const FieldSchema> fields);

 private:
  friend class AggregateRowBuilder;
  std::vector<size_t> offsets_;          // of a field's fixed bytes, from the start of the row
  std::vector<size_t> variable_fields_;  // ascending
  std::string null_row_;                 // every field null
};

// One row at a time, again and again. `shape` outlives it.
class AggregateRowBuilder {
 public:
  explicit AggregateRowBuilder(const AggregateRowShape* shape) : shape_(shape) { Clear(); }

  // Every field null.
  void Clear();
  // A fixed-width field: T is uint8_t (BOOL), int32_t, int64_t, float or double.
  template <typename T>
  void Set(size_t field, T value) {
    SetFixed(field, &value, sizeof(value));
  }
  // A field of the variable part. REQUIRES: fields of that kind are set in ascending order.
  void SetBytes(size_t field, std::string_view bytes);
  // Valid until the next change.
  std::string_view Finish();

 private:
  void SetFixed(size_t field, const void* bytes, size_t size);
  void ClearNull(size_t field);
  // Writes the ends of variable fields before `field`.
  void CloseBefore(size_t field);

  const AggregateRowShape* const shape_;
  std::string row_;
  size_t closed_ = 0;  // variable fields whose ends are written
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_WINDOW_ROW_H_
