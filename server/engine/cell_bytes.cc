// SPDX-License-Identifier: Apache-2.0
#include "server/engine/cell_bytes.h"

#include <cstdint>
#include <vector>

namespace fletch {
namespace {

void PutSize(size_t size, std::string* out) {
  const uint32_t value = static_cast<uint32_t>(size);
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <typename T>
void PutFixed(const std::vector<T>& values, size_t first, size_t count, std::string* out) {
  out->append(reinterpret_cast<const char*>(values.data() + first), count * sizeof(T));
}

}  // namespace

void CellBytes::Next(std::string* out) {
  const size_t row = row_++;
  size_t first = row;
  size_t count = 1;
  if (column_.type.array) {
    first = element_;
    count = column_.lengths[row];
    element_ += count;
    if (out != nullptr) PutSize(count, out);
  } else if (column_.type.is_vector()) {
    count = column_.type.dimension;
    first = row * count;
  }
  if (out != nullptr) Put(first, count, out);
}

void CellBytes::Put(size_t first, size_t count, std::string* out) const {
  switch (column_.type.type) {
    case ValueType::kBool:
      return PutFixed(column_.bools, first, count, out);
    case ValueType::kInt32:
      return PutFixed(column_.int32s, first, count, out);
    case ValueType::kInt64:
    case ValueType::kTimestamp:
      return PutFixed(column_.int64s, first, count, out);
    case ValueType::kFloat:
    case ValueType::kFloatVector:
      return PutFixed(column_.floats, first, count, out);
    case ValueType::kDouble:
      return PutFixed(column_.doubles, first, count, out);
    case ValueType::kString:
    case ValueType::kBytes:
    case ValueType::kJson:
      for (size_t i = first; i < first + count; ++i) {
        PutSize(column_.strings[i].size(), out);
        out->append(column_.strings[i]);
      }
  }
}

}  // namespace fletch
