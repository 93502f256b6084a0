// SPDX-License-Identifier: Apache-2.0
#include "server/engine/aggregate_state.h"

#include <limits>

#include "storage/big_endian.h"

namespace fletch {
namespace {

constexpr uint64_t kSignBit = uint64_t{1} << 63;

template <typename T>
void AppendRaw(T value, std::string* out) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void AppendSized(std::string_view bytes, std::string* out) {
  AppendRaw(static_cast<uint32_t>(bytes.size()), out);
  out->append(bytes);
}

void AppendInt(ValueType type, int64_t value, std::string* out) {
  if (type == ValueType::kBool) return AppendRaw(static_cast<uint8_t>(value), out);
  if (type == ValueType::kInt32) return AppendRaw(static_cast<int32_t>(value), out);
  AppendRaw(value, out);
}

void AppendDouble(ValueType type, double value, std::string* out) {
  if (type == ValueType::kFloat) return AppendRaw(static_cast<float>(value), out);
  AppendRaw(value, out);
}

}  // namespace

std::string ValueKey(const EventBlock& block, size_t event, const EventSlot& slot) {
  if (slot.kind == SlotKind::kBytes) return std::string(block.GetBytes(event, slot));
  std::string key;
  if (slot.kind == SlotKind::kInt) {
    AppendU64(OrderedFromInt64(block.GetInt(event, slot)), &key);
    return key;
  }
  double value = block.GetDouble(event, slot);
  if (std::isnan(value)) value = std::numeric_limits<double>::quiet_NaN();
  const uint64_t bits = std::bit_cast<uint64_t>(value == 0 ? 0.0 : value);
  AppendU64((bits & kSignBit) != 0 ? ~bits : bits | kSignBit, &key);
  return key;
}

void AppendKeyElement(ValueType type, std::string_view key, std::string* out) {
  switch (type) {
    case ValueType::kFloat:
    case ValueType::kDouble: {
      const uint64_t ordered = ReadU64(key.data());
      const uint64_t bits = (ordered & kSignBit) != 0 ? ordered ^ kSignBit : ~ordered;
      return AppendDouble(type, std::bit_cast<double>(bits), out);
    }
    case ValueType::kBool:
    case ValueType::kInt32:
    case ValueType::kInt64:
    case ValueType::kTimestamp:
      return AppendInt(type, Int64FromOrdered(ReadU64(key.data())), out);
    default:
      return AppendSized(key, out);
  }
}

void AppendElement(ValueType type, const EventBlock& block, size_t event, const EventSlot& slot,
                   std::string* out) {
  switch (slot.kind) {
    case SlotKind::kInt:
      return AppendInt(type, block.GetInt(event, slot), out);
    case SlotKind::kFloat:
      return AppendDouble(type, block.GetDouble(event, slot), out);
    default:
      return AppendSized(block.GetBytes(event, slot), out);
  }
}

}  // namespace fletch
