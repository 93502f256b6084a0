// SPDX-License-Identifier: Apache-2.0
// Random fields and columns for property tests, and the plain value of one cell.
#ifndef FLETCH_STORAGE_RANDOM_ROWS_TESTING_H_
#define FLETCH_STORAGE_RANDOM_ROWS_TESTING_H_

#include <bit>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "storage/schema.h"
#include "storage/value.h"

namespace fletch::testing_rows {

inline DataType RandomType(std::mt19937_64& random) {
  DataType type{static_cast<ValueType>(1 + random() % 10)};
  if (type.is_vector()) {
    type.dimension = 1 + static_cast<uint32_t>(random() % 5);
  } else {
    type.array = random() % 3 == 0;
  }
  return type;
}

inline std::string RandomText(ValueType type, std::mt19937_64& random) {
  static const std::string kTexts[] = {"", "a", std::string("\0b\0", 3), "é",
                                       "a longer text, beyond small strings"};
  static const std::string kJsons[] = {"null", "{}", "[1,2]", "\"x\"", "{\"a\":[null]}"};
  return type == ValueType::kJson ? kJsons[random() % 5] : kTexts[random() % 5];
}

inline void AppendRandom(std::mt19937_64& random, Column* column) {
  static constexpr double kOdd[] = {0, -0.0, 1.5, -1e300, 5e-324};
  switch (column->type.type) {
    case ValueType::kBool:
      return column->bools.push_back(random() % 2);
    case ValueType::kInt32:
      return column->int32s.push_back(static_cast<int32_t>(random()));
    case ValueType::kInt64:
      return column->int64s.push_back(static_cast<int64_t>(random()));
    case ValueType::kTimestamp:
      return column->int64s.push_back(static_cast<int64_t>(random() >> 16));
    case ValueType::kFloat:  // any bits: NaNs with payloads, infinities, subnormals
      return column->floats.push_back(std::bit_cast<float>(static_cast<uint32_t>(random())));
    case ValueType::kDouble:
      return column->doubles.push_back(random() % 2 == 0
                                           ? kOdd[random() % 5]
                                           : std::bit_cast<double>(random() | 0x7FF0ull << 48));
    case ValueType::kFloatVector:
      return column->floats.push_back(static_cast<float>(random() % 1000) - 499.5f);
    case ValueType::kString:
    case ValueType::kBytes:
    case ValueType::kJson:
      return column->strings.push_back(RandomText(column->type.type, random));
  }
}

// Null rows hold anything: encoders must not look at them.
inline Column RandomColumn(const DataType& type, size_t row_count, std::mt19937_64& random) {
  Column column{.type = type, .row_count = row_count};
  for (size_t row = 0; row < row_count; ++row) {
    if (random() % 4 == 0) column.null_rows.push_back(row);
    size_t count = type.is_vector() ? type.dimension : 1;
    if (type.array) {
      count = random() % 4;
      column.lengths.push_back(count);
    }
    for (size_t i = 0; i < count; ++i) AppendRandom(random, &column);
  }
  return column;
}

inline std::vector<FieldSchema> RandomFields(size_t count, std::mt19937_64& random) {
  std::vector<FieldSchema> fields(count);
  for (size_t i = 0; i < count; ++i) {
    fields[i].name = "f" + std::to_string(i);
    fields[i].type = RandomType(random);
    if (random() % 2 == 0) fields[i].default_value = RandomColumn(fields[i].type, 1, random);
  }
  return fields;
}

inline bool IsNullRow(const Column& column, size_t row) {
  for (const uint64_t null_row : column.null_rows) {
    if (null_row == row) return true;
  }
  return false;
}

// The bytes of one cell, with lengths, so that equal strings mean equal cells, NaNs too.
inline std::string Cell(const Column& column, size_t row) {
  size_t first = row;
  size_t count = 1;
  if (column.type.array) {
    first = std::accumulate(column.lengths.begin(), column.lengths.begin() + static_cast<long>(row),
                            size_t{0});
    count = column.lengths[row];
  } else if (column.type.is_vector()) {
    count = column.type.dimension;
    first = row * count;
  }
  std::string out = std::to_string(count);
  const auto append = [&](const auto& list) {
    for (size_t i = first; i < first + count && !list.empty(); ++i) {
      out += "|";
      out.append(reinterpret_cast<const char*>(&list.at(i)), sizeof(list.at(i)));
    }
  };
  append(column.bools);
  append(column.int32s);
  append(column.int64s);
  append(column.floats);
  append(column.doubles);
  for (size_t i = first; i < first + count && !column.strings.empty(); ++i) {
    out += "|" + std::to_string(column.strings.at(i).size()) + ":" + column.strings.at(i);
  }
  return out;
}

// The cell of a null: zero or empty.
inline std::string EmptyCell(const DataType& type) {
  Column zero{.type = type, .row_count = 1};
  switch (type.type) {
    case ValueType::kBool:
      zero.bools = {0};
      break;
    case ValueType::kInt32:
      zero.int32s = {0};
      break;
    case ValueType::kInt64:
    case ValueType::kTimestamp:
      zero.int64s = {0};
      break;
    case ValueType::kFloat:
      zero.floats = {0};
      break;
    case ValueType::kFloatVector:
      zero.floats.resize(type.dimension);
      break;
    case ValueType::kDouble:
      zero.doubles = {0};
      break;
    case ValueType::kString:
    case ValueType::kBytes:
    case ValueType::kJson:
      zero.strings = {""};
      break;
  }
  if (type.array) zero = {.type = type, .row_count = 1, .lengths = {0}};
  return Cell(zero, 0);
}

}  // namespace fletch::testing_rows

#endif  // FLETCH_STORAGE_RANDOM_ROWS_TESTING_H_
