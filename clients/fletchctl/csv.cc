// SPDX-License-Identifier: Apache-2.0
#include "csv.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "result.h"

namespace fletch::ctl {
namespace {

constexpr int kEnd = std::char_traits<char>::eof();

bool EndsCell(int c) { return c == ',' || c == '\n' || c == '\r' || c == kEnd; }

absl::Status At(uint64_t line, absl::string_view what) {
  return UsageError(absl::StrCat("line ", line, ": ", what));
}

}  // namespace

int CsvReader::Get() {
  // Straight from the buffer: the formatted layer costs more than all the rest.
  const int c = in_.rdbuf()->sbumpc();
  if (c == '\n') ++line_;
  return c;
}

absl::StatusOr<CsvCell> CsvReader::ReadQuoted() {
  const uint64_t first_line = line_;
  CsvCell cell{.quoted = true};
  Get();
  while (true) {
    const int c = Get();
    if (c == kEnd) return At(first_line, "a quoted cell is never closed");
    if (c != '"') {
      cell.text.push_back(static_cast<char>(c));
    } else if (in_.rdbuf()->sgetc() == '"') {
      cell.text.push_back(static_cast<char>(Get()));
    } else {
      break;
    }
  }
  if (EndsCell(in_.rdbuf()->sgetc())) return cell;
  return At(line_, "text after a closing quote; write a quote inside a quoted cell twice");
}

absl::StatusOr<CsvCell> CsvReader::ReadCell() {
  if (in_.rdbuf()->sgetc() == '"') return ReadQuoted();
  CsvCell cell;
  for (int c = in_.rdbuf()->sgetc(); !EndsCell(c); c = in_.rdbuf()->sgetc()) {
    if (c == '"') return At(line_, "a quote inside a cell that does not begin with one");
    cell.text.push_back(static_cast<char>(Get()));
  }
  return cell;
}

absl::StatusOr<std::optional<std::vector<CsvCell>>> CsvReader::Next() {
  std::vector<CsvCell> record;
  if (record_line_ == 0 && in_.rdbuf()->sgetc() == 0xEF) {
    if (Get(), Get() != 0xBB || Get() != 0xBF) return At(1, "not UTF-8");
  }
  record_line_ = line_;
  if (in_.rdbuf()->sgetc() == kEnd) return std::nullopt;
  while (true) {
    CTL_ASSIGN(CsvCell cell, ReadCell());
    record.push_back(std::move(cell));
    const int c = Get();
    if (c == ',') continue;
    if (c == '\r' && Get() != '\n') return At(line_, "a carriage return without a line feed");
    break;
  }
  return record;
}

std::string CsvField(absl::string_view text) {
  if (!text.empty() && text.find_first_of(",\"\r\n") == absl::string_view::npos) {
    return std::string(text);
  }
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

}  // namespace fletch::ctl
