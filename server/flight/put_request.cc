// SPDX-License-Identifier: Apache-2.0
#include "server/flight/put_request.h"

#include <xxhash.h>

#include <memory>
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/flight/flight_input.h"

namespace fletch {
namespace {

constexpr size_t kDefaultRowsPerCommit = 10'000;
constexpr size_t kMaxPrefixBytes = 100;  // what is left of a request id goes to the commit's number

class Hash {
 public:
  Hash() : state_(XXH3_createState(), &XXH3_freeState) { XXH3_64bits_reset(state_.get()); }

  template <class T>
  void Values(const std::vector<T>& values) {
    Number(values.size());
    XXH3_64bits_update(state_.get(), values.data(), values.size() * sizeof(T));
  }
  void Text(const std::string& text) {
    Number(text.size());
    XXH3_64bits_update(state_.get(), text.data(), text.size());
  }
  void Number(uint64_t number) { XXH3_64bits_update(state_.get(), &number, sizeof(number)); }

  void Rows(const Column& column) {
    Number(static_cast<uint64_t>(column.type.type));
    Number(column.type.array);
    Number(column.type.dimension);
    Values(column.bools);
    Values(column.int32s);
    Values(column.int64s);
    Values(column.floats);
    Values(column.doubles);
    Values(column.lengths);
    Values(column.null_rows);
    Number(column.strings.size());
    for (const std::string& text : column.strings) Text(text);
  }

  uint64_t Digest() const { return XXH3_64bits_digest(state_.get()); }

 private:
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state_;
};

}  // namespace

uint64_t HashOfRows(const std::vector<RowBatch>& batches) {
  Hash hash;
  for (const RowBatch& batch : batches) {
    hash.Text(batch.feature_view);
    hash.Number(batch.row_count);
    hash.Number(batch.merge);
    hash.Values(batch.event_times);
    for (const NamedColumn& column : batch.columns) {
      hash.Text(column.name);
      hash.Rows(column.column);
    }
  }
  return hash.Digest();
}

absl::StatusOr<PutRequest> PutRequest::Make(const v1::FlightPut& command,
                                            const v1::FeatureView& view) {
  PutRequest out;
  out.base_.project = command.project();
  out.base_.batches.resize(1);
  out.base_.batches[0].feature_view = command.feature_view();
  out.base_.batches[0].merge = command.merge();
  if (!v1::Durability_IsValid(command.durability())) {
    return InvalidArgument(
        StrCat("durability ", static_cast<int>(command.durability()), " is unknown"), "durability");
  }
  if (command.durability() == v1::BUFFERED) out.base_.durability = Durability::kBuffered;
  out.timestamp_column_ =
      command.timestamp_column().empty() ? "event_timestamp" : command.timestamp_column();
  if (command.request_id().size() > kMaxPrefixBytes) {
    return InvalidArgument(StrCat("request_id has ", command.request_id().size(),
                                  " bytes; a prefix has at most ", kMaxPrefixBytes),
                           "request_id");
  }
  out.request_id_prefix_ = command.request_id();
  if (command.rows_per_commit() > limits::kMaxRowsPerBatch) {
    return OutOfRange(StrCat("rows_per_commit is ", command.rows_per_commit(),
                             "; the limit max_rows_per_batch is ", limits::kMaxRowsPerBatch),
                      "rows_per_commit");
  }
  out.rows_per_commit_ =
      command.rows_per_commit() == 0 ? kDefaultRowsPerCommit : command.rows_per_commit();
  for (const v1::Field& field : view.fields()) {
    out.types_[field.name()] = {static_cast<ValueType>(field.type()), field.array(),
                                static_cast<uint32_t>(field.dimension())};
  }
  return out;
}

absl::StatusOr<WriteRequest> PutRequest::Rows(const IpcReader& reader, size_t begin, size_t count,
                                              uint64_t index) const {
  WriteRequest out = base_;
  RowBatch& batch = out.batches[0];
  batch.row_count = count;
  ASSIGN_OR_RETURN(const size_t times, FindTimes(reader.fields(), timestamp_column_));
  ASSIGN_OR_RETURN(batch.event_times, ReadTimes(reader, times, begin, count));
  for (size_t i = 0; i < reader.fields().size(); ++i) {
    if (i == times) continue;
    const std::string& name = reader.fields()[i].name;
    const auto type = types_.find(name);
    // Keys are never null; the engine says so of a column of nothing but nulls, too.
    const DataType wanted = type == types_.end() ? DataType{ValueType::kString} : type->second;
    ASSIGN_OR_RETURN(Column column, type == types_.end() && reader.fields()[i].type.is_list()
                                        ? reader.ReadColumn(i, begin, count)
                                        : reader.ReadColumn(i, begin, count, wanted));
    batch.columns.push_back({name, std::move(column)});
  }
  if (!request_id_prefix_.empty()) {
    out.request_id = StrCat(request_id_prefix_, "/", index);
    out.payload_hash = HashOfRows(out.batches);
  }
  return out;
}

}  // namespace fletch
