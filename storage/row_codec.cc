// SPDX-License-Identifier: Apache-2.0
#include "storage/row_codec.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/status.h"
#include "base/strings.h"

namespace fletch {
namespace {

static_assert(std::endian::native == std::endian::little, "rows are copied without swapping bytes");

size_t NullBytes(size_t field_count) { return (field_count + 7) / 8; }

// Bytes of one element; 0 for those of varying length.
size_t Width(ValueType type) {
  switch (type) {
    case ValueType::kBool:
      return 1;
    case ValueType::kInt32:
    case ValueType::kFloat:
    case ValueType::kFloatVector:  // its elements
      return 4;
    case ValueType::kInt64:
    case ValueType::kDouble:
    case ValueType::kTimestamp:
      return 8;
    case ValueType::kString:
    case ValueType::kBytes:
    case ValueType::kJson:
      return 0;
  }
  return 0;
}

template <typename T>
T Load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

template <typename T>
void Store(T value, char* to) {
  std::memcpy(to, &value, sizeof(value));
}

template <typename T>
void AppendBytes(const T* values, size_t count, std::string* out) {
  if (count > 0) out->append(reinterpret_cast<const char*>(values), count * sizeof(T));
}

template <typename T>
void AppendValues(std::string_view bytes, std::vector<T>* out) {
  const size_t count = bytes.size() / sizeof(T);
  const size_t old_size = out->size();
  out->resize(old_size + count);
  if (count > 0) std::memcpy(out->data() + old_size, bytes.data(), count * sizeof(T));
}

// Elements [from, from + count) of the column's list, as the variable part holds them.
void AppendElements(const Column& column, size_t from, size_t count, std::string* out) {
  switch (column.type.type) {
    case ValueType::kBool:
      for (size_t i = from; i < from + count; ++i) out->push_back(column.bools[i] != 0 ? 1 : 0);
      return;
    case ValueType::kInt32:
      return AppendBytes(column.int32s.data() + from, count, out);
    case ValueType::kInt64:
    case ValueType::kTimestamp:
      return AppendBytes(column.int64s.data() + from, count, out);
    case ValueType::kFloat:
    case ValueType::kFloatVector:
      return AppendBytes(column.floats.data() + from, count, out);
    case ValueType::kDouble:
      return AppendBytes(column.doubles.data() + from, count, out);
    case ValueType::kString:
    case ValueType::kBytes:
    case ValueType::kJson:
      for (size_t i = from; i < from + count; ++i) {
        const uint32_t length = static_cast<uint32_t>(column.strings[i].size());
        AppendBytes(&length, 1, out);
        out->append(column.strings[i]);
      }
  }
}

void StoreScalar(const Column& column, size_t row, char* to) {
  switch (column.type.type) {
    case ValueType::kBool:
      return Store<uint8_t>(column.bools[row] != 0 ? 1 : 0, to);
    case ValueType::kInt32:
      return Store(column.int32s[row], to);
    case ValueType::kInt64:
    case ValueType::kTimestamp:
      return Store(column.int64s[row], to);
    case ValueType::kFloat:
      return Store(column.floats[row], to);
    default:
      return Store(column.doubles[row], to);
  }
}

void AppendVariable(const Column& column, size_t row, size_t element, std::string* out) {
  if (column.type.array) return AppendElements(column, element, column.lengths[row], out);
  if (column.type.is_vector()) {
    const size_t dimension = column.type.dimension;
    return AppendElements(column, row * dimension, dimension, out);
  }
  out->append(column.strings[row]);
}

// Appends the elements in `bytes` to the column's list; returns how many there were.
size_t ReadElements(std::string_view bytes, Column* out) {
  const size_t width = Width(out->type.type);
  switch (out->type.type) {
    case ValueType::kBool:
      AppendValues(bytes, &out->bools);
      break;
    case ValueType::kInt32:
      AppendValues(bytes, &out->int32s);
      break;
    case ValueType::kInt64:
    case ValueType::kTimestamp:
      AppendValues(bytes, &out->int64s);
      break;
    case ValueType::kFloat:
    case ValueType::kFloatVector:
      AppendValues(bytes, &out->floats);
      break;
    case ValueType::kDouble:
      AppendValues(bytes, &out->doubles);
      break;
    case ValueType::kString:
    case ValueType::kBytes:
    case ValueType::kJson: {
      size_t count = 0;
      for (; !bytes.empty(); ++count) {
        const size_t length = Load<uint32_t>(bytes.data());
        out->strings.emplace_back(bytes.substr(sizeof(uint32_t), length));
        bytes.remove_prefix(sizeof(uint32_t) + length);
      }
      return count;
    }
  }
  return bytes.size() / width;
}

// Whether `bytes` are elements of `type`, one after another, to the end.
bool AreElements(ValueType type, std::string_view bytes) {
  if (Width(type) != 0) return bytes.size() % Width(type) == 0;
  while (!bytes.empty()) {
    if (bytes.size() < sizeof(uint32_t)) return false;
    const size_t length = Load<uint32_t>(bytes.data());
    bytes.remove_prefix(sizeof(uint32_t));
    if (bytes.size() < length) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

// Appends the one row of a default.
void AppendDefault(const Column& from, Column* out) {
  const size_t count = from.type.array         ? from.lengths[0]
                       : from.type.is_vector() ? from.type.dimension
                                               : 1;
  const auto append = [count](const auto& source, auto* target) {
    target->insert(target->end(), source.begin(), source.begin() + std::min(count, source.size()));
  };
  append(from.bools, &out->bools);
  append(from.int32s, &out->int32s);
  append(from.int64s, &out->int64s);
  append(from.floats, &out->floats);
  append(from.doubles, &out->doubles);
  append(from.strings, &out->strings);
  if (from.type.array) out->lengths.push_back(count);
  ++out->row_count;
}

}  // namespace

RowLayout::RowLayout(const std::vector<FieldSchema>& fields) : fields_(fields) {
  uint32_t offset = 0;
  uint32_t previous = kNone;
  fixed_bytes_.push_back(0);
  for (size_t i = 0; i < fields_.size(); ++i) {
    const DataType& type = fields_[i].type;
    const bool variable = type.array || type.is_vector() || Width(type.type) == 0;
    slots_.push_back({type.type, type.array, variable, type.dimension, offset, previous});
    if (variable) {
      previous = offset;
      variable_fields_.push_back(static_cast<uint32_t>(i));
    }
    offset += static_cast<uint32_t>(variable ? sizeof(uint32_t) : Width(type.type));
    fixed_bytes_.push_back(offset);
    has_vectors_ = has_vectors_ || type.is_vector();
  }
}

RowEncoder::RowEncoder(const RowLayout* layout, std::vector<const Column*> columns)
    : layout_(layout),
      columns_(std::move(columns)),
      next_null_(columns_.size(), 0),
      array_start_(columns_.size(), 0) {}

bool RowEncoder::IsNull(size_t field, size_t row) {
  const std::vector<uint64_t>& null_rows = columns_[field]->null_rows;
  size_t& next = next_null_[field];
  while (next < null_rows.size() && null_rows[next] < row) ++next;
  return next < null_rows.size() && null_rows[next] == row;
}

void RowEncoder::SkipArraysTo(size_t row) {
  if (next_row_ == row) return;
  for (size_t field = 0; field < columns_.size(); ++field) {
    if (columns_[field] == nullptr || !columns_[field]->type.array) continue;
    for (size_t r = next_row_; r < row; ++r) array_start_[field] += columns_[field]->lengths[r];
  }
  next_row_ = row;
}

std::string RowEncoder::Encode(size_t row) {
  SkipArraysTo(row);
  const size_t field_count = layout_->slots_.size();
  const size_t fixed_start = kRowHeaderBytes + NullBytes(field_count);
  const size_t variable_start = fixed_start + layout_->fixed_bytes_[field_count];
  std::string out(variable_start, '\0');
  Store(static_cast<uint16_t>(field_count), out.data());
  Store(static_cast<uint16_t>(layout_->fixed_bytes_[field_count]), out.data() + 2);
  for (size_t field = 0; field < field_count; ++field) {
    const RowLayout::Slot& slot = layout_->slots_[field];
    const FieldSchema& schema = layout_->fields_[field];
    const bool given = columns_[field] != nullptr;
    if (given ? IsNull(field, row) : !HasDefault(schema)) {
      out[kRowHeaderBytes + field / 8] |= static_cast<char>(1 << (field % 8));
    } else {
      const Column& column = given ? *columns_[field] : *schema.default_value;
      if (slot.variable) {
        AppendVariable(column, given ? row : 0, array_start_[field], &out);
      } else {
        StoreScalar(column, given ? row : 0, out.data() + fixed_start + slot.offset);
      }
    }
    if (slot.variable) {
      Store(static_cast<uint32_t>(out.size() - variable_start),
            out.data() + fixed_start + slot.offset);
    }
  }
  return out;
}

RowView::RowView(const RowLayout* layout, std::string_view bytes) : layout_(layout), bytes_(bytes) {
  written_count_ = Load<uint16_t>(bytes.data());
  field_count_ = std::min(written_count_, layout->slots_.size());
  fixed_ = bytes.data() + kRowHeaderBytes + NullBytes(written_count_);
  variable_ = fixed_ + Load<uint16_t>(bytes.data() + 2);
}

absl::StatusOr<RowView> RowView::Parse(const RowLayout* layout, std::string_view bytes) {
  if (bytes.size() < kRowHeaderBytes) return DataLoss("a stored row is cut short in its header");
  RowView row(layout, bytes);
  RETURN_IF_ERROR(row.Check());
  return row;
}

absl::Status RowView::Check() const {
  const std::vector<uint32_t>& fixed_bytes = layout_->fixed_bytes_;
  const size_t fixed_size = static_cast<size_t>(variable_ - fixed_);
  const size_t before_variable = static_cast<size_t>(variable_ - bytes_.data());
  if (bytes_.size() < before_variable)
    return DataLoss("a stored row is cut short in its fixed part");
  const bool all_known = written_count_ <= layout_->slots_.size();
  if (all_known ? fixed_size != fixed_bytes[written_count_] : fixed_size < fixed_bytes.back()) {
    return DataLoss(StrCat("a stored row's fixed part has ", fixed_size, " bytes, which its ",
                           written_count_, " fields cannot have"));
  }
  if (written_count_ % 8 != 0 && static_cast<uint8_t>(fixed_[-1]) >> (written_count_ % 8) != 0) {
    return DataLoss("a stored row has null bits beyond its last field");
  }
  const size_t variable_size = bytes_.size() - before_variable;
  uint32_t previous_end = 0;
  for (const uint32_t field : layout_->variable_fields_) {
    if (field >= field_count_) break;
    const RowLayout::Slot& slot = layout_->slots_[field];
    const uint32_t end = End(slot.offset);
    const size_t length = end - previous_end;
    bool fits = end >= previous_end && end <= variable_size && (length == 0 || !is_null(field));
    if (fits && slot.array) fits = AreElements(slot.type, Stored(slot));
    if (fits && slot.type == ValueType::kFloatVector) {
      fits = length == 0 || length == size_t{slot.dimension} * sizeof(float);
    }
    if (!fits) {
      return DataLoss(StrCat("a stored row's field ", layout_->fields_[field].name,
                             " has an impossible length"));
    }
    previous_end = end;
  }
  if (all_known && previous_end != variable_size)
    return DataLoss("a stored row does not end where its last field ends");
  return absl::OkStatus();
}

uint32_t RowView::End(uint32_t offset) const { return Load<uint32_t>(fixed_ + offset); }

std::string_view RowView::Stored(const RowLayout::Slot& slot) const {
  const uint32_t start = slot.previous_offset == RowLayout::kNone ? 0 : End(slot.previous_offset);
  return {variable_ + start, End(slot.offset) - start};
}

void RowView::AppendAny(size_t field, Column* out) const {
  if (is_null(field)) return AppendEmpty(out);
  if (!IsStored(field)) return AppendDefault(Default(field), out);
  const RowLayout::Slot& slot = layout_->slots_[field];
  if (slot.array) {
    out->lengths.push_back(ReadElements(Stored(slot), out));
    ++out->row_count;
    return;
  }
  const char* const at = fixed_ + slot.offset;
  switch (slot.type) {
    case ValueType::kBool:
      out->bools.push_back(static_cast<uint8_t>(*at));
      break;
    case ValueType::kInt32:
      out->int32s.push_back(Load<int32_t>(at));
      break;
    case ValueType::kInt64:
    case ValueType::kTimestamp:
      out->int64s.push_back(Load<int64_t>(at));
      break;
    case ValueType::kFloat:
      out->floats.push_back(Load<float>(at));
      break;
    case ValueType::kDouble:
      out->doubles.push_back(Load<double>(at));
      break;
    case ValueType::kString:
    case ValueType::kBytes:
    case ValueType::kJson:
      out->strings.emplace_back(Stored(slot));
      break;
    case ValueType::kFloatVector: {
      const std::string_view bytes = Stored(slot);
      if (bytes.empty()) return AppendEmpty(out);  // left out by WithoutVectors
      AppendValues(bytes, &out->floats);
      break;
    }
  }
  ++out->row_count;
}

bool RowView::GetBool(size_t field) const {
  return (IsStored(field) ? fixed_[layout_->slots_[field].offset] : Default(field).bools[0]) != 0;
}

int64_t RowView::GetInt(size_t field) const {
  const RowLayout::Slot& slot = layout_->slots_[field];
  if (slot.type == ValueType::kInt32) {
    return IsStored(field) ? Load<int32_t>(fixed_ + slot.offset) : Default(field).int32s[0];
  }
  return IsStored(field) ? Load<int64_t>(fixed_ + slot.offset) : Default(field).int64s[0];
}

double RowView::GetDouble(size_t field) const {
  const RowLayout::Slot& slot = layout_->slots_[field];
  if (slot.type == ValueType::kFloat) {
    return IsStored(field) ? Load<float>(fixed_ + slot.offset) : Default(field).floats[0];
  }
  return IsStored(field) ? Load<double>(fixed_ + slot.offset) : Default(field).doubles[0];
}

std::string_view RowView::GetBytes(size_t field) const {
  const RowLayout::Slot& slot = layout_->slots_[field];
  if (IsStored(field)) return Stored(slot);
  if (slot.type != ValueType::kFloatVector) return Default(field).strings[0];
  const std::vector<float>& floats = Default(field).floats;
  return {reinterpret_cast<const char*>(floats.data()), floats.size() * sizeof(float)};
}

std::vector<float> RowView::GetVector(size_t field) const {
  std::vector<float> vector;
  if (!is_null(field)) AppendValues(GetBytes(field), &vector);
  return vector;
}

std::string WithoutVectors(const RowLayout& layout, std::string_view row) {
  const RowView view(&layout, row);
  std::string out(row);
  if (!layout.has_vectors() || view.written_count_ > layout.field_count()) return out;
  const size_t fixed_start = static_cast<size_t>(view.fixed_ - row.data());
  const size_t variable_start = static_cast<size_t>(view.variable_ - row.data());
  out.resize(variable_start);
  for (const uint32_t field : layout.variable_fields_) {
    if (field >= view.field_count_) break;
    const RowLayout::Slot& slot = layout.slots_[field];
    if (slot.type != ValueType::kFloatVector) out.append(view.Stored(slot));
    Store(static_cast<uint32_t>(out.size() - variable_start),
          out.data() + fixed_start + slot.offset);
  }
  return out;
}

void AppendEmpty(Column* out) {
  ++out->row_count;
  if (out->type.array) {
    out->lengths.push_back(0);
    return;
  }
  switch (out->type.type) {
    case ValueType::kBool:
      out->bools.push_back(0);
      return;
    case ValueType::kInt32:
      out->int32s.push_back(0);
      return;
    case ValueType::kInt64:
    case ValueType::kTimestamp:
      out->int64s.push_back(0);
      return;
    case ValueType::kFloat:
      out->floats.push_back(0);
      return;
    case ValueType::kDouble:
      out->doubles.push_back(0);
      return;
    case ValueType::kString:
    case ValueType::kBytes:
    case ValueType::kJson:
      out->strings.emplace_back();
      return;
    case ValueType::kFloatVector:
      out->floats.resize(out->floats.size() + out->type.dimension);
      return;
  }
}

}  // namespace fletch
