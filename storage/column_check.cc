// SPDX-License-Identifier: Apache-2.0
// CheckFieldColumn and CoerceColumn of row_codec.h: what a write's columns must be before they
// become rows.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "storage/row_codec.h"
#include "storage/text_check.h"

namespace fletch {
namespace {

// "row 3" or, in an array, "row 3, element 1".
std::string Place(const Column& column, size_t row, size_t element_in_row) {
  return column.type.array ? StrCat("row ", row, ", element ", element_in_row)
                           : StrCat("row ", row);
}

size_t ListSize(const Column& column) {
  switch (column.type.type) {
    case ValueType::kBool:
      return column.bools.size();
    case ValueType::kInt32:
      return column.int32s.size();
    case ValueType::kInt64:
    case ValueType::kTimestamp:
      return column.int64s.size();
    case ValueType::kFloat:
    case ValueType::kFloatVector:
      return column.floats.size();
    case ValueType::kDouble:
      return column.doubles.size();
    case ValueType::kString:
    case ValueType::kBytes:
    case ValueType::kJson:
      return column.strings.size();
  }
  return 0;
}

absl::Status CheckType(const FieldSchema& field, const Column& column, std::string_view path) {
  if (column.type == field.type) return absl::OkStatus();
  if (column.type.is_vector() && field.type.is_vector() && !column.type.array) {
    return InvalidArgument(StrCat("vectors of dimension ", column.type.dimension, " where ",
                                  field.name, " has dimension ", field.type.dimension),
                           path);
  }
  if (field.type.type == ValueType::kInt32 && column.type.type == ValueType::kInt64 &&
      field.type.array == column.type.array) {
    const auto large = std::find_if(column.int64s.begin(), column.int64s.end(),
                                    [](int64_t v) { return v != static_cast<int32_t>(v); });
    const std::string example =
        large == column.int64s.end() ? "" : StrCat(": ", *large, " does not fit");
    return InvalidArgument(
        StrCat("INT64 values where ", field.name, " is ", DataTypeName(field.type), example), path);
  }
  return InvalidArgument(StrCat(DataTypeName(column.type), " values where ", field.name, " is ",
                                DataTypeName(field.type)),
                         path);
}

absl::Status CheckShape(const Column& column, size_t row_count, std::string_view path) {
  const size_t rows = column.type.array ? column.lengths.size() : column.row_count;
  if (rows != row_count || column.row_count != row_count) {
    return InvalidArgument(StrCat(rows, " values where the batch has ", row_count, " rows"), path);
  }
  size_t wanted = row_count;
  if (column.type.array) {
    wanted = 0;
    for (const uint64_t length : column.lengths) {
      if (length > ListSize(column) - wanted) {
        return InvalidArgument(
            StrCat("lengths of more than the ", ListSize(column), " elements given"), path);
      }
      wanted += length;
    }
  } else if (column.type.is_vector()) {
    wanted = row_count * column.type.dimension;
  }
  if (ListSize(column) != wanted) {
    return InvalidArgument(
        StrCat(ListSize(column), " elements where ", row_count, " rows have ", wanted), path);
  }
  for (size_t i = 0; i < column.null_rows.size(); ++i) {
    if (column.null_rows[i] >= row_count) {
      return InvalidArgument(StrCat("null_rows names row ", column.null_rows[i], " of ", row_count),
                             path);
    }
    if (i > 0 && column.null_rows[i] <= column.null_rows[i - 1]) {
      return InvalidArgument(StrCat("null_rows is not ascending at row ", column.null_rows[i]),
                             path);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckVector(const FieldSchema& field, const float* vector, size_t row,
                         std::string_view path) {
  bool zero = true;
  for (uint32_t i = 0; i < field.type.dimension; ++i) {
    if (!std::isfinite(vector[i])) {
      return InvalidArgument(
          StrCat("row ", row, ", element ", i, " is not finite; a vector's elements must be"),
          path);
    }
    zero = zero && vector[i] == 0;
  }
  if (zero && field.index_metric == Metric::kCosine) {
    return InvalidArgument(
        StrCat("row ", row, " is a zero vector, which has no direction for COSINE"), path);
  }
  return absl::OkStatus();
}

// One element of the list, of a row that is not null.
absl::Status CheckElement(const FieldSchema& field, const Column& column, size_t element,
                          std::string_view path, size_t row, size_t element_in_row) {
  switch (field.type.type) {
    case ValueType::kFloat:
    case ValueType::kDouble: {
      const bool nan = field.type.type == ValueType::kFloat ? std::isnan(column.floats[element])
                                                            : std::isnan(column.doubles[element]);
      if (!field.forbid_nan || !nan) return absl::OkStatus();
      return InvalidArgument(
          StrCat(Place(column, row, element_in_row), " is NaN, which ", field.name, " forbids"),
          path);
    }
    case ValueType::kTimestamp: {
      const int64_t micros = column.int64s[element];
      if (micros >= limits::kMinTimeMicros && micros <= limits::kMaxTimeMicros)
        return absl::OkStatus();
      return OutOfRange(StrCat(Place(column, row, element_in_row), ": ", micros,
                               " microseconds is outside the years 0001 to 9999"),
                        path);
    }
    case ValueType::kString:
      if (IsUtf8(column.strings[element])) return absl::OkStatus();
      return InvalidArgument(StrCat(Place(column, row, element_in_row), " is not UTF-8"), path);
    case ValueType::kJson:
      if (IsJson(column.strings[element])) return absl::OkStatus();
      return InvalidArgument(
          StrCat(Place(column, row, element_in_row), " is not one JSON value in UTF-8"), path);
    default:
      return absl::OkStatus();
  }
}

bool NeedsElementCheck(const FieldSchema& field) {
  switch (field.type.type) {
    case ValueType::kFloat:
    case ValueType::kDouble:
      return field.forbid_nan;
    case ValueType::kTimestamp:
    case ValueType::kString:
    case ValueType::kJson:
    case ValueType::kFloatVector:
      return true;
    default:
      return false;
  }
}

}  // namespace

absl::Status CheckFieldColumn(const FieldSchema& field, const Column& column, size_t row_count,
                              std::string_view path) {
  RETURN_IF_ERROR(CheckType(field, column, path));
  RETURN_IF_ERROR(CheckShape(column, row_count, path));
  if (!NeedsElementCheck(field)) return absl::OkStatus();
  size_t next_null = 0;
  size_t element = 0;
  for (size_t row = 0; row < row_count; ++row) {
    const size_t count = column.type.array ? column.lengths[row] : 1;
    if (next_null < column.null_rows.size() && column.null_rows[next_null] == row) {
      ++next_null;  // whatever stands at a null row is not read
    } else if (field.type.is_vector()) {
      RETURN_IF_ERROR(
          CheckVector(field, column.floats.data() + row * field.type.dimension, row, path));
    } else {
      for (size_t i = 0; i < count; ++i) {
        RETURN_IF_ERROR(CheckElement(field, column, element + i, path, row, i));
      }
    }
    element += count;
  }
  return absl::OkStatus();
}

void CoerceColumn(const DataType& type, Column* column) {
  if (type.array != column->type.array || type == column->type) return;
  const ValueType from = column->type.type;
  if (from == ValueType::kInt32 && type.type == ValueType::kInt64) {
    column->int64s.assign(column->int32s.begin(), column->int32s.end());
    column->int32s = {};
  } else if (from == ValueType::kFloat && type.type == ValueType::kDouble) {
    column->doubles.assign(column->floats.begin(), column->floats.end());
    column->floats = {};
  } else if (from == ValueType::kInt64 && type.type == ValueType::kInt32) {
    const bool fits = std::all_of(column->int64s.begin(), column->int64s.end(),
                                  [](int64_t v) { return v == static_cast<int32_t>(v); });
    if (!fits) return;
    column->int32s.assign(column->int64s.begin(), column->int64s.end());
    column->int64s = {};
  } else if (from != ValueType::kString || type.type != ValueType::kJson) {
    return;
  }
  column->type.type = type.type;
}

}  // namespace fletch
