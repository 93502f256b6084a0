// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <limits>
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/flight/ipc_array.h"

namespace fletch {
namespace {

constexpr int64_t kMicrosPerSecond = 1'000'000;
constexpr int64_t kMicrosPerDay = 86'400 * kMicrosPerSecond;
constexpr size_t kViewBytes = 16;
constexpr size_t kInlineViewBytes = 12;  // shorter values stand in the view itself

// Buffers start where their sender put them.
template <class T>
T Load(std::string_view bytes, size_t i) {
  T value;
  std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}

template <class T>
void CopyValues(const ArrowArray& array, size_t begin, size_t count, std::vector<T>* out) {
  out->resize(count);
  if (count > 0) std::memcpy(out->data(), array.data.data() + begin * sizeof(T), count * sizeof(T));
}

template <class Narrow, class Wide>
void WidenValues(const ArrowArray& array, size_t begin, size_t count, std::vector<Wide>* out) {
  out->resize(count);
  for (size_t i = 0; i < count; ++i) (*out)[i] = Load<Narrow>(array.data, begin + i);
}

template <class T>
void ZeroNulls(const std::vector<uint64_t>& null_rows, std::vector<T>* values) {
  for (const uint64_t row : null_rows) (*values)[row] = T{};
}

// One call for each kind of scalar: the source, which range of it, and what a value is called.
struct Source {
  const ArrowType& type;
  const ArrowArray& array;
  size_t begin;
  size_t count;
  std::string_view what;
  const IpcLimits& limits;

  std::string At(size_t i) const { return StrCat(what, " ", begin + i); }
};

void ReadBools(const Source& in, Column* out) {
  out->bools.resize(in.count);
  for (size_t i = 0; i < in.count; ++i) {
    const size_t bit = in.begin + i;
    out->bools[i] = (static_cast<uint8_t>(in.array.data[bit >> 3]) >> (bit & 7)) & 1;
  }
  ZeroNulls(out->null_rows, &out->bools);
}

absl::Status ReadUnsigned64(const Source& in, Column* out) {
  out->type.type = ValueType::kInt64;
  CopyValues(in.array, in.begin, in.count, &out->int64s);
  ZeroNulls(out->null_rows, &out->int64s);
  for (size_t i = 0; i < in.count; ++i) {
    if (out->int64s[i] >= 0) continue;
    return InvalidArgument(StrCat(in.At(i), " is ", static_cast<uint64_t>(out->int64s[i]),
                                  "; the greatest INT64 is ", std::numeric_limits<int64_t>::max()));
  }
  return absl::OkStatus();
}

absl::Status ReadInts(const Source& in, Column* out) {
  const bool is_signed = in.type.is_signed;
  if (in.type.bits == 64 && !is_signed) return ReadUnsigned64(in, out);
  if (in.type.bits == 64 || (in.type.bits == 32 && !is_signed)) {
    out->type.type = ValueType::kInt64;
    in.type.bits == 64 ? CopyValues(in.array, in.begin, in.count, &out->int64s)
                       : WidenValues<uint32_t>(in.array, in.begin, in.count, &out->int64s);
    ZeroNulls(out->null_rows, &out->int64s);
    return absl::OkStatus();
  }
  out->type.type = ValueType::kInt32;
  std::vector<int32_t>* values = &out->int32s;
  if (in.type.bits == 32) {
    CopyValues(in.array, in.begin, in.count, values);
  } else if (in.type.bits == 16) {
    is_signed ? WidenValues<int16_t>(in.array, in.begin, in.count, values)
              : WidenValues<uint16_t>(in.array, in.begin, in.count, values);
  } else {
    is_signed ? WidenValues<int8_t>(in.array, in.begin, in.count, values)
              : WidenValues<uint8_t>(in.array, in.begin, in.count, values);
  }
  ZeroNulls(out->null_rows, values);
  return absl::OkStatus();
}

void ReadFloats(const Source& in, Column* out) {
  if (in.type.bits == 32) {
    out->type.type = ValueType::kFloat;
    CopyValues(in.array, in.begin, in.count, &out->floats);
    ZeroNulls(out->null_rows, &out->floats);
  } else {
    out->type.type = ValueType::kDouble;
    CopyValues(in.array, in.begin, in.count, &out->doubles);
    ZeroNulls(out->null_rows, &out->doubles);
  }
}

// Units of the source in one microsecond, or microseconds in one unit.
struct Scale {
  int64_t multiply = 1;
  int64_t divide = 1;
};

Scale ScaleOf(const ArrowType& type) {
  if (type.kind == ArrowKind::kDate) return {type.bits == 32 ? kMicrosPerDay : 1000, 1};
  switch (type.unit) {
    case TimeUnit::kSecond:
      return {kMicrosPerSecond, 1};
    case TimeUnit::kMilli:
      return {1000, 1};
    case TimeUnit::kMicro:
      return {};
    case TimeUnit::kNano:
      return {1, 1000};
  }
  return {};
}

absl::Status ReadTimes(const Source& in, Column* out) {
  out->type.type = ValueType::kTimestamp;
  const Scale scale = ScaleOf(in.type);
  std::vector<int64_t>* times = &out->int64s;
  in.type.kind == ArrowKind::kDate&& in.type.bits == 32
      ? WidenValues<int32_t>(in.array, in.begin, in.count, times)
      : CopyValues(in.array, in.begin, in.count, times);
  ZeroNulls(out->null_rows, times);
  const int64_t least = limits::kMinTimeMicros / scale.multiply;
  const int64_t greatest = limits::kMaxTimeMicros / scale.multiply;
  for (size_t i = 0; i < in.count; ++i) {
    int64_t time = (*times)[i];
    if (scale.divide > 1) {
      const int64_t rest = time % scale.divide;
      time = time / scale.divide - (rest < 0 ? 1 : 0);
    }
    if (time < least || time > greatest) {
      return OutOfRange(StrCat(in.At(i), " lies outside of the years 0001 to 9999"));
    }
    (*times)[i] = time * scale.multiply;
  }
  return absl::OkStatus();
}

// Of a column whose every value is a piece of bytes: at(i) finds the piece or says what is wrong.
template <class At>
absl::Status ReadPieces(const Source& in, At at, Column* out) {
  std::vector<std::string_view> pieces(in.count);
  size_t total = 0;
  for (size_t i = 0; i < in.count; ++i) {
    if (in.array.IsNull(in.begin + i)) continue;
    ASSIGN_OR_RETURN(pieces[i], at(i));
    total += pieces[i].size();
    if (total > in.limits.value_bytes) {
      return OutOfRange(StrCat("the values up to ", in.At(i), " have ", total,
                               " bytes; the limit max_flight_value_bytes is ",
                               in.limits.value_bytes, "; send fewer rows at a time"));
    }
  }
  out->strings.assign(pieces.begin(), pieces.end());
  return absl::OkStatus();
}

template <class Offset>
absl::Status ReadOffsetPieces(const Source& in, Column* out) {
  const std::string_view values = in.array.values;
  auto at = [&](size_t i) -> absl::StatusOr<std::string_view> {
    const auto low = Load<Offset>(in.array.data, in.begin + i);
    const auto high = Load<Offset>(in.array.data, in.begin + i + 1);
    if (low < 0 || high < low || static_cast<uint64_t>(high) > values.size()) {
      return InvalidArgument(StrCat("the offsets ", low, " and ", high, " of ", in.At(i),
                                    " do not fit ", values.size(), " bytes of values"));
    }
    return values.substr(low, high - low);
  };
  return ReadPieces(in, at, out);
}

absl::Status ReadViews(const Source& in, Column* out) {
  auto at = [&](size_t i) -> absl::StatusOr<std::string_view> {
    const std::string_view view = in.array.data.substr((in.begin + i) * kViewBytes, kViewBytes);
    const auto size = Load<int32_t>(view, 0);
    if (size >= 0 && static_cast<size_t>(size) <= kInlineViewBytes) return view.substr(4, size);
    const auto part = Load<int32_t>(view, 2);
    const auto offset = Load<int32_t>(view, 3);
    const bool known = part >= 0 && static_cast<size_t>(part) < in.array.parts.size();
    const size_t part_size = known ? in.array.parts[part].size() : 0;
    if (size < 0 || !known || offset < 0 || static_cast<size_t>(offset) > part_size ||
        static_cast<size_t>(size) > part_size - offset) {
      return InvalidArgument(StrCat("the view of ", in.At(i), " does not fit its buffers"));
    }
    return in.array.parts[part].substr(offset, size);
  };
  return ReadPieces(in, at, out);
}

absl::Status ReadTexts(const Source& in, Column* out) {
  out->type.type = in.type.kind == ArrowKind::kUtf8 ? ValueType::kString : ValueType::kBytes;
  if (in.count == 0) return absl::OkStatus();  // an empty array may have no offsets
  if (in.type.view) return ReadViews(in, out);
  return in.type.large ? ReadOffsetPieces<int64_t>(in, out) : ReadOffsetPieces<int32_t>(in, out);
}

}  // namespace

IpcLimits DefaultIpcLimits() { return {limits::kMaxFlightBodyBytes, limits::kMaxFlightValueBytes}; }

std::vector<uint64_t> NullRows(const ArrowArray& array, size_t begin, size_t count) {
  std::vector<uint64_t> rows;
  if (array.validity.empty()) return rows;
  for (size_t i = 0; i < count;) {
    const size_t bit = begin + i;
    if ((bit & 7) == 0 && i + 8 <= count && array.validity[bit >> 3] == '\xff') {
      i += 8;
      continue;
    }
    if (array.IsNull(bit)) rows.push_back(i);
    ++i;
  }
  return rows;
}

absl::StatusOr<Column> ReadScalars(const ArrowType& type, const ArrowArray& array, size_t begin,
                                   size_t count, std::string_view what, const IpcLimits& limits) {
  const Source in{type, array, begin, count, what, limits};
  Column out{.type = {}, .row_count = count, .null_rows = NullRows(array, begin, count)};
  switch (type.kind) {
    case ArrowKind::kBool:
      out.type.type = ValueType::kBool;
      ReadBools(in, &out);
      return out;
    case ArrowKind::kInt:
      RETURN_IF_ERROR(ReadInts(in, &out));
      return out;
    case ArrowKind::kFloat:
      ReadFloats(in, &out);
      return out;
    case ArrowKind::kUtf8:
    case ArrowKind::kBinary:
      RETURN_IF_ERROR(ReadTexts(in, &out));
      return out;
    case ArrowKind::kTimestamp:
    case ArrowKind::kDate:
      RETURN_IF_ERROR(ReadTimes(in, &out));
      return out;
    case ArrowKind::kNull:
    case ArrowKind::kList:
    case ArrowKind::kFixedSizeList:
      break;
  }
  return InvalidArgument("the column has no type; every value is null");
}

}  // namespace fletch
