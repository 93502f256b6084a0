// SPDX-License-Identifier: Apache-2.0
// Random filters and random rows of few different values, so that conditions often hold.
#ifndef FLETCH_SERVER_ENGINE_RANDOM_FILTER_TESTING_H_
#define FLETCH_SERVER_ENGINE_RANDOM_FILTER_TESTING_H_

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/strings.h"
#include "server/engine/types.h"
#include "server/engine/view.h"
#include "storage/row_codec.h"

namespace fletch {

struct FilterRef {
  std::string ref;
  ValueType type;
};

inline std::string RandomText(std::mt19937_64* random) {
  std::string text;
  for (uint64_t n = (*random)() % 4; n > 0; --n) text += static_cast<char>('a' + (*random)() % 2);
  return text;
}

inline double RandomReal(std::mt19937_64* random) {
  const double values[] = {-1.5,
                           -0.0,
                           0,
                           1,
                           1.5,
                           2,
                           9007199254740993.0,
                           1e300,
                           std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity()};
  return values[(*random)() % std::size(values)];
}

inline int64_t RandomInt(std::mt19937_64* random) {
  const int64_t values[] = {-2,
                            -1,
                            0,
                            1,
                            2,
                            3,
                            (int64_t{1} << 53) + 1,
                            std::numeric_limits<int64_t>::max(),
                            std::numeric_limits<int64_t>::min()};
  return values[(*random)() % std::size(values)];
}

// A column of one row.
inline Column RandomCell(ValueType type, std::mt19937_64* random) {
  Column column{.type = {type}, .row_count = 1};
  if ((*random)() % 6 == 0) column.null_rows = {0};
  const bool null = !column.null_rows.empty();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double real = (*random)() % 8 == 0 ? nan : RandomReal(random);
  switch (type) {
    case ValueType::kBool:
      column.bools = {static_cast<uint8_t>(null ? 0 : (*random)() % 2)};
      break;
    case ValueType::kInt32:
      column.int32s = {null ? 0 : static_cast<int32_t>((*random)() % 6) - 3};
      break;
    case ValueType::kFloat:
      column.floats = {null ? 0 : std::abs(real) == 1e300 ? 0.1f : static_cast<float>(real)};
      break;
    case ValueType::kDouble:
      column.doubles = {null ? 0 : real};
      break;
    case ValueType::kString:
      column.strings = {null ? "" : RandomText(random)};
      break;
    default:
      column.int64s = {null ? 0 : RandomInt(random)};
  }
  return column;
}

// Of a view of scalars other than BYTES and JSON.
inline std::string RandomRow(const View& view, std::mt19937_64* random) {
  std::vector<Column> columns;
  std::vector<const Column*> pointers;
  for (const FieldSchema& field : view.schema.fields) {
    columns.push_back(RandomCell(field.type.type, random));
  }
  for (const Column& column : columns) pointers.push_back(&column);
  return RowEncoder(&view.layout, pointers).Encode(0);
}

inline Literal RandomLiteral(ValueType type, std::mt19937_64* random) {
  switch (type) {
    case ValueType::kBool:
      return (*random)() % 2 == 0;
    case ValueType::kString:
      return RandomText(random);
    case ValueType::kTimestamp:
      return RandomInt(random);
    default:
      if ((*random)() % 2 == 0) return RandomReal(random);
      return RandomInt(random);
  }
}

inline FilterSpec RandomFilter(const std::vector<FilterRef>& refs, int depth,
                               std::mt19937_64* random) {
  using Kind = FilterSpec::Kind;
  FilterSpec spec;
  const uint64_t kind = (*random)() % (depth < 3 ? 12 : 7);
  if (kind >= 7) {
    spec.kind = kind < 9 ? Kind::kAnd : kind < 11 ? Kind::kOr : Kind::kNot;
    const uint64_t children = spec.kind == Kind::kNot ? 1 : 1 + (*random)() % 3;
    for (uint64_t i = 0; i < children; ++i) {
      spec.children.push_back(RandomFilter(refs, depth + 1, random));
    }
    return spec;
  }
  const FilterRef& ref = refs[(*random)() % refs.size()];
  spec.ref = ref.ref;
  if (kind == 0) {
    spec.kind = Kind::kIsNull;
    return spec;
  }
  spec.kind = kind == 1 ? Kind::kIn : kind == 2 ? Kind::kBetween : Kind::kCompare;
  const uint64_t ops = ref.type == ValueType::kString ? 8 : 6;
  spec.op = static_cast<FilterSpec::Op>((*random)() % ops);
  uint64_t values = spec.kind == Kind::kIn ? 1 + (*random)() % 4 : 1;
  if (spec.kind == Kind::kBetween) values = 2;
  for (; values > 0; --values) spec.values.push_back(RandomLiteral(ref.type, random));
  return spec;
}

// For messages of failed tests.
inline std::string FilterText(const FilterSpec& spec) {
  std::string text =
      StrCat("(", static_cast<int>(spec.kind), " ", spec.ref, " op", static_cast<int>(spec.op));
  for (const FilterSpec& child : spec.children) text += " " + FilterText(child);
  for (const Literal& value : spec.values) {
    if (const auto* whole = std::get_if<int64_t>(&value)) text += StrCat(" ", *whole);
    if (const auto* real = std::get_if<double>(&value)) text += StrCat(" ", *real);
    if (const auto* bits = std::get_if<std::string>(&value)) text += StrCat(" '", *bits, "'");
    if (const auto* truth = std::get_if<bool>(&value)) text += *truth ? " true" : " false";
  }
  return text + ")";
}

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_RANDOM_FILTER_TESTING_H_
