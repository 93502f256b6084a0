// SPDX-License-Identifier: Apache-2.0
#include "server/engine/window_row.h"

#include <cstring>

#include "storage/row_codec.h"

namespace fletch {
namespace {

// Bytes of the fixed part; 0: an end in the variable part stands there.
size_t FixedBytes(const DataType& type) {
  if (type.array || type.is_vector()) return 0;
  switch (type.type) {
    case ValueType::kBool:
      return 1;
    case ValueType::kInt32:
    case ValueType::kFloat:
      return 4;
    case ValueType::kInt64:
    case ValueType::kDouble:
    case ValueType::kTimestamp:
      return 8;
    default:
      return 0;
  }
}

}  // namespace

AggregateRowShape::AggregateRowShape(absl::Span<const FieldSchema> fields) {
  const size_t fixed_start = kRowHeaderBytes + (fields.size() + 7) / 8;
  size_t offset = fixed_start;
  for (size_t i = 0; i < fields.size(); ++i) {
    offsets_.push_back(offset);
    const size_t bytes = FixedBytes(fields[i].type);
    if (bytes == 0) variable_fields_.push_back(i);
    offset += bytes == 0 ? sizeof(uint32_t) : bytes;
  }
  null_row_.assign(offset, '\0');
  const uint16_t header[] = {static_cast<uint16_t>(fields.size()),
                             static_cast<uint16_t>(offset - fixed_start)};
  std::memcpy(null_row_.data(), header, sizeof(header));
  for (size_t i = 0; i < fields.size(); ++i) {
    null_row_[kRowHeaderBytes + i / 8] |= static_cast<char>(1 << (i % 8));
  }
}

void AggregateRowBuilder::Clear() {
  row_ = shape_->null_row_;
  closed_ = 0;
}

void AggregateRowBuilder::ClearNull(size_t field) {
  row_[kRowHeaderBytes + field / 8] &= static_cast<char>(~(1 << (field % 8)));
}

void AggregateRowBuilder::SetFixed(size_t field, const void* bytes, size_t size) {
  ClearNull(field);
  std::memcpy(row_.data() + shape_->offsets_[field], bytes, size);
}

void AggregateRowBuilder::CloseBefore(size_t field) {
  const uint32_t end = static_cast<uint32_t>(row_.size() - shape_->null_row_.size());
  const std::vector<size_t>& fields = shape_->variable_fields_;
  for (; closed_ < fields.size() && fields[closed_] < field; ++closed_) {
    std::memcpy(row_.data() + shape_->offsets_[fields[closed_]], &end, sizeof(end));
  }
}

void AggregateRowBuilder::SetBytes(size_t field, std::string_view bytes) {
  CloseBefore(field);
  ClearNull(field);
  row_.append(bytes);
}

std::string_view AggregateRowBuilder::Finish() {
  CloseBefore(shape_->offsets_.size());
  return row_;
}

}  // namespace fletch
