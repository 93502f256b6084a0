// SPDX-License-Identifier: Apache-2.0
// Rows of a file: CSV with a header row, or JSON lines.
#ifndef FLETCH_CLIENTS_FLETCHCTL_RECORDS_H_
#define FLETCH_CLIENTS_FLETCHCTL_RECORDS_H_

#include <cstdint>
#include <istream>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "cells.h"

namespace fletch::ctl {

// Nothing is null; a string is the text of a CSV cell; Json is a value of a JSON line.
using RecordCell = std::variant<std::monostate, std::string, Json>;
using SpineRow = std::vector<RecordCell>;

// Adds a cell to a column.
absl::Status AddCell(const RecordCell& cell, ColumnBuilder& builder);

enum class RecordFormat { kCsv, kJsonLines };

// "csv", "jsonl", or by the end of `path` when `name` is empty (.csv, .jsonl, .ndjson, .json; "-"
// is CSV). A usage error for others; for Parquet it names the Python tool.
absl::StatusOr<RecordFormat> FormatOf(const std::string& path, const std::string& name);

// A file, or standard input for "-".
class InputFile {
 public:
  static absl::StatusOr<InputFile> Open(const std::string& path);
  std::istream& stream() { return *stream_; }
  // Bytes of a regular file; 0: not known.
  uint64_t size() const { return size_; }

 private:
  std::shared_ptr<std::istream> stream_;
  uint64_t size_ = 0;
};

// Reads records one by one. Errors are usage errors that name the line.
class RecordReader {
 public:
  virtual ~RecordReader() = default;

  // Goes to the next record; false at the end.
  virtual absl::StatusOr<bool> Next() = 0;

  // The names of the record's cells, and the cells.
  const std::vector<std::string>& names() const { return names_; }
  const std::vector<RecordCell>& cells() const { return cells_; }
  // Changes whenever the names do (JSON lines may leave fields out).
  uint64_t shape() const { return shape_; }
  // The line on which the record begins, from 1.
  uint64_t line() const { return line_; }

 protected:
  std::vector<std::string> names_;
  std::vector<RecordCell> cells_;
  uint64_t shape_ = 0;
  uint64_t line_ = 0;
};

// `in` must outlive the reader. With CSV the header row is read here.
absl::StatusOr<std::unique_ptr<RecordReader>> OpenRecords(std::istream& in, RecordFormat format);

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_RECORDS_H_
