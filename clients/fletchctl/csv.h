// SPDX-License-Identifier: Apache-2.0
// Comma-separated values as RFC 4180 says, strictly. Debian's libcsv accepts stray quotes and
// cannot tell "" from nothing, which here are an empty text and a null.
#ifndef FLETCH_CLIENTS_FLETCHCTL_CSV_H_
#define FLETCH_CLIENTS_FLETCHCTL_CSV_H_

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace fletch::ctl {

struct CsvCell {
  std::string text = {};
  bool quoted = false;
  // Nothing between the commas. A quoted nothing is an empty text.
  bool IsNull() const { return text.empty() && !quoted; }
};

// Reads records one by one. Line ends are LF or CRLF; a byte-order mark at the start is skipped.
class CsvReader {
 public:
  // `in` must outlive the reader.
  explicit CsvReader(std::istream& in) : in_(in) {}

  // The next record; nullopt at the end. INVALID_ARGUMENT (a usage error) names the line.
  absl::StatusOr<std::optional<std::vector<CsvCell>>> Next();

  // The line on which the last record began, from 1.
  uint64_t line() const { return record_line_; }

 private:
  absl::StatusOr<CsvCell> ReadCell();
  absl::StatusOr<CsvCell> ReadQuoted();
  int Get();

  std::istream& in_;
  uint64_t line_ = 1;
  uint64_t record_line_ = 0;
};

// `text` as a cell: in quotes where it must be, and where it is empty.
std::string CsvField(absl::string_view text);

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_CSV_H_
