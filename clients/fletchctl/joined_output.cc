// SPDX-License-Identifier: Apache-2.0
#include "joined_output.h"

#include <algorithm>
#include <iostream>
#include <utility>

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

void AddOutputOptions(CLI::App& command, OutputArgs& args) {
  command.add_option("--output,-o", args.file, "File to write; - is standard output")
      ->capture_default_str();
  command
      .add_option("--output-format", args.format,
                  "csv or jsonl; default by the name, and jsonl with --json")
      ->check(CLI::IsMember({"csv", "jsonl"}));
  command.add_flag("--statuses", args.statuses, "Add a column ref__status after each feature");
  command.add_flag("--event-timestamps", args.event_timestamps,
                   "Add a column ref__event_timestamp after each feature: when it was true");
}

absl::StatusOr<RecordFormat> OutputFormat(const OutputArgs& args, bool json) {
  if (args.format.empty() && json) return RecordFormat::kJsonLines;
  return FormatOf(args.file, args.format);
}

absl::StatusOr<std::unique_ptr<JoinedOutput>> JoinedOutput::Open(const OutputArgs& args,
                                                                 RecordFormat format) {
  auto output =
      std::make_unique<JoinedOutput>(std::cout, format, args.statuses, args.event_timestamps);
  if (args.file == "-") return output;
  output->file_ = std::make_unique<std::ofstream>(args.file, std::ios::binary | std::ios::trunc);
  if (!*output->file_) return UsageError(absl::StrCat("cannot write '", args.file, "'"));
  output->out_ = output->file_.get();
  return output;
}

absl::Status JoinedOutput::Begin(const std::vector<std::string>& spine_names,
                                 const std::vector<std::string>& refs) {
  spine_names_ = spine_names;
  refs_ = refs;
  std::vector<std::string> names = spine_names;
  for (const std::string& ref : refs) {
    for (const std::string& name : NamesOf(ref)) {
      if (std::find(spine_names.begin(), spine_names.end(), name) != spine_names.end()) {
        return UsageError(absl::StrCat("the spine has a column '", name,
                                       "', which is the name of an output column; rename it"));
      }
      names.push_back(name);
    }
  }
  if (format_ == RecordFormat::kJsonLines) return absl::OkStatus();
  for (std::string& name : names) name = CsvField(name);
  header_ = absl::StrCat(absl::StrJoin(names, ","), "\n");
  return absl::OkStatus();
}

std::vector<std::string> JoinedOutput::NamesOf(const std::string& ref) const {
  std::vector<std::string> names = {ref};
  if (statuses_) names.push_back(absl::StrCat(ref, "__status"));
  if (event_timestamps_) names.push_back(absl::StrCat(ref, "__event_timestamp"));
  return names;
}

absl::Status JoinedOutput::Write(const std::vector<SpineRow>& rows,
                                 const google::protobuf::RepeatedPtrField<v1::Column>& columns) {
  const std::vector<ColumnReader> readers(columns.begin(), columns.end());
  *out_ << std::exchange(header_, "");
  for (uint64_t i = 0; i < rows.size(); ++i) {
    if (format_ == RecordFormat::kCsv) {
      WriteCsv(rows[i], readers, i);
    } else {
      WriteJson(rows[i], readers, i);
    }
  }
  if (!*out_) return UsageError("cannot write the output: is the disk full?");
  return absl::OkStatus();
}

absl::Status JoinedOutput::Finish() {
  *out_ << std::exchange(header_, "");
  out_->flush();
  return *out_ ? absl::OkStatus() : UsageError("cannot write the output: is the disk full?");
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
    if (event_timestamps_) absl::StrAppend(&line, column.EventTimestampAt(index), ",");
  }
  line.back() = '\n';
  *out_ << line;
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
    if (event_timestamps_) {
      const std::string time = columns[i].EventTimestampAt(index);
      line[absl::StrCat(refs_[i], "__event_timestamp")] = time.empty() ? Json() : Json(time);
    }
  }
  *out_ << line.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
}

}  // namespace fletch::ctl
