// SPDX-License-Identifier: Apache-2.0
#include "joined_output.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "csv.h"
#include "result.h"

namespace fletch::ctl {
namespace {

std::string CellText(const RecordCell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return CsvField(*text);
  if (const auto* json = std::get_if<Json>(&cell)) {
    return CsvField(json->is_string() ? json->get<std::string>()
                                      : json->dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  return "";
}

Json CellJson(const RecordCell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  if (const auto* json = std::get_if<Json>(&cell)) return *json;
  return nullptr;
}

}  // namespace

absl::Status JoinedOutput::Begin(const std::vector<std::string>& spine_names,
                                 const std::vector<std::string>& refs) {
  spine_names_ = spine_names;
  refs_ = refs;
  std::vector<std::string> names = spine_names;
  for (const std::string& ref : refs) {
    for (const std::string& name : {ref, absl::StrCat(ref, "__status")}) {
      if (std::find(spine_names.begin(), spine_names.end(), name) != spine_names.end()) {
        return UsageError(absl::StrCat("the spine has a column '", name,
                                       "', which is the name of an output column; rename it"));
      }
    }
    names.push_back(ref);
    if (statuses_) names.push_back(absl::StrCat(ref, "__status"));
  }
  if (format_ == RecordFormat::kJsonLines) return absl::OkStatus();
  for (std::string& name : names) name = CsvField(name);
  out_ << absl::StrJoin(names, ",") << "\n";
  return absl::OkStatus();
}

void JoinedOutput::Write(const std::vector<SpineRow>& rows,
                         const v1::GetHistoricalFeaturesResponse& answer) {
  const std::vector<ColumnReader> columns(answer.columns().begin(), answer.columns().end());
  for (uint64_t i = 0; i < rows.size(); ++i) {
    if (format_ == RecordFormat::kCsv) {
      WriteCsv(rows[i], columns, i);
    } else {
      WriteJson(rows[i], columns, i);
    }
  }
}

void JoinedOutput::WriteCsv(const SpineRow& row, const std::vector<ColumnReader>& columns,
                            uint64_t index) {
  std::string line;
  for (const RecordCell& cell : row) absl::StrAppend(&line, CellText(cell), ",");
  for (const ColumnReader& column : columns) {
    const v1::CellStatus status = column.StatusAt(index);
    if (status == v1::PRESENT) line += CsvField(column.TextAt(index));
    line += ",";
    if (statuses_) absl::StrAppend(&line, v1::CellStatus_Name(status), ",");
  }
  line.back() = '\n';
  out_ << line;
}

void JoinedOutput::WriteJson(const SpineRow& row, const std::vector<ColumnReader>& columns,
                             uint64_t index) {
  Json line = Json::object();
  for (size_t i = 0; i < row.size(); ++i) line[spine_names_[i]] = CellJson(row[i]);
  for (size_t i = 0; i < columns.size(); ++i) {
    line[refs_[i]] = columns[i].JsonAt(index);
    if (statuses_) {
      line[absl::StrCat(refs_[i], "__status")] = v1::CellStatus_Name(columns[i].StatusAt(index));
    }
  }
  out_ << line.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
}

}  // namespace fletch::ctl
