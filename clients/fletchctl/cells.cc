// SPDX-License-Identifier: Apache-2.0
#include "cells.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "fletch/columns.h"
#include "result.h"

namespace fletch::ctl {
namespace {

// Whole text or nothing; no leading plus or blanks, no overflow.
template <typename Int>
std::optional<Int> ToInt(absl::string_view text) {
  Int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

template <typename Real>
std::optional<Real> ToReal(absl::string_view text) {
  if (text == "NaN") return std::numeric_limits<Real>::quiet_NaN();
  if (text == "Infinity") return std::numeric_limits<Real>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<Real>::infinity();
  Real value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (std::isnan(value)) return std::numeric_limits<Real>::quiet_NaN();
  return value;
}

const char* Example(v1::ValueType type) {
  switch (type) {
    case v1::BOOL:
      return "true or false";
    case v1::INT32:
      return "a whole number from -2147483648 to 2147483647";
    case v1::INT64:
      return "a whole number of 64 bits";
    case v1::FLOAT:
    case v1::DOUBLE:
      return "a number such as 11.5, or NaN, Infinity, -Infinity";
    case v1::BYTES:
      return "base64";
    case v1::TIMESTAMP:
      return "a time such as 2001-01-31T12:00:00Z";
    case v1::FLOAT_VECTOR:
      return "a JSON array of that many finite numbers";
    default:
      return "a text";
  }
}

template <typename Real>
Json RealJson(Real value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  // Through the shortest text, so that a float shows as 0.1 and not as 0.10000000149011612.
  return *ToReal<double>(NumberText(value));
}

template <typename Real>
std::string RealText(Real value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  char buffer[64];
  const auto result = std::to_chars(buffer, buffer + sizeof(buffer), value);
  return std::string(buffer, result.ptr);
}

// Makes `column` one of scalars of `type`, without touching what it holds.
void SetCase(v1::ValueType type, v1::Column& column) {
  switch (type) {
    case v1::BOOL:
      column.mutable_bools();
      return;
    case v1::INT32:
      column.mutable_int32s();
      return;
    case v1::INT64:
      column.mutable_int64s();
      return;
    case v1::FLOAT:
      column.mutable_floats();
      return;
    case v1::DOUBLE:
      column.mutable_doubles();
      return;
    case v1::BYTES:
      column.mutable_bytes();
      return;
    case v1::TIMESTAMP:
      column.mutable_timestamps();
      return;
    case v1::JSON:
      column.mutable_json();
      return;
    default:
      column.mutable_strings();
      return;
  }
}

Json ParsedOrText(const std::string& text) {
  Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return value.is_discarded() ? Json(text) : value;
}

// The value at `i` of a column of scalars.
Json ScalarAt(const v1::Column& column, int i) {
  switch (column.values_case()) {
    case v1::Column::kBools:
      return column.bools().values(i);
    case v1::Column::kInt32S:
      return column.int32s().values(i);
    case v1::Column::kInt64S:
      return column.int64s().values(i);
    case v1::Column::kFloats:
      return RealJson(column.floats().values(i));
    case v1::Column::kDoubles:
      return RealJson(column.doubles().values(i));
    case v1::Column::kStrings:
      return column.strings().values(i);
    case v1::Column::kBytes:
      return absl::Base64Escape(column.bytes().values(i));
    case v1::Column::kTimestamps:
      return client::FormatTimeMicros(column.timestamps().micros(i));
    case v1::Column::kJson:
      return ParsedOrText(column.json().values(i));
    default:
      return nullptr;
  }
}

}  // namespace

std::string NumberText(double value) { return RealText(value); }
std::string NumberText(float value) { return RealText(value); }
Json NumberJson(float value) { return RealJson(value); }

CellType TypeOf(const v1::Field& field) {
  return {.type = field.type(), .array = field.array(), .dimension = field.dimension()};
}

std::string TypeName(const CellType& type) {
  const std::string& name = v1::ValueType_Name(type.type);
  if (type.array) return absl::StrCat("array of ", name);
  return type.type == v1::FLOAT_VECTOR ? absl::StrCat(name, "(", type.dimension, ")") : name;
}

absl::Status ColumnBuilder::Refuse(absl::string_view text) const {
  return UsageError(absl::StrCat("'", text.substr(0, 100), "' is not of type ", TypeName(type_),
                                 "; right is ", type_.array ? "a JSON array, each element " : "",
                                 Example(type_.type)));
}

absl::Status ColumnBuilder::AddText(absl::string_view text) {
  if (type_.array || type_.type == v1::FLOAT_VECTOR) {
    const Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!value.is_array()) return Refuse(text);
    return AddJson(value);
  }
  CTL_RETURN_IF_ERROR(AddScalarText(text));
  ++rows_;
  return absl::OkStatus();
}

absl::Status ColumnBuilder::AddJson(const Json& value) {
  if (value.is_null()) {
    AddNull();
    return absl::OkStatus();
  }
  CTL_RETURN_IF_ERROR(type_.array                      ? AddArray(value)
                      : type_.type == v1::FLOAT_VECTOR ? AddVector(value)
                                                       : AddScalarJson(value));
  ++rows_;
  return absl::OkStatus();
}

absl::Status ColumnBuilder::AddScalarText(absl::string_view text) {
  bytes_ += 8;
  switch (type_.type) {
    case v1::BOOL:
      if (text != "true" && text != "false") return Refuse(text);
      column_.mutable_bools()->add_values(text == "true");
      return absl::OkStatus();
    case v1::INT32: {
      const auto value = ToInt<int32_t>(text);
      if (!value) return Refuse(text);
      column_.mutable_int32s()->add_values(*value);
      return absl::OkStatus();
    }
    case v1::INT64: {
      const auto value = ToInt<int64_t>(text);
      if (!value) return Refuse(text);
      column_.mutable_int64s()->add_values(*value);
      return absl::OkStatus();
    }
    case v1::FLOAT: {
      const auto value = ToReal<float>(text);
      if (!value) return Refuse(text);
      column_.mutable_floats()->add_values(*value);
      return absl::OkStatus();
    }
    case v1::DOUBLE: {
      const auto value = ToReal<double>(text);
      if (!value) return Refuse(text);
      column_.mutable_doubles()->add_values(*value);
      return absl::OkStatus();
    }
    case v1::BYTES: {
      std::string raw;
      if (!absl::Base64Unescape(text, &raw)) return Refuse(text);
      bytes_ += raw.size();
      column_.mutable_bytes()->add_values(raw);
      return absl::OkStatus();
    }
    case v1::TIMESTAMP: {
      const auto micros = client::ParseTimeMicros(text);
      if (!micros.ok()) return UsageError(micros.status().message());
      column_.mutable_timestamps()->add_micros(*micros);
      return absl::OkStatus();
    }
    default:
      bytes_ += text.size();
      (type_.type == v1::JSON ? column_.mutable_json() : column_.mutable_strings())
          ->add_values(std::string(text));
      return absl::OkStatus();
  }
}

absl::Status ColumnBuilder::AddScalarJson(const Json& value) {
  const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  switch (type_.type) {
    case v1::JSON:
      return AddScalarText(text);
    case v1::BOOL:
      return value.is_boolean() ? AddScalarText(text) : Refuse(text);
    case v1::INT32:
    case v1::INT64:
      return value.is_number_integer() ? AddScalarText(text) : Refuse(text);
    case v1::FLOAT:
    case v1::DOUBLE: {
      if (value.is_number()) return AddScalarText(text);
      const bool named = value == "NaN" || value == "Infinity" || value == "-Infinity";
      return named ? AddScalarText(value.get_ref<const std::string&>()) : Refuse(text);
    }
    default:
      return value.is_string() ? AddScalarText(value.get_ref<const std::string&>()) : Refuse(text);
  }
}

absl::Status ColumnBuilder::AddArray(const Json& value) {
  if (!value.is_array()) return Refuse(value.dump());
  ColumnBuilder elements(CellType{.type = type_.type});
  for (const Json& element : value) {
    if (element.is_null()) {
      return UsageError(absl::StrCat("an element of ", TypeName(type_), " cannot be null"));
    }
    CTL_RETURN_IF_ERROR(elements.AddJson(element));
  }
  bytes_ += 8 + elements.bytes();
  v1::ArrayValues& arrays = *column_.mutable_arrays();
  arrays.add_lengths(value.size());
  arrays.mutable_elements()->MergeFrom(elements.Take());
  return absl::OkStatus();
}

absl::Status ColumnBuilder::AddVector(const Json& value) {
  bool fits = value.is_array() && value.size() == type_.dimension;
  for (const Json& element : value) {
    fits = fits && element.is_number() && std::isfinite(element.get<float>());
  }
  if (!fits) {
    const std::string size =
        value.is_array() ? absl::StrCat("it has ", value.size(), " elements") : "it is no array";
    return UsageError(absl::StrCat("not of type ", TypeName(type_), " (", size, "); right is ",
                                   Example(type_.type)));
  }
  v1::VectorValues& vectors = *column_.mutable_vectors();
  for (const Json& element : value) vectors.add_values(element.get<float>());
  bytes_ += 4 * type_.dimension;
  return absl::OkStatus();
}

void ColumnBuilder::AddNull() {
  column_.add_null_rows(rows_++);
  bytes_ += 8;
  if (type_.array) {
    column_.mutable_arrays()->add_lengths(0);
    return;
  }
  switch (type_.type) {
    case v1::BOOL:
      return column_.mutable_bools()->add_values(false);
    case v1::INT32:
      return column_.mutable_int32s()->add_values(0);
    case v1::INT64:
      return column_.mutable_int64s()->add_values(0);
    case v1::FLOAT:
      return column_.mutable_floats()->add_values(0);
    case v1::DOUBLE:
      return column_.mutable_doubles()->add_values(0);
    case v1::BYTES:
      return column_.mutable_bytes()->add_values("");
    case v1::TIMESTAMP:
      return column_.mutable_timestamps()->add_micros(0);
    case v1::JSON:
      return column_.mutable_json()->add_values("");
    case v1::FLOAT_VECTOR:
      for (uint64_t i = 0; i < type_.dimension; ++i) column_.mutable_vectors()->add_values(0);
      return;
    default:
      return column_.mutable_strings()->add_values("");
  }
}

v1::Column ColumnBuilder::Take() {
  if (column_.has_vectors()) column_.mutable_vectors()->set_dimension(type_.dimension);
  // An array column of empty arrays still has to say of what.
  if (column_.has_arrays()) SetCase(type_.type, *column_.mutable_arrays()->mutable_elements());
  rows_ = 0;
  bytes_ = 0;
  return std::exchange(column_, v1::Column());
}

uint64_t RowCount(const v1::Column& column) {
  switch (column.values_case()) {
    case v1::Column::kBools:
      return column.bools().values_size();
    case v1::Column::kInt32S:
      return column.int32s().values_size();
    case v1::Column::kInt64S:
      return column.int64s().values_size();
    case v1::Column::kFloats:
      return column.floats().values_size();
    case v1::Column::kDoubles:
      return column.doubles().values_size();
    case v1::Column::kStrings:
      return column.strings().values_size();
    case v1::Column::kBytes:
      return column.bytes().values_size();
    case v1::Column::kTimestamps:
      return column.timestamps().micros_size();
    case v1::Column::kJson:
      return column.json().values_size();
    case v1::Column::kVectors:
      return column.vectors().values_size() / std::max<uint64_t>(column.vectors().dimension(), 1);
    case v1::Column::kArrays:
      return column.arrays().lengths_size();
    default:
      return 0;
  }
}

ColumnReader::ColumnReader(const v1::Column& column) : column_(column) {
  uint64_t offset = 0;
  for (uint64_t length : column.arrays().lengths()) {
    offsets_.push_back(offset);
    offset += length;
  }
}

v1::CellStatus ColumnReader::StatusAt(uint64_t row) const {
  if (row < static_cast<uint64_t>(column_.statuses_size())) return column_.statuses(row);
  const auto& nulls = column_.null_rows();
  return std::binary_search(nulls.begin(), nulls.end(), row) ? v1::NULL_VALUE : v1::PRESENT;
}

Json ColumnReader::JsonAt(uint64_t row) const {
  if (StatusAt(row) != v1::PRESENT) return nullptr;
  if (column_.has_vectors()) {
    Json vector = Json::array();
    const uint64_t dimension = column_.vectors().dimension();
    for (uint64_t i = 0; i < dimension; ++i) {
      vector.push_back(RealJson(column_.vectors().values(row * dimension + i)));
    }
    return vector;
  }
  if (!column_.has_arrays()) return ScalarAt(column_, row);
  Json array = Json::array();
  for (uint64_t i = 0; i < column_.arrays().lengths(row); ++i) {
    array.push_back(ScalarAt(column_.arrays().elements(), offsets_[row] + i));
  }
  return array;
}

std::string ColumnReader::TextAt(uint64_t row) const {
  if (StatusAt(row) != v1::PRESENT) return "";
  // Numbers straight from the column; JSON would write 11 as 11.0.
  if (column_.has_doubles()) return NumberText(column_.doubles().values(row));
  if (column_.has_floats()) return NumberText(column_.floats().values(row));
  if (column_.has_json()) return column_.json().values(row);  // as written, to the last blank
  const Json value = JsonAt(row);
  if (value.is_string()) return value.get<std::string>();
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string ColumnReader::EventTimestampAt(uint64_t row) const {
  const auto& unset = column_.event_timestamp_unset_rows();
  if (row >= static_cast<uint64_t>(column_.event_timestamps().micros_size()) ||
      std::binary_search(unset.begin(), unset.end(), row)) {
    return "";
  }
  return client::FormatTimeMicros(column_.event_timestamps().micros(row));
}

}  // namespace fletch::ctl
