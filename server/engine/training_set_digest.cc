// SPDX-License-Identifier: Apache-2.0
#include "server/engine/training_set_digest.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "server/engine/cell_bytes.h"

namespace fletch {
namespace {

constexpr uint8_t kFormat = 1;
constexpr size_t kDigestStepBytes = 64u << 10;  // fits the second cache

template <typename T>
void Put(T value, std::string* out) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void PutBytes(std::string_view bytes, std::string* out) {
  Put(static_cast<uint32_t>(bytes.size()), out);
  out->append(bytes);
}

const Column* FindColumn(const std::vector<NamedColumn>& columns, const std::string& name) {
  for (const NamedColumn& column : columns) {
    if (column.name == name) return &column.column;
  }
  return nullptr;
}

// A spine column that says one value for every row is the same as one that repeats it.
class ContextReader {
 public:
  explicit ContextReader(const Column& column) : column_(column), cells_(column) {}

  void Next(std::string* out) {
    if (column_.row_count == 1 && !constant_.empty()) {
      out->append(constant_);
      return;
    }
    constant_.clear();
    const bool is_null =
        next_null_ < column_.null_rows.size() && column_.null_rows[next_null_] == row_;
    if (is_null) ++next_null_;
    ++row_;
    Put(static_cast<uint8_t>(is_null), &constant_);
    cells_.Next(is_null ? nullptr : &constant_);
    out->append(constant_);
  }

 private:
  const Column& column_;
  CellBytes cells_;
  size_t row_ = 0;
  size_t next_null_ = 0;
  std::string constant_;  // the encoding of the row before
};

void PutNames(const std::vector<std::string>& names, std::string* out) {
  Put(static_cast<uint32_t>(names.size()), out);
  for (const std::string& name : names) PutBytes(name, out);
}

}  // namespace

TrainingSetDigest::TrainingSetDigest(const FeaturePlan& plan) : key_names_(plan.key_columns) {
  std::sort(key_names_.begin(), key_names_.end());
  for (const FieldSchema& field : plan.context) context_names_.push_back(field.name);
  std::sort(context_names_.begin(), context_names_.end());
  std::string head;
  Put(kFormat, &head);
  PutNames(key_names_, &head);
  PutNames(context_names_, &head);
  Put(static_cast<uint32_t>(plan.columns.size()), &head);
  for (const PlanColumn& column : plan.columns) {
    PutBytes(column.resolved, &head);
    Put(static_cast<uint8_t>(column.type.type), &head);
    Put(static_cast<uint8_t>(column.type.array), &head);
    Put(static_cast<uint32_t>(column.type.dimension), &head);
  }
  sha_.Add(head);
}

void TrainingSetDigest::Add(const SpineBatch& batch, absl::Span<const Column> columns) {
  std::vector<CellBytes> keys;
  for (const std::string& name : key_names_) keys.emplace_back(*FindColumn(batch.keys, name));
  std::vector<ContextReader> context;
  for (const std::string& name : context_names_) {
    context.emplace_back(*FindColumn(batch.request_context, name));
  }
  std::vector<CellBytes> cells;
  for (const Column& column : columns) cells.emplace_back(column);
  std::string bytes;
  for (size_t row = 0; row < batch.row_count; ++row) {
    for (CellBytes& key : keys) key.Next(&bytes);
    Put(batch.timestamps[row], &bytes);
    for (ContextReader& value : context) value.Next(&bytes);
    for (size_t i = 0; i < cells.size(); ++i) {
      const std::vector<CellStatus>& statuses = columns[i].statuses;
      const CellStatus status = statuses.empty() ? CellStatus::kPresent : statuses[row];
      Put(static_cast<uint8_t>(status), &bytes);
      cells[i].Next(status == CellStatus::kPresent ? &bytes : nullptr);
      const auto& times = columns[i].event_times;
      Put(times == nullptr ? kUnsetTime : (*times)[row], &bytes);
    }
    if (bytes.size() < kDigestStepBytes) continue;
    sha_.Add(bytes);
    bytes.clear();
  }
  sha_.Add(bytes);
}

std::string TrainingSetDigest::Finish() { return sha_.Finish(); }

}  // namespace fletch
