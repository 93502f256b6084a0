// SPDX-License-Identifier: Apache-2.0
#include "fletch/columns.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace fletch::client {
namespace {

constexpr int64_t kMinTimeMicros = -62135596800000000;  // 0001-01-01T00:00:00Z
constexpr int64_t kMaxTimeMicros = 253402300799999999;  // 9999-12-31T23:59:59.999999Z

template <typename List, typename Values>
void Fill(List* list, const Values& values) {
  list->Reserve(static_cast<int>(values.size()));
  for (const auto& value : values) list->Add(value);
}

v1::Column WithNulls(v1::Column column, absl::Span<const uint64_t> null_rows) {
  column.mutable_null_rows()->Add(null_rows.begin(), null_rows.end());
  return column;
}

}  // namespace

v1::Column Bools(absl::Span<const bool> values, absl::Span<const uint64_t> null_rows) {
  v1::Column column;
  Fill(column.mutable_bools()->mutable_values(), values);
  return WithNulls(std::move(column), null_rows);
}

v1::Column Int64s(absl::Span<const int64_t> values, absl::Span<const uint64_t> null_rows) {
  v1::Column column;
  Fill(column.mutable_int64s()->mutable_values(), values);
  return WithNulls(std::move(column), null_rows);
}

v1::Column Floats(absl::Span<const float> values, absl::Span<const uint64_t> null_rows) {
  v1::Column column;
  Fill(column.mutable_floats()->mutable_values(), values);
  return WithNulls(std::move(column), null_rows);
}

v1::Column Doubles(absl::Span<const double> values, absl::Span<const uint64_t> null_rows) {
  v1::Column column;
  Fill(column.mutable_doubles()->mutable_values(), values);
  return WithNulls(std::move(column), null_rows);
}

v1::Column Strings(absl::Span<const std::string> values, absl::Span<const uint64_t> null_rows) {
  v1::Column column;
  v1::StringValues& list = *column.mutable_strings();
  for (const std::string& value : values) list.add_values(value);
  return WithNulls(std::move(column), null_rows);
}

v1::Column Timestamps(absl::Span<const absl::Time> values, absl::Span<const uint64_t> null_rows) {
  v1::Column column;
  *column.mutable_timestamps() = Times(values);
  return WithNulls(std::move(column), null_rows);
}

v1::Column Vectors(uint64_t dimension, absl::Span<const float> values,
                   absl::Span<const uint64_t> null_rows) {
  v1::Column column;
  column.mutable_vectors()->set_dimension(dimension);
  Fill(column.mutable_vectors()->mutable_values(), values);
  return WithNulls(std::move(column), null_rows);
}

v1::TimestampColumn Times(absl::Span<const absl::Time> values) {
  v1::TimestampColumn column;
  for (absl::Time value : values) column.add_micros(absl::ToUnixMicros(value));
  return column;
}

v1::KnownAt KnownAtCommit(uint64_t commit_seq) {
  v1::KnownAt known_at;
  known_at.set_commit_seq(commit_seq);
  return known_at;
}

v1::KnownAt KnownAtTime(absl::Time time) {
  v1::KnownAt known_at;
  *known_at.mutable_time() = Times({time});
  return known_at;
}

std::vector<v1::CellStatus> Statuses(const v1::Column& column, uint64_t row_count) {
  std::vector<v1::CellStatus> statuses(row_count, v1::PRESENT);
  for (int row = 0; row < column.statuses_size() && row < static_cast<int>(row_count); ++row) {
    statuses[row] = column.statuses(row);
  }
  return statuses;
}

absl::StatusOr<int64_t> ParseTimeMicros(absl::string_view text) {
  // A day first, so that no other word that ParseTime knows ("infinite-future") gets in.
  const bool starts_with_a_year = text.size() >= 10 && text[4] == '-' && text[7] == '-';
  absl::Time time;
  for (const char* format :
       {"%Y-%m-%d%ET%H:%M:%E*S%Ez", "%Y-%m-%d %H:%M:%E*S%Ez", "%Y-%m-%d%ET%H:%M:%E*S",
        "%Y-%m-%d %H:%M:%E*S", "%Y-%m-%d%ET%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"}) {
    if (!starts_with_a_year || !absl::ParseTime(format, text, &time, nullptr)) continue;
    const int64_t micros = absl::ToUnixMicros(time);
    if (micros < kMinTimeMicros || micros > kMaxTimeMicros) break;
    return micros;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "'", text, "' is not a time of the years 0001 to 9999; write it as 2001-01-31T12:00:00Z"));
}

std::string FormatTimeMicros(int64_t micros) {
  return absl::FormatTime("%E4Y-%m-%dT%H:%M:%E*SZ", absl::FromUnixMicros(micros),
                          absl::UTCTimeZone());
}

}  // namespace fletch::client
