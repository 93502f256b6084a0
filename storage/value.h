// SPDX-License-Identifier: Apache-2.0
// Domain values: types, columns, cell statuses. Plain data, no behaviour beyond its own
// consistency.
#ifndef FLETCH_STORAGE_VALUE_H_
#define FLETCH_STORAGE_VALUE_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace fletch {

// The numbers are those of fletch.v1.ValueType and are stored: never change them.
enum class ValueType : uint8_t {
  kBool = 1,
  kInt32 = 2,
  kInt64 = 3,
  kFloat = 4,
  kDouble = 5,
  kString = 6,
  kBytes = 7,
  kTimestamp = 8,  // microseconds since the epoch, in int64s
  kJson = 9,       // text, in strings
  kFloatVector = 10,
};

// "DOUBLE".
std::string_view ValueTypeName(ValueType type);

struct DataType {
  ValueType type = ValueType::kDouble;
  bool array = false;
  uint32_t dimension = 0;  // kFloatVector only

  bool operator==(const DataType&) const = default;
  bool is_vector() const { return type == ValueType::kFloatVector; }
};

// "DOUBLE", "INT64[]", "FLOAT_VECTOR(48)".
std::string DataTypeName(const DataType& type);

// The numbers are those of fletch.v1.CellStatus.
enum class CellStatus : uint8_t {
  kPresent = 0,
  kNullValue = 1,
  kNotFound = 2,
  kOutsideMaxAge = 3,
  kOutOfRetention = 4
};

// Stands for "no event timestamp" in Column::event_times.
inline constexpr int64_t kUnsetTime = std::numeric_limits<int64_t>::min();

// A value for each of row_count rows, dense: zero or empty at null rows. Only the list that the
// type names is used:
//   BOOL bools, INT32 int32s, INT64 and TIMESTAMP int64s, FLOAT floats, DOUBLE doubles,
//   STRING, BYTES and JSON strings, FLOAT_VECTOR floats (dimension a row).
// An array column has lengths (one a row) and all elements, flat, in the list of its element type.
struct Column {  // the initialisers let designated ones leave members out without a warning
  DataType type;
  size_t row_count = 0;
  std::vector<uint8_t> bools = {};
  std::vector<int32_t> int32s = {};
  std::vector<int64_t> int64s = {};
  std::vector<float> floats = {};
  std::vector<double> doubles = {};
  std::vector<std::string> strings = {};
  std::vector<uint64_t> lengths = {};

  std::vector<uint64_t> null_rows = {};   // input: ascending row numbers
  std::vector<CellStatus> statuses = {};  // answers: one a row, or empty when all are kPresent
  // Answers, when asked for: one a row, kUnsetTime where there is none; shared by the columns of
  // one view. Null: there are none.
  std::shared_ptr<const std::vector<int64_t>> event_times = {};
};

struct NamedColumn {
  std::string name;
  Column column;
};

// One join-key or event-key value.
using KeyValue = std::variant<int64_t, std::string>;

}  // namespace fletch

#endif  // FLETCH_STORAGE_VALUE_H_
