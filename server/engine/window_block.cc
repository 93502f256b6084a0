// SPDX-License-Identifier: Apache-2.0
#include "server/engine/window_block.h"

#include <algorithm>

namespace fletch {

SlotKind KindOf(const std::optional<DataType>& type) {
  if (!type.has_value()) return SlotKind::kEvents;
  if (type->array || type->is_vector()) return SlotKind::kPresence;
  switch (type->type) {
    case ValueType::kBool:
    case ValueType::kInt32:
    case ValueType::kInt64:
    case ValueType::kTimestamp:
      return SlotKind::kInt;
    case ValueType::kFloat:
    case ValueType::kDouble:
      return SlotKind::kFloat;
    default:
      return SlotKind::kBytes;
  }
}

size_t EventShape::Add(std::optional<size_t> field, const std::optional<DataType>& type,
                       bool numbers) {
  const std::optional<size_t> found = Find(field);
  const size_t slot = found.value_or(slots_.size());
  if (!found.has_value()) {
    slots_.push_back({.field = field,
                      .kind = KindOf(type),
                      .type = type.has_value() ? type->type : ValueType::kInt64});
  }
  slots_[slot].numbers = slots_[slot].numbers || numbers;
  return slot;
}

void EventShape::Finish() {
  stride_ = EventBlock::kNulls + (slots_.size() + 63) / 64;
  for (EventSlot& slot : slots_) {
    if (slot.kind != SlotKind::kEvents && slot.kind != SlotKind::kPresence) slot.word = stride_++;
  }
}

std::optional<size_t> EventShape::Find(std::optional<size_t> field) const {
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].field == field) return i;
  }
  return std::nullopt;
}

void EventBlock::Clear() {
  words_.clear();
  blob_.clear();
}

uint64_t EventBlock::AddBytes(std::string_view bytes) {
  const uint64_t ref = uint64_t{blob_.size()} << kLengthBits | bytes.size();
  blob_.append(bytes);
  return ref;
}

void EventBlock::Append(int64_t time, uint64_t commit, std::string_view event_key,
                        const RowView& row) {
  const size_t start = words_.size();
  words_.resize(start + stride_);
  uint64_t* const record = words_.data() + start;
  record[kTime] = static_cast<uint64_t>(time);
  record[kCommit] = commit;
  record[kKey] = AddBytes(event_key);
  const std::vector<EventSlot>& slots = shape_->slots();
  for (size_t i = 0; i < slots.size(); ++i) {
    const EventSlot& slot = slots[i];
    if (slot.kind == SlotKind::kEvents) continue;
    if (row.is_null(*slot.field)) {
      record[kNulls + i / 64] |= uint64_t{1} << (i % 64);
      continue;
    }
    switch (slot.kind) {
      case SlotKind::kInt:
        record[slot.word] = static_cast<uint64_t>(
            slot.type == ValueType::kBool ? row.GetBool(*slot.field) : row.GetInt(*slot.field));
        break;
      case SlotKind::kFloat:
        record[slot.word] = std::bit_cast<uint64_t>(row.GetDouble(*slot.field));
        break;
      case SlotKind::kBytes:
        record[slot.word] = AddBytes(row.GetBytes(*slot.field));
        break;
      default:
        break;
    }
  }
}

void EventBlock::AppendFrom(const EventBlock& other, size_t event) {
  const uint64_t* const from = other.record(event);
  words_.insert(words_.end(), from, from + stride_);
  if (other.blob_.empty()) return;
  uint64_t* const record = words_.data() + words_.size() - stride_;
  record[kKey] = AddBytes(other.event_key(event));
  const std::vector<EventSlot>& slots = shape_->slots();
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].kind == SlotKind::kBytes && !other.is_null(event, i)) {
      record[slots[i].word] = AddBytes(other.GetBytes(event, slots[i]));
    }
  }
}

void EventBlock::Reverse() {
  const size_t count = size();
  for (size_t i = 0; i < count / 2; ++i) {
    std::swap_ranges(words_.begin() + static_cast<ptrdiff_t>(i * stride_),
                     words_.begin() + static_cast<ptrdiff_t>((i + 1) * stride_),
                     words_.begin() + static_cast<ptrdiff_t>((count - 1 - i) * stride_));
  }
}

}  // namespace fletch
