// SPDX-License-Identifier: Apache-2.0
#include "server/engine/proto_column.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"

namespace fletch {
namespace {

std::string Join(std::string_view path, std::string_view name) {
  return path.empty() ? std::string(name) : StrCat(path, ".", name);
}

absl::Status CheckCount(size_t values, size_t row_count, std::string_view path) {
  if (values == row_count) return absl::OkStatus();
  return InvalidArgument(StrCat("has ", values, " values for ", row_count,
                                " rows; send one a row, zero or empty where it is null"),
                         path);
}

absl::Status CheckNullRows(const v1::Column& in, size_t row_count, std::string_view path) {
  for (int i = 0; i < in.null_rows_size(); ++i) {
    const uint64_t row = in.null_rows(i);
    if (row >= row_count) {
      return InvalidArgument(StrCat("names row ", row, " of ", row_count, "; rows count from 0"),
                             Join(path, "null_rows"));
    }
    if (i > 0 && row <= in.null_rows(i - 1)) {
      return InvalidArgument(StrCat("row ", row, " comes after row ", in.null_rows(i - 1),
                                    "; rows must ascend, each once"),
                             Join(path, "null_rows"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTime(int64_t micros, size_t row, std::string_view path) {
  if (micros >= limits::kMinTimeMicros && micros <= limits::kMaxTimeMicros) return absl::OkStatus();
  return OutOfRange(StrCat("row ", row, ": ", micros,
                           " µs is not in years 0001 to 9999; times are microseconds since 1970"),
                    path);
}

absl::StatusOr<int64_t> ParseRfc3339(const std::string& text, size_t row, std::string_view path) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error)) {
    return InvalidArgument(
        StrCat("row ", row, ": \"", std::string_view(text).substr(0, 64),
               "\" is no RFC 3339 time such as \"2001-01-31T12:00:00Z\": ", error),
        path);
  }
  if (time < absl::FromUnixMicros(limits::kMinTimeMicros) ||
      time >= absl::FromUnixMicros(limits::kMaxTimeMicros + 1)) {
    return OutOfRange(StrCat("row ", row, ": \"", std::string_view(text).substr(0, 64),
                             "\" is not in years 0001 to 9999"),
                      path);
  }
  return absl::ToUnixMicros(time);
}

// Empty texts are allowed in `null_rows` (ascending).
template <typename NullRows>
absl::StatusOr<std::vector<int64_t>> ReadTimes(const v1::TimestampColumn& in, size_t row_count,
                                               const NullRows& null_rows, std::string_view path) {
  if (in.micros_size() > 0 && in.rfc3339_size() > 0) {
    return InvalidArgument("has both micros and rfc3339; use one of them", path);
  }
  std::vector<int64_t> times(in.micros().begin(), in.micros().end());
  if (in.rfc3339_size() == 0) {
    RETURN_IF_ERROR(CheckCount(times.size(), row_count, path));
    for (size_t row = 0; row < times.size(); ++row)
      RETURN_IF_ERROR(CheckTime(times[row], row, path));
    return times;
  }
  RETURN_IF_ERROR(CheckCount(in.rfc3339_size(), row_count, path));
  times.reserve(row_count);
  for (const std::string& text : in.rfc3339()) {
    const size_t row = times.size();
    if (text.empty() && std::binary_search(null_rows.begin(), null_rows.end(), row)) {
      times.push_back(0);
      continue;
    }
    ASSIGN_OR_RETURN(const int64_t micros, ParseRfc3339(text, row, path));
    times.push_back(micros);
  }
  return times;
}

template <typename Values, typename T>
absl::Status CopyValues(const Values& values, size_t row_count, std::string_view path,
                        std::vector<T>* out) {
  RETURN_IF_ERROR(CheckCount(values.size(), row_count, path));
  out->assign(values.begin(), values.end());
  return absl::OkStatus();
}

absl::Status ReadScalars(const v1::Column& in, std::string_view path, Column* out) {
  const size_t rows = out->row_count;
  switch (in.values_case()) {
    case v1::Column::kBools:
      out->type.type = ValueType::kBool;
      return CopyValues(in.bools().values(), rows, path, &out->bools);
    case v1::Column::kInt32S:
      out->type.type = ValueType::kInt32;
      return CopyValues(in.int32s().values(), rows, path, &out->int32s);
    case v1::Column::kInt64S:
      out->type.type = ValueType::kInt64;
      return CopyValues(in.int64s().values(), rows, path, &out->int64s);
    case v1::Column::kFloats:
      out->type.type = ValueType::kFloat;
      return CopyValues(in.floats().values(), rows, path, &out->floats);
    case v1::Column::kDoubles:
      out->type.type = ValueType::kDouble;
      return CopyValues(in.doubles().values(), rows, path, &out->doubles);
    case v1::Column::kStrings:
      out->type.type = ValueType::kString;
      return CopyValues(in.strings().values(), rows, path, &out->strings);
    case v1::Column::kBytes:
      out->type.type = ValueType::kBytes;
      return CopyValues(in.bytes().values(), rows, path, &out->strings);
    case v1::Column::kJson:
      out->type.type = ValueType::kJson;
      return CopyValues(in.json().values(), rows, path, &out->strings);
    case v1::Column::kTimestamps: {
      out->type.type = ValueType::kTimestamp;
      ASSIGN_OR_RETURN(out->int64s, ReadTimes(in.timestamps(), rows, in.null_rows(), path));
      return absl::OkStatus();
    }
    case v1::Column::kVectors:
    case v1::Column::kArrays:
    case v1::Column::VALUES_NOT_SET:
      break;
  }
  return InvalidArgument("has no values; fill one list, for example doubles", path);
}

absl::Status ReadVectors(const v1::VectorValues& in, std::string_view path, Column* out) {
  if (in.dimension() < 1 || in.dimension() > limits::kMaxDimension) {
    return OutOfRange(
        StrCat("is ", in.dimension(), "; a vector has 1 to ", limits::kMaxDimension, " elements"),
        Join(path, "vectors.dimension"));
  }
  const size_t floats = in.values_size();
  if (floats % in.dimension() != 0 || floats / in.dimension() != out->row_count) {
    return InvalidArgument(
        StrCat("has ", floats, " floats for ", out->row_count, " vectors of dimension ",
               in.dimension(), "; send dimension × rows, zeros where null"),
        path);
  }
  out->type = {.type = ValueType::kFloatVector, .dimension = static_cast<uint32_t>(in.dimension())};
  out->floats.assign(in.values().begin(), in.values().end());
  return absl::OkStatus();
}

absl::Status ReadArrays(const v1::ArrayValues& in, std::string_view path, Column* out) {
  RETURN_IF_ERROR(CheckCount(in.lengths_size(), out->row_count, Join(path, "arrays.lengths")));
  const v1::Column& elements = in.elements();
  const std::string elements_path = Join(path, "arrays.elements");
  if (elements.values_case() == v1::Column::kArrays ||
      elements.values_case() == v1::Column::kVectors ||
      elements.values_case() == v1::Column::kJson) {
    return InvalidArgument(
        "arrays hold scalars; arrays of arrays, vectors or JSON are not supported", elements_path);
  }
  if (elements.null_rows_size() > 0) {
    return InvalidArgument("elements of arrays are never null", Join(elements_path, "null_rows"));
  }
  // A list of 2^31 elements is more than a message can hold, so a greater length is a lie and the
  // sum cannot overflow.
  constexpr uint64_t kMaxLength = uint64_t{1} << 31;
  uint64_t total = 0;
  for (int row = 0; row < in.lengths_size(); ++row) {
    if (in.lengths(row) >= kMaxLength) {
      return InvalidArgument(
          StrCat("row ", row, ": no message can hold ", in.lengths(row), " elements"),
          Join(path, "arrays.lengths"));
    }
    total += in.lengths(row);
  }
  Column flat;
  flat.row_count = total;
  RETURN_IF_ERROR(ReadScalars(elements, elements_path, &flat));
  flat.row_count = out->row_count;
  flat.type.array = true;
  flat.lengths.assign(in.lengths().begin(), in.lengths().end());
  *out = std::move(flat);
  return absl::OkStatus();
}

template <typename T>
void ClearRow(size_t row, size_t width, std::vector<T>* values) {
  if (values->empty()) return;
  std::fill_n(values->begin() + row * width, width, T());
}

// Storage relies on zero or empty values at null rows.
absl::Status ClearNullRows(std::string_view path, Column* out) {
  for (const uint64_t row : out->null_rows) {
    if (out->type.array) {
      if (out->lengths[row] == 0) continue;
      return InvalidArgument(StrCat("row ", row, " is null and has ", out->lengths[row],
                                    " elements; a null array has length 0"),
                             Join(path, "arrays.lengths"));
    }
    ClearRow(row, 1, &out->bools);
    ClearRow(row, 1, &out->int32s);
    ClearRow(row, 1, &out->int64s);
    ClearRow(row, out->type.is_vector() ? out->type.dimension : 1, &out->floats);
    ClearRow(row, 1, &out->doubles);
    ClearRow(row, 1, &out->strings);
  }
  return absl::OkStatus();
}

template <typename T, typename Repeated>
void AddAll(const std::vector<T>& values, Repeated* out) {
  out->Add(values.begin(), values.end());
}

template <typename Repeated>
void MoveStrings(std::vector<std::string>&& values, Repeated* out) {
  out->Reserve(static_cast<int>(values.size()));
  for (std::string& value : values) out->Add(std::move(value));
}

void ScalarsToProto(Column&& column, v1::Column* out) {
  switch (column.type.type) {
    case ValueType::kBool:
      return AddAll(column.bools, out->mutable_bools()->mutable_values());
    case ValueType::kInt32:
      return AddAll(column.int32s, out->mutable_int32s()->mutable_values());
    case ValueType::kInt64:
      return AddAll(column.int64s, out->mutable_int64s()->mutable_values());
    case ValueType::kFloat:
      return AddAll(column.floats, out->mutable_floats()->mutable_values());
    case ValueType::kDouble:
      return AddAll(column.doubles, out->mutable_doubles()->mutable_values());
    case ValueType::kString:
      return MoveStrings(std::move(column.strings), out->mutable_strings()->mutable_values());
    case ValueType::kBytes:
      return MoveStrings(std::move(column.strings), out->mutable_bytes()->mutable_values());
    case ValueType::kJson:
      return MoveStrings(std::move(column.strings), out->mutable_json()->mutable_values());
    case ValueType::kTimestamp:
      return AddAll(column.int64s, out->mutable_timestamps()->mutable_micros());
    case ValueType::kFloatVector:
      out->mutable_vectors()->set_dimension(column.type.dimension);
      return AddAll(column.floats, out->mutable_vectors()->mutable_values());
  }
}

}  // namespace

absl::StatusOr<Column> FromProto(const v1::Column& in, size_t row_count, std::string_view path) {
  if (in.statuses_size() > 0 || in.has_event_timestamps() ||
      in.event_timestamp_unset_rows_size() > 0) {
    return InvalidArgument(
        "has statuses or event_timestamps, which belong to answers; say null_rows instead", path);
  }
  RETURN_IF_ERROR(CheckNullRows(in, row_count, path));
  Column out;
  out.row_count = row_count;
  if (in.has_vectors()) {
    RETURN_IF_ERROR(ReadVectors(in.vectors(), path, &out));
  } else if (in.has_arrays()) {
    RETURN_IF_ERROR(ReadArrays(in.arrays(), path, &out));
  } else {
    RETURN_IF_ERROR(ReadScalars(in, path, &out));
  }
  out.null_rows.assign(in.null_rows().begin(), in.null_rows().end());
  RETURN_IF_ERROR(ClearNullRows(path, &out));
  return out;
}

absl::StatusOr<std::vector<int64_t>> TimesFromProto(const v1::TimestampColumn& in, size_t row_count,
                                                    std::string_view path) {
  return ReadTimes(in, row_count, std::vector<uint64_t>(), path);
}

void ToProto(Column&& column, v1::Column* out) {
  AddAll(column.null_rows, out->mutable_null_rows());
  if (std::any_of(column.statuses.begin(), column.statuses.end(),
                  [](CellStatus status) { return status != CellStatus::kPresent; })) {
    out->mutable_statuses()->Reserve(static_cast<int>(column.statuses.size()));
    for (const CellStatus status : column.statuses)
      out->add_statuses(static_cast<v1::CellStatus>(status));
  }
  if (column.event_times != nullptr) {
    const std::vector<int64_t>& times = *column.event_times;
    auto* micros = out->mutable_event_timestamps()->mutable_micros();
    AddAll(times, micros);
    for (size_t row = 0; row < times.size(); ++row) {
      if (times[row] != kUnsetTime) continue;
      micros->Set(static_cast<int>(row), 0);
      out->add_event_timestamp_unset_rows(row);
    }
  }
  if (!column.type.array) return ScalarsToProto(std::move(column), out);
  AddAll(column.lengths, out->mutable_arrays()->mutable_lengths());
  ScalarsToProto(std::move(column), out->mutable_arrays()->mutable_elements());
}

}  // namespace fletch
