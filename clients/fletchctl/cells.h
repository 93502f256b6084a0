// SPDX-License-Identifier: Apache-2.0
// Single cells, as people write them, to and from the packed columns of the wire.
#ifndef FLETCH_CLIENTS_FLETCHCTL_CELLS_H_
#define FLETCH_CLIENTS_FLETCHCTL_CELLS_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "fletch/v1/data.pb.h"
#include "fletch/v1/registry.pb.h"

namespace fletch::ctl {

using Json = nlohmann::ordered_json;

// What a column holds.
struct CellType {
  v1::ValueType type = v1::STRING;
  bool array = false;
  uint64_t dimension = 0;
};
CellType TypeOf(const v1::Field& field);
// "INT64", "array of DOUBLE", "FLOAT_VECTOR(48)".
std::string TypeName(const CellType& type);

// Collects cells into a column. In text, arrays and vectors are JSON arrays, BYTES is base64, times
// are as client::ParseTimeMicros takes them. In JSON, NaN and infinities are the texts "NaN",
// "Infinity", "-Infinity".
class ColumnBuilder {
 public:
  explicit ColumnBuilder(CellType type) : type_(type) {}

  // INVALID_ARGUMENT (a usage error) says what would be right; nothing is added then.
  absl::Status AddText(absl::string_view text);
  absl::Status AddJson(const Json& value);
  void AddNull();

  // The column of the cells so far; the builder is empty afterwards.
  v1::Column Take();
  // About the bytes the column will take on the wire.
  size_t bytes() const { return bytes_; }

 private:
  absl::Status AddScalarText(absl::string_view text);
  absl::Status AddScalarJson(const Json& value);
  absl::Status AddArray(const Json& value);
  absl::Status AddVector(const Json& value);
  absl::Status Refuse(absl::string_view text) const;

  CellType type_;
  v1::Column column_;
  uint64_t rows_ = 0;
  size_t bytes_ = 0;
};

// Rows of a column as it is sent (dense); 0: its values are unset.
uint64_t RowCount(const v1::Column& column);

// Reads cells of an answer's column. The column must outlive the reader.
class ColumnReader {
 public:
  explicit ColumnReader(const v1::Column& column);

  // PRESENT or the cell's status; on columns with null_rows NULL_VALUE there.
  v1::CellStatus StatusAt(uint64_t row) const;
  // null unless PRESENT.
  Json JsonAt(uint64_t row) const;
  // As CSV and tables show it; empty unless PRESENT.
  std::string TextAt(uint64_t row) const;
  // The event timestamp as RFC 3339; empty: none.
  std::string EventTimestampAt(uint64_t row) const;

 private:
  const v1::Column& column_;
  std::vector<uint64_t> offsets_;  // arrays: where each row's elements begin
};

// The shortest text that reads back as the same number.
std::string NumberText(double value);
std::string NumberText(float value);
// A JSON number (1.0, not 1), or the text "NaN", "Infinity", "-Infinity".
Json NumberJson(float value);

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_CELLS_H_
