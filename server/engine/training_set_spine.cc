// SPDX-License-Identifier: Apache-2.0
#include "server/engine/training_set_spine.h"

#include <cstring>
#include <type_traits>
#include <utility>

#include "base/limits.h"
#include "base/status.h"

namespace fletch {
namespace {

constexpr uint8_t kFormat = 1;

template <typename T>
void Put(T value, std::string* out) {
  static_assert(std::is_arithmetic_v<T>);
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <typename T>
void PutAll(const std::vector<T>& values, std::string* out) {
  out->append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

void PutRows(const std::vector<uint64_t>& rows, std::string* out) {
  Put(static_cast<uint32_t>(rows.size()), out);
  for (const uint64_t row : rows) Put(static_cast<uint32_t>(row), out);
}

void PutStrings(const std::vector<std::string>& strings, std::string* out) {
  for (const std::string& value : strings) Put(static_cast<uint32_t>(value.size()), out);
  for (const std::string& value : strings) out->append(value);
}

void PutColumn(const NamedColumn& named, std::string* out) {
  const Column& column = named.column;
  Put(static_cast<uint16_t>(named.name.size()), out);
  out->append(named.name);
  Put(static_cast<uint8_t>(column.type.type), out);
  Put(static_cast<uint32_t>(column.row_count), out);
  PutRows(column.null_rows, out);
  PutAll(column.bools, out);
  PutAll(column.int32s, out);
  PutAll(column.int64s, out);
  PutAll(column.floats, out);
  PutAll(column.doubles, out);
  PutStrings(column.strings, out);
}

void PutColumns(const std::vector<NamedColumn>& columns, std::string* out) {
  Put(static_cast<uint16_t>(columns.size()), out);
  for (const NamedColumn& column : columns) PutColumn(column, out);
}

// Reads what was put; once something is missing, ok() is false and all that follows is empty.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  bool ok() const { return ok_; }
  bool at_end() const { return bytes_.empty(); }

  std::string_view Take(size_t size) {
    if (!ok_ || size > bytes_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }

  template <typename T>
  T Get() {
    T value{};
    const std::string_view bytes = Take(sizeof(T));
    if (ok_) std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }

  template <typename T>
  void GetAll(size_t count, std::vector<T>* out) {
    const std::string_view bytes = Take(count * sizeof(T));
    if (!ok_) return;
    out->resize(count);
    bytes.copy(reinterpret_cast<char*>(out->data()), bytes.size());
  }

  void GetStrings(size_t count, std::vector<std::string>* out) {
    std::vector<uint32_t> sizes;
    GetAll(count, &sizes);
    for (const uint32_t size : sizes) out->emplace_back(Take(size));
  }

  // Ascending row numbers below `row_count`.
  void GetRows(size_t row_count, std::vector<uint64_t>* out) {
    std::vector<uint32_t> rows;
    GetAll(Get<uint32_t>(), &rows);
    for (const uint32_t row : rows) {
      ok_ = ok_ && row < row_count && (out->empty() || out->back() < row);
      out->push_back(row);
    }
  }

  void GetValues(Column* column) {
    switch (column->type.type) {
      case ValueType::kBool:
        return GetAll(column->row_count, &column->bools);
      case ValueType::kInt32:
        return GetAll(column->row_count, &column->int32s);
      case ValueType::kInt64:
      case ValueType::kTimestamp:
        return GetAll(column->row_count, &column->int64s);
      case ValueType::kFloat:
        return GetAll(column->row_count, &column->floats);
      case ValueType::kDouble:
        return GetAll(column->row_count, &column->doubles);
      case ValueType::kString:
      case ValueType::kBytes:
      case ValueType::kJson:
        return GetStrings(column->row_count, &column->strings);
      case ValueType::kFloatVector:
        break;
    }
    ok_ = false;
  }

  void GetColumns(size_t row_count, bool may_be_constant, std::vector<NamedColumn>* out) {
    const size_t count = Get<uint16_t>();
    for (size_t i = 0; ok_ && i < count; ++i) {
      NamedColumn& named = out->emplace_back();
      named.name = Take(Get<uint16_t>());
      named.column.type.type = static_cast<ValueType>(Get<uint8_t>());
      named.column.row_count = Get<uint32_t>();
      ok_ = ok_ && (named.column.row_count == row_count ||
                    (may_be_constant && named.column.row_count == 1));
      GetRows(named.column.row_count, &named.column.null_rows);
      GetValues(&named.column);
    }
  }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

void BlankValue(size_t row, Column* column) {
  if (!column->bools.empty()) column->bools[row] = 0;
  if (!column->int32s.empty()) column->int32s[row] = 0;
  if (!column->int64s.empty()) column->int64s[row] = 0;
  if (!column->floats.empty()) column->floats[row] = 0;
  if (!column->doubles.empty()) column->doubles[row] = 0;
  if (!column->strings.empty()) column->strings[row].clear();
}

}  // namespace

std::string EncodeSpine(const StoredSpine& spine) {
  std::string out;
  Put(kFormat, &out);
  Put(static_cast<uint32_t>(spine.batch.row_count), &out);
  PutRows(spine.erased_rows, &out);
  PutAll(spine.batch.timestamps, &out);
  PutColumns(spine.batch.keys, &out);
  PutColumns(spine.batch.request_context, &out);
  return out;
}

absl::StatusOr<StoredSpine> DecodeSpine(std::string_view bytes) {
  StoredSpine spine;
  Reader in(bytes);
  const uint8_t format = in.Get<uint8_t>();
  spine.batch.row_count = in.Get<uint32_t>();
  if (in.ok() && format == kFormat && spine.batch.row_count <= limits::kMaxSpineRowsPerBatch) {
    in.GetRows(spine.batch.row_count, &spine.erased_rows);
    in.GetAll(spine.batch.row_count, &spine.batch.timestamps);
    in.GetColumns(spine.batch.row_count, /*may_be_constant=*/false, &spine.batch.keys);
    in.GetColumns(spine.batch.row_count, /*may_be_constant=*/true, &spine.batch.request_context);
    if (in.ok() && in.at_end()) return spine;
  }
  return DataLoss("a stored spine batch of a training set is damaged");
}

void BlankRows(const std::vector<uint64_t>& rows, StoredSpine* spine) {
  std::vector<bool> erased(spine->batch.row_count);
  for (const uint64_t row : spine->erased_rows) erased[row] = true;
  for (const uint64_t row : rows) {
    erased[row] = true;
    spine->batch.timestamps[row] = 0;
    for (NamedColumn& key : spine->batch.keys) BlankValue(row, &key.column);
    for (NamedColumn& context : spine->batch.request_context) {
      if (context.column.row_count == spine->batch.row_count) BlankValue(row, &context.column);
    }
  }
  spine->erased_rows.clear();
  for (size_t row = 0; row < erased.size(); ++row) {
    if (erased[row]) spine->erased_rows.push_back(row);
  }
}

}  // namespace fletch
