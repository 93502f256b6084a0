// SPDX-License-Identifier: Apache-2.0
#include "training_set_text.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "count_text.h"
#include "fletch/columns.h"

namespace fletch::ctl {

Json TrainingSetJson(const v1::TrainingSet& set) {
  Json features = Json::array();
  for (const v1::ResolvedFeature& feature : set.features()) {
    features.push_back({{"ref", feature.ref()}, {"resolved", feature.resolved()}});
  }
  return {{"name", set.name()},
          {"description", set.description()},
          {"created", client::FormatTimeMicros(set.created_micros())},
          {"row_count", set.row_count()},
          {"batch_count", set.batch_count()},
          {"read_seq", set.read_seq()},
          {"known_at_mode", v1::KnownAtMode_Name(set.known_at_mode())},
          {"feature_service", set.feature_service()},
          {"features", features},
          {"min_timestamp", client::FormatTimeMicros(set.min_timestamp_micros())},
          {"max_timestamp", client::FormatTimeMicros(set.max_timestamp_micros())},
          {"digest", absl::BytesToHexString(set.digest())},
          {"engine_version", set.engine_version()},
          {"unreadable", set.unreadable()}};
}

std::string TrainingSetText(const v1::TrainingSet& set) {
  std::string text = absl::StrCat("training set ", set.name(), ", created ",
                                  client::FormatTimeMicros(set.created_micros()), " by ",
                                  set.engine_version(), "\n");
  if (!set.description().empty()) absl::StrAppend(&text, set.description(), "\n");
  if (!set.unreadable().empty()) absl::StrAppend(&text, set.unreadable(), "\n");
  absl::StrAppend(&text, "rows      ", set.row_count(), " in ",
                  CountText(set.batch_count(), "batch", "batches"), ", of ",
                  client::FormatTimeMicros(set.min_timestamp_micros()), " to ",
                  client::FormatTimeMicros(set.max_timestamp_micros()), "\n");
  absl::StrAppend(
      &text, "known at  commit ", set.read_seq(),
      set.known_at_mode() == v1::AS_SERVED ? " and before, each row as it was served" : "", "\n");
  absl::StrAppend(&text, "digest    ", absl::BytesToHexString(set.digest()), "\n");
  absl::StrAppend(&text, "features  ",
                  set.feature_service().empty()
                      ? CountText(set.features_size(), "ref")
                      : absl::StrCat("of feature service ", set.feature_service()),
                  "\n");
  for (const v1::ResolvedFeature& feature : set.features()) {
    absl::StrAppend(&text, "  ", feature.ref());
    if (feature.ref() != feature.resolved()) absl::StrAppend(&text, " = ", feature.resolved());
    text += "\n";
  }
  return text;
}

SpineTable::SpineTable(const v1::SpineBatch& spine) : spine_(spine) {
  *times_.mutable_timestamps() = spine.timestamps();
  AddAll(spine.keys());
  Add("event_timestamp", times_);
  AddAll(spine.request_context());
}

void SpineTable::AddAll(const google::protobuf::Map<std::string, v1::Column>& columns) {
  std::vector<std::string> names;
  for (const auto& [name, column] : columns) names.push_back(name);
  std::sort(names.begin(), names.end());  // the wire's maps have no order
  for (const std::string& name : names) Add(name, columns.at(name));
}

void SpineTable::Add(const std::string& name, const v1::Column& column) {
  // A key may be the request's too: it is one column of the spine.
  if (std::find(names_.begin(), names_.end(), name) != names_.end()) return;
  names_.push_back(name);
  sources_.push_back({ColumnReader(column), RowCount(column) == 1});
}

std::vector<SpineRow> SpineTable::Rows(RecordFormat format) const {
  std::vector<SpineRow> rows(spine_.row_count());
  for (uint64_t row = 0; row < rows.size(); ++row) {
    for (const Source& source : sources_) {
      const uint64_t at = source.one_for_all ? 0 : row;
      RecordCell cell;
      if (source.reader.StatusAt(at) == v1::PRESENT && format == RecordFormat::kCsv) {
        cell = source.reader.TextAt(at);
      } else if (source.reader.StatusAt(at) == v1::PRESENT) {
        cell = source.reader.JsonAt(at);
      }
      rows[row].push_back(std::move(cell));
    }
  }
  return rows;
}

}  // namespace fletch::ctl
