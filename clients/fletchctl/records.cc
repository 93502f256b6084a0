// SPDX-License-Identifier: Apache-2.0
#include "records.h"

#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "csv.h"
#include "result.h"

namespace fletch::ctl {
namespace {

class CsvRecords : public RecordReader {
 public:
  explicit CsvRecords(std::istream& in) : csv_(in) {}

  absl::Status ReadHeader() {
    CTL_ASSIGN(auto header, csv_.Next());
    if (!header) return UsageError("the file is empty; a header row with the names is needed");
    std::set<std::string> seen;
    for (CsvCell& cell : *header) {
      if (cell.text.empty()) return UsageError("line 1: a column of the header has no name");
      if (!seen.insert(cell.text).second) {
        return UsageError(absl::StrCat("line 1: two columns are named '", cell.text, "'"));
      }
      names_.push_back(std::move(cell.text));
    }
    cells_.resize(names_.size());
    return absl::OkStatus();
  }

  absl::StatusOr<bool> Next() override {
    CTL_ASSIGN(auto record, csv_.Next());
    if (!record) return false;
    line_ = csv_.line();
    if (record->size() != names_.size()) {
      return UsageError(absl::StrCat("line ", line_, ": ", record->size(),
                                     " cells, but the header has ", names_.size(), " columns"));
    }
    for (size_t i = 0; i < names_.size(); ++i) {
      CsvCell& cell = (*record)[i];
      cells_[i] = cell.IsNull() ? RecordCell() : RecordCell(std::move(cell.text));
    }
    return true;
  }

 private:
  CsvReader csv_;
};

class JsonRecords : public RecordReader {
 public:
  explicit JsonRecords(std::istream& in) : in_(in) {}

  absl::StatusOr<bool> Next() override {
    std::string text;
    do {
      if (!std::getline(in_, text)) return false;
      ++line_;
    } while (text.find_first_not_of(" \t\r") == std::string::npos);
    Json object = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!object.is_object()) {
      return UsageError(absl::StrCat("line ", line_,
                                     ": not a JSON object; each line is one, such as ",
                                     R"({"airport": "SFO", "temperature_c": 11.5})"));
    }
    std::vector<std::string> names;
    cells_.clear();
    for (auto& [name, value] : object.items()) {
      names.push_back(name);
      cells_.push_back(value.is_null() ? RecordCell() : RecordCell(std::move(value)));
    }
    if (names != names_) {
      names_ = std::move(names);
      ++shape_;
    }
    return true;
  }

 private:
  std::istream& in_;
};

}  // namespace

absl::Status AddCell(const RecordCell& cell, ColumnBuilder& builder) {
  if (const auto* text = std::get_if<std::string>(&cell)) return builder.AddText(*text);
  if (const auto* json = std::get_if<Json>(&cell)) return builder.AddJson(*json);
  builder.AddNull();
  return absl::OkStatus();
}

absl::StatusOr<RecordFormat> FormatOf(const std::string& path, const std::string& name) {
  if (name == "csv" || (name.empty() && (path == "-" || absl::EndsWith(path, ".csv")))) {
    return RecordFormat::kCsv;
  }
  if (name == "jsonl") return RecordFormat::kJsonLines;
  for (const char* end : {".jsonl", ".ndjson", ".json"}) {
    if (name.empty() && absl::EndsWith(path, end)) return RecordFormat::kJsonLines;
  }
  if (absl::EndsWith(path, ".parquet")) {
    return UsageError(absl::StrCat("'", path, "' is Parquet, which the Python tool reads: ",
                                   "python3 -m fletch write VIEW ", path));
  }
  return UsageError(
      absl::StrCat("cannot tell the format of '", path, "'; add --format csv or --format jsonl"));
}

absl::StatusOr<InputFile> InputFile::Open(const std::string& path) {
  InputFile file;
  if (path == "-") {
    file.stream_ = std::shared_ptr<std::istream>(&std::cin, [](std::istream*) {});
    return file;
  }
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return UsageError(absl::StrCat("'", path, "' is a folder, not a file"));
  }
  file.stream_ = std::make_shared<std::ifstream>(path, std::ios::binary);
  if (!*file.stream_) return UsageError(absl::StrCat("cannot read '", path, "'"));
  if (std::filesystem::is_regular_file(path, error)) {
    file.size_ = std::filesystem::file_size(path, error);
    if (error) file.size_ = 0;
  }
  return file;
}

absl::StatusOr<std::unique_ptr<RecordReader>> OpenRecords(std::istream& in, RecordFormat format) {
  if (format == RecordFormat::kJsonLines) return std::make_unique<JsonRecords>(in);
  auto reader = std::make_unique<CsvRecords>(in);
  CTL_RETURN_IF_ERROR(reader->ReadHeader());
  return reader;
}

}  // namespace fletch::ctl
