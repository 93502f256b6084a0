// SPDX-License-Identifier: Apache-2.0
#include "batcher.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "result.h"

namespace fletch::ctl {
namespace {

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

absl::Status At(const RecordReader& reader, absl::string_view what) {
  return UsageError(absl::StrCat("line ", reader.line(), ": ", what));
}

}  // namespace

bool Batcher::MustTakeBefore(const RecordReader& reader) const {
  if (batch_.row_count == 0) return false;
  const size_t bytes =
      std::accumulate(builders_.begin(), builders_.end(), size_t{0},
                      [](size_t sum, const ColumnBuilder& b) { return sum + b.bytes(); });
  return shape_ != reader.shape() || batch_.row_count >= options_.rows_max ||
         bytes >= options_.bytes_max;
}

absl::Status Batcher::Reshape(const RecordReader& reader) {
  builders_.clear();
  names_.clear();
  is_required_.clear();
  builder_of_cell_.clear();
  for (const std::string& name : reader.names()) {
    const bool is_time = name == options_.timestamp_column;
    const auto column = std::find_if(options_.columns.begin(), options_.columns.end(),
                                     [&](const auto& c) { return c.first == name; });
    if (!is_time && column == options_.columns.end()) {
      if (!options_.ignore_others) {
        return At(
            reader,
            absl::StrCat("no column '", name, "' in the view; it has ",
                         absl::StrJoin(options_.columns, ", ",
                                       [](std::string* out, const auto& c) { *out += c.first; }),
                         " and the time in ", options_.timestamp_column));
      }
      builder_of_cell_.push_back(-1);
      continue;
    }
    builder_of_cell_.push_back(static_cast<int>(builders_.size()));
    builders_.emplace_back(is_time ? CellType{.type = v1::TIMESTAMP} : column->second);
    names_.push_back(name);
    is_required_.push_back(is_time || Contains(options_.keys, name));
  }
  if (!Contains(reader.names(), options_.timestamp_column)) {
    return At(reader, absl::StrCat("no column '", options_.timestamp_column,
                                   "' for the time; name it with --timestamp-column"));
  }
  for (const std::string& key : options_.keys) {
    if (!Contains(reader.names(), key))
      return At(reader, absl::StrCat("no column for the key '", key, "'"));
  }
  shape_ = reader.shape();
  shaped_ = true;
  return absl::OkStatus();
}

absl::Status Batcher::Add(const RecordReader& reader) {
  if (!shaped_ || shape_ != reader.shape()) CTL_RETURN_IF_ERROR(Reshape(reader));
  for (size_t i = 0; i < reader.cells().size(); ++i) {
    const int builder = builder_of_cell_[i];
    if (builder < 0) continue;
    const RecordCell& cell = reader.cells()[i];
    if (is_required_[builder] && std::holds_alternative<std::monostate>(cell)) {
      return At(reader, absl::StrCat(names_[builder], " is empty; it must have a value"));
    }
    if (absl::Status status = AddCell(cell, builders_[builder]); !status.ok()) {
      return At(reader, absl::StrCat(names_[builder], ": ", status.message()));
    }
  }
  if (batch_.row_count++ == 0) batch_.first_line = reader.line();
  batch_.last_line = reader.line();
  return absl::OkStatus();
}

ColumnBatch Batcher::Take() {
  for (size_t i = 0; i < builders_.size(); ++i) {
    v1::Column column = builders_[i].Take();
    if (names_[i] == options_.timestamp_column) {
      batch_.timestamps.Swap(column.mutable_timestamps());
    } else {
      batch_.columns.emplace_back(names_[i], std::move(column));
    }
  }
  return std::exchange(batch_, ColumnBatch());
}

}  // namespace fletch::ctl
