// SPDX-License-Identifier: Apache-2.0
#include "server/flight/ipc_reader.h"

#include <flatbuffers/flatbuffers.h>
#include <ipc_generated.h>

#include <cstring>
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/flight/ipc_body.h"
#include "server/flight/ipc_schema.h"

namespace fletch {
namespace {

constexpr int kMaxDepth = 16;            // a list's child is the deepest table
constexpr size_t kTablesPerColumn = 64;  // with its metadata
constexpr size_t kMaxTables = limits::kMaxFlightColumns * kTablesPerColumn;

size_t BytesOf(const Column& column) {
  size_t bytes = column.bools.size() + 4 * (column.int32s.size() + column.floats.size()) +
                 8 * (column.int64s.size() + column.doubles.size()) +
                 sizeof(std::string) * column.strings.size();
  for (const std::string& text : column.strings) bytes += text.size();
  return bytes;
}

template <class T>
void Append(std::vector<T>&& from, std::vector<T>* to) {
  to->insert(to->end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

void AppendRows(Column&& from, Column* to) {
  for (const uint64_t row : from.null_rows) to->null_rows.push_back(to->row_count + row);
  to->row_count += from.row_count;
  Append(std::move(from.bools), &to->bools);
  Append(std::move(from.int32s), &to->int32s);
  Append(std::move(from.int64s), &to->int64s);
  Append(std::move(from.floats), &to->floats);
  Append(std::move(from.doubles), &to->doubles);
  Append(std::move(from.strings), &to->strings);
}

}  // namespace

absl::StatusOr<IpcReader::Kind> IpcReader::Take(std::string_view header, std::string_view body) {
  arrays_.clear();
  owned_.clear();
  row_count_ = 0;
  // FlatBuffers are read in place, in words of 8 bytes.
  std::vector<uint64_t> words((header.size() + 7) / 8);
  if (!header.empty()) std::memcpy(words.data(), header.data(), header.size());
  const auto* bytes = reinterpret_cast<const uint8_t*>(words.data());
  flatbuffers::Verifier verifier(bytes, header.size(), kMaxDepth, kMaxTables);
  if (header.empty() || !ipc::VerifyMessageBuffer(verifier)) {
    return InvalidArgument("data_header is no Arrow IPC message");
  }
  return TakeMessage(*ipc::GetMessage(bytes), body);
}

absl::StatusOr<IpcReader::Kind> IpcReader::TakeMessage(const ipc::Message& message,
                                                       std::string_view body) {
  if (message.version() != ipc::Version::V4 && message.version() != ipc::Version::V5) {
    return InvalidArgument(StrCat("metadata version ", static_cast<int>(message.version()) + 1,
                                  " of Arrow IPC; send V5"));
  }
  if (message.header() == nullptr) return InvalidArgument("the message has no header");
  if (message.header_type() == ipc::Header::Schema) {
    if (has_schema_) return InvalidArgument("a second schema; one stream has one");
    ASSIGN_OR_RETURN(fields_, ReadFields(*message.header_as_Schema()));
    has_schema_ = true;
    return Kind::kSchema;
  }
  if (!has_schema_) return InvalidArgument("the stream does not begin with a schema");
  switch (message.header_type()) {
    case ipc::Header::DictionaryBatch:
      RETURN_IF_ERROR(TakeDictionary(*message.header_as_DictionaryBatch(), body));
      return Kind::kDictionary;
    case ipc::Header::RecordBatch:
      RETURN_IF_ERROR(TakeBatch(*message.header_as_RecordBatch(), body));
      return Kind::kBatch;
    default:
      return InvalidArgument("the message is neither schema nor dictionary nor record batch");
  }
}

absl::Status IpcReader::TakeBatch(const ipc::RecordBatch& batch, std::string_view body) {
  ASSIGN_OR_RETURN(IpcBatch read, ReadBody(batch, body, fields_, limits_));
  for (const ArrowField& field : fields_) {
    // A batch without rows may come before its dictionary.
    if (field.dictionary.has_value() && DictionaryOf(field) == nullptr && read.row_count > 0) {
      return InvalidArgument(StrCat("its dictionary ", *field.dictionary, " was not sent"),
                             StrCat("columns.", field.name));
    }
  }
  row_count_ = read.row_count;
  arrays_ = std::move(read.arrays);
  owned_ = std::move(read.owned);
  return absl::OkStatus();
}

absl::Status IpcReader::TakeDictionary(const ipc::DictionaryBatch& message, std::string_view body) {
  const ArrowField* owner = nullptr;
  for (const ArrowField& field : fields_) {
    if (field.dictionary == message.id()) owner = &field;
  }
  if (owner == nullptr) {
    return InvalidArgument(StrCat("a dictionary with id ", message.id(), " that no column has"));
  }
  const std::string path = StrCat("columns.", owner->name);
  if (message.data() == nullptr) return InvalidArgument("a dictionary without values", path);
  const ArrowField values_field{.name = owner->name, .type = owner->type};
  ASSIGN_OR_RETURN(const IpcBatch read,
                   ReadBody(*message.data(), body, {&values_field, 1}, limits_));
  absl::StatusOr<Column> values =
      ReadArray(values_field, read.arrays[0], nullptr, 0, read.row_count, std::nullopt, limits_);
  if (!values.ok()) return PrefixField(values.status(), path);
  size_t others = 0;
  for (const auto& [id, dictionary] : dictionaries_) {
    if (id != message.id() || message.is_delta()) others += dictionary.bytes;
  }
  const size_t bytes = BytesOf(*values);
  if (others + bytes > limits_.value_bytes) {
    return OutOfRange(StrCat("dictionaries of ", others + bytes,
                             " bytes; the limit max_flight_value_bytes is ", limits_.value_bytes),
                      path);
  }
  Dictionary& dictionary = dictionaries_[message.id()];
  if (message.is_delta() && dictionary.values.row_count > 0) {
    if (dictionary.values.type != values->type) {
      return InvalidArgument("a delta of another type than its dictionary", path);
    }
    AppendRows(*std::move(values), &dictionary.values);
    dictionary.bytes += bytes;
  } else {
    dictionary = {*std::move(values), bytes};
  }
  return absl::OkStatus();
}

const Column* IpcReader::DictionaryOf(const ArrowField& field) const {
  const auto it = dictionaries_.find(*field.dictionary);
  return it == dictionaries_.end() ? nullptr : &it->second.values;
}

absl::StatusOr<Column> IpcReader::ReadColumn(size_t i, size_t begin, size_t count,
                                             const std::optional<DataType>& wanted) const {
  const ArrowField& field = fields_[i];
  absl::StatusOr<Column> column;
  if (!field.dictionary.has_value()) {
    column = ReadArray(field, arrays_[i], nullptr, begin, count, wanted, limits_);
  } else if (const Column* dictionary = DictionaryOf(field); dictionary != nullptr) {
    column = ReadArray(field, arrays_[i], dictionary, begin, count, wanted, limits_);
  } else {  // of a batch without rows
    column = ReadScalars(field.type, ArrowArray{}, 0, 0, "row", limits_);
  }
  if (!column.ok()) return PrefixField(column.status(), StrCat("columns.", field.name));
  return column;
}

}  // namespace fletch
