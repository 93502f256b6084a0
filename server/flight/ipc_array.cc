// SPDX-License-Identifier: Apache-2.0
#include "server/flight/ipc_array.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "base/status.h"
#include "base/strings.h"

namespace fletch {
namespace {

// The list a column of this type keeps its values in, given to `f`.
template <class AnyColumn, class F>
decltype(auto) WithValues(AnyColumn& column, F f) {
  switch (column.type.type) {
    case ValueType::kBool:
      return f(column.bools);
    case ValueType::kInt32:
      return f(column.int32s);
    case ValueType::kInt64:
    case ValueType::kTimestamp:
      return f(column.int64s);
    case ValueType::kFloat:
    case ValueType::kFloatVector:
      return f(column.floats);
    case ValueType::kDouble:
      return f(column.doubles);
    case ValueType::kString:
    case ValueType::kBytes:
    case ValueType::kJson:
      break;
  }
  return f(column.strings);
}

Column AllNull(const DataType& type, size_t count) {
  Column out{.type = type, .row_count = count};
  if (type.array) {
    out.lengths.resize(count);
  } else {
    const size_t values = type.is_vector() ? count * type.dimension : count;
    WithValues(out, [values](auto& list) { list.resize(values); });
  }
  for (size_t i = 0; i < count; ++i) out.null_rows.push_back(i);
  return out;
}

// Dictionary values at the indices of `array`.
class Gather {
 public:
  Gather(const ArrowField& field, const ArrowArray& array, const Column& dictionary, size_t begin,
         size_t count, const IpcLimits& limits)
      : field_(field),
        array_(array),
        dictionary_(dictionary),
        begin_(begin),
        count_(count),
        limits_(limits) {}

  absl::StatusOr<Column> Run() const {
    ASSIGN_OR_RETURN(const std::vector<size_t> places, Places());
    RETURN_IF_ERROR(CheckSize(places));
    Column out{.type = dictionary_.type, .row_count = count_};
    // What a null row refers to is nothing: the place behind the dictionary's last.
    std::vector<bool> null_values(dictionary_.row_count + 1);
    null_values.back() = true;
    for (const uint64_t row : dictionary_.null_rows) null_values[row] = true;
    for (size_t i = 0; i < count_; ++i) {
      if (null_values[places[i]]) out.null_rows.push_back(i);
    }
    WithValues(dictionary_, [&](const auto& values) {
      WithValues(out, [&](auto& list) {
        if constexpr (std::is_same_v<std::decay_t<decltype(list)>,
                                     std::decay_t<decltype(values)>>) {
          list.resize(count_);
          for (size_t i = 0; i < count_; ++i) {
            if (places[i] < values.size()) list[i] = values[places[i]];
          }
        }
      });
    });
    return out;
  }

 private:
  absl::StatusOr<std::vector<size_t>> Places() const {
    std::vector<size_t> places(count_, dictionary_.row_count);
    for (size_t i = 0; i < count_; ++i) {
      if (array_.IsNull(begin_ + i)) continue;
      const uint64_t index = Index(begin_ + i);
      if (index >= dictionary_.row_count) {
        return InvalidArgument(StrCat("row ", begin_ + i, " has the index ",
                                      static_cast<int64_t>(index), " into a dictionary of ",
                                      dictionary_.row_count, " values"));
      }
      places[i] = index;
    }
    return places;
  }

  // Negative ones become too large for any dictionary.
  uint64_t Index(size_t i) const {
    const size_t bytes = static_cast<size_t>(field_.index.bits) / 8;
    uint64_t index = 0;
    std::memcpy(&index, array_.data.data() + i * bytes, bytes);
    if (field_.index.is_signed && bytes < 8 && (index >> (8 * bytes - 1)) != 0) {
      index |= ~uint64_t{0} << (8 * bytes);
    }
    return index;
  }

  absl::Status CheckSize(const std::vector<size_t>& places) const {
    if (dictionary_.strings.empty()) return absl::OkStatus();
    size_t total = 0;
    for (const size_t place : places) {
      if (place < dictionary_.row_count) total += dictionary_.strings[place].size();
      if (total > limits_.value_bytes) {
        return OutOfRange(StrCat("the dictionary values of ", count_, " rows have more than ",
                                 limits_.value_bytes,
                                 " bytes, the limit max_flight_value_bytes; send fewer rows at a "
                                 "time"));
      }
    }
    return absl::OkStatus();
  }

  const ArrowField& field_;
  const ArrowArray& array_;
  const Column& dictionary_;
  const size_t begin_;
  const size_t count_;
  const IpcLimits& limits_;
};

// Where the elements of each row stand in the child; empty at null rows.
struct Extents {
  std::vector<size_t> starts;
  std::vector<uint64_t> lengths;
  size_t low = 0;   // of all elements that some row has
  size_t high = 0;  // behind them
};

template <class Offset>
absl::StatusOr<Extents> OffsetExtents(const ArrowArray& array, size_t begin, size_t count) {
  Extents out{std::vector<size_t>(count), std::vector<uint64_t>(count), array.child->length, 0};
  Offset bounds[2];
  size_t last = 0;
  for (size_t i = 0; i < count; ++i) {
    if (array.IsNull(begin + i)) continue;
    std::memcpy(bounds, array.data.data() + (begin + i) * sizeof(Offset), sizeof(bounds));
    if (bounds[0] < 0 || static_cast<size_t>(bounds[0]) < last || bounds[1] < bounds[0] ||
        static_cast<uint64_t>(bounds[1]) > array.child->length) {
      return InvalidArgument(StrCat("the offsets ", bounds[0], " and ", bounds[1], " of row ",
                                    begin + i, " do not fit ", array.child->length, " elements"));
    }
    last = bounds[1];
    out.starts[i] = bounds[0];
    out.lengths[i] = bounds[1] - bounds[0];
    if (out.lengths[i] == 0) continue;
    out.low = std::min(out.low, out.starts[i]);
    out.high = std::max(out.high, last);
  }
  return out;
}

Extents FixedExtents(const ArrowField& field, const ArrowArray& array, size_t begin, size_t count) {
  const size_t size = field.type.list_size;
  Extents out{std::vector<size_t>(count), std::vector<uint64_t>(count), begin * size,
              (begin + count) * size};
  for (size_t i = 0; i < count; ++i) {
    out.starts[i] = (begin + i) * size;
    out.lengths[i] = array.IsNull(begin + i) ? 0 : size;
  }
  return out;
}

// Elements in the order of the rows, without those that no row has.
template <class T>
void Compact(const Extents& extents, std::vector<T>* values) {
  size_t to = 0;
  for (size_t i = 0; i < extents.starts.size(); ++i) {
    const size_t from = extents.starts[i] - extents.low;
    if (from == to) {
      to += extents.lengths[i];
      continue;
    }
    for (size_t j = 0; j < extents.lengths[i]; ++j)
      (*values)[to++] = std::move((*values)[from + j]);
  }
  values->resize(to);
}

absl::Status CheckNoNullElement(const Extents& extents, const Column& elements, size_t begin) {
  size_t row = 0;
  for (const uint64_t null_row : elements.null_rows) {
    const size_t element = extents.low + null_row;
    while (row < extents.starts.size() && extents.starts[row] + extents.lengths[row] <= element) {
      ++row;
    }
    if (row == extents.starts.size()) return absl::OkStatus();
    if (extents.starts[row] <= element) {
      return InvalidArgument(StrCat("row ", begin + row, " has a null as its element ",
                                    element - extents.starts[row],
                                    "; a whole array may be null, its elements may not"));
    }
  }
  return absl::OkStatus();
}

// Values of the rows that have some, `dimension` each, with zeros at the others.
template <class T>
std::vector<T> Spread(std::vector<T>&& values, const std::vector<uint64_t>& lengths,
                      size_t dimension) {
  if (values.size() == lengths.size() * dimension) return std::move(values);
  std::vector<T> out(lengths.size() * dimension);
  size_t from = 0;
  for (size_t i = 0; i < lengths.size(); ++i) {
    if (lengths[i] == 0) continue;
    std::memcpy(&out[i * dimension], &values[from], dimension * sizeof(T));
    from += dimension;
  }
  return out;
}

// An array column whose arrays all have one length, as vectors.
absl::StatusOr<Column> ToVectors(Column&& in, size_t dimension, size_t begin) {
  Column out{.type = {ValueType::kFloatVector, false, static_cast<uint32_t>(dimension)},
             .row_count = in.row_count,
             .null_rows = std::move(in.null_rows)};
  size_t next_null = 0;
  for (size_t i = 0; i < in.row_count; ++i) {
    if (next_null < out.null_rows.size() && out.null_rows[next_null] == i) {
      ++next_null;
    } else if (in.lengths[i] != dimension) {
      return InvalidArgument(StrCat("row ", begin + i, " has ", in.lengths[i],
                                    " elements; the vector's dimension is ", dimension));
    }
  }
  if (in.type.type == ValueType::kFloat) {
    out.floats = Spread(std::move(in.floats), in.lengths, dimension);
    return out;
  }
  const std::vector<double> wide = Spread(std::move(in.doubles), in.lengths, dimension);
  out.floats.resize(wide.size());
  for (size_t i = 0; i < wide.size(); ++i) {
    if (std::isfinite(wide[i]) && std::abs(wide[i]) > std::numeric_limits<float>::max()) {
      return OutOfRange(StrCat("row ", begin + i / dimension, " has an element ", wide[i],
                               ", beyond any 32-bit float"));
    }
    out.floats[i] = static_cast<float>(wide[i]);
  }
  return out;
}

// The elements of the rows, in order. A list of nothing may be of any type, as long as it is empty.
absl::StatusOr<Column> Elements(const ArrowField& field, const ArrowArray& array,
                                const Extents& extents, size_t begin,
                                const std::optional<DataType>& wanted, const IpcLimits& limits) {
  const size_t count = extents.high > extents.low ? extents.high - extents.low : 0;
  if (field.element.kind == ArrowKind::kNull) {
    for (size_t i = 0; i < extents.lengths.size(); ++i) {
      if (extents.lengths[i] == 0) continue;
      return InvalidArgument(StrCat("row ", begin + i, " is a list of nulls"));
    }
    const ValueType type = wanted.has_value() ? wanted->type : ValueType::kDouble;
    return Column{.type = {type == ValueType::kFloatVector ? ValueType::kFloat : type}};
  }
  ASSIGN_OR_RETURN(Column out, ReadScalars(field.element, *array.child,
                                           count == 0 ? 0 : extents.low, count, "element", limits));
  RETURN_IF_ERROR(CheckNoNullElement(extents, out, begin));
  WithValues(out, [&](auto& values) { Compact(extents, &values); });
  return out;
}

absl::StatusOr<Column> ReadList(const ArrowField& field, const ArrowArray& array, size_t begin,
                                size_t count, const std::optional<DataType>& wanted,
                                const IpcLimits& limits) {
  Extents extents;
  if (field.type.kind == ArrowKind::kFixedSizeList) {
    extents = FixedExtents(field, array, begin, count);
  } else if (count > 0) {  // an empty array may have no offsets
    ASSIGN_OR_RETURN(extents, field.type.large ? OffsetExtents<int64_t>(array, begin, count)
                                               : OffsetExtents<int32_t>(array, begin, count));
  }
  ASSIGN_OR_RETURN(Column out, Elements(field, array, extents, begin, wanted, limits));
  out.type.array = true;
  out.row_count = count;
  out.lengths = std::move(extents.lengths);
  out.null_rows = NullRows(array, begin, count);
  const bool floats = out.type.type == ValueType::kFloat || out.type.type == ValueType::kDouble;
  const bool vector =
      wanted.has_value() ? wanted->is_vector() : field.type.kind == ArrowKind::kFixedSizeList;
  if (!vector || !floats) return out;
  return ToVectors(std::move(out), wanted.has_value() ? wanted->dimension : field.type.list_size,
                   begin);
}

}  // namespace

absl::StatusOr<Column> ReadArray(const ArrowField& field, const ArrowArray& array,
                                 const Column* dictionary, size_t begin, size_t count,
                                 const std::optional<DataType>& wanted, const IpcLimits& limits) {
  if (field.type.kind == ArrowKind::kNull && wanted.has_value()) return AllNull(*wanted, count);
  if (dictionary != nullptr) return Gather(field, array, *dictionary, begin, count, limits).Run();
  if (field.type.is_list()) return ReadList(field, array, begin, count, wanted, limits);
  return ReadScalars(field.type, array, begin, count, "row", limits);
}

}  // namespace fletch
