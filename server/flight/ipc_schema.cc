// SPDX-License-Identifier: Apache-2.0
#include "server/flight/ipc_schema.h"

#include <flatbuffers/flatbuffers.h>
#include <ipc_generated.h>

#include <cstring>
#include <unordered_set>
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "storage/text_check.h"

namespace fletch {
namespace {

absl::Status Unsupported(std::string_view type, std::string_view instead) {
  return InvalidArgument(StrCat("the type ", type, " has no place here; ", instead));
}

absl::StatusOr<ArrowType> ReadInt(const ipc::Int* type) {
  const int bits = type->bits();
  if (bits != 8 && bits != 16 && bits != 32 && bits != 64) {
    return InvalidArgument(StrCat("an integer of ", bits, " bits; there are 8, 16, 32 and 64"));
  }
  return ArrowType{.kind = ArrowKind::kInt, .bits = bits, .is_signed = type->is_signed()};
}

absl::StatusOr<ArrowType> ReadFloat(const ipc::Float* type) {
  switch (type->precision()) {
    case ipc::Precision::Single:
      return ArrowType{.kind = ArrowKind::kFloat, .bits = 32};
    case ipc::Precision::Double:
      return ArrowType{.kind = ArrowKind::kFloat, .bits = 64};
    default:
      return Unsupported("halffloat", "cast it to float32");
  }
}

absl::StatusOr<ArrowType> ReadTimestamp(const ipc::Timestamp* type) {
  const int unit = static_cast<int>(type->unit());
  if (unit < 0 || unit > 3) return InvalidArgument(StrCat("timestamp unit ", unit, " is unknown"));
  ArrowType out{.kind = ArrowKind::kTimestamp, .unit = static_cast<TimeUnit>(unit)};
  if (type->timezone() != nullptr) out.timezone = type->timezone()->str();
  return out;
}

absl::StatusOr<ArrowType> ReadFixedSizeList(const ipc::FixedSizeList* type) {
  if (type->size() < 0 || static_cast<size_t>(type->size()) > limits::kMaxDimension) {
    return InvalidArgument(StrCat("a fixed_size_list of ", type->size(),
                                  "; the limit max_dimension is ", limits::kMaxDimension));
  }
  return ArrowType{.kind = ArrowKind::kFixedSizeList,
                   .list_size = static_cast<uint32_t>(type->size())};
}

// What is told of the types that are refused.
absl::Status Refused(ipc::Type type) {
  switch (type) {
    case ipc::Type::Decimal:
      return Unsupported("decimal", "cast it to double or int64");
    case ipc::Type::Time:
    case ipc::Type::Duration:
    case ipc::Type::Interval:
      return Unsupported("of a time span", "cast it to int64 or double");
    case ipc::Type::Struct:
    case ipc::Type::Union:
    case ipc::Type::Map:
      return Unsupported("of nested values", "give its parts as columns, or as JSON text");
    case ipc::Type::FixedSizeBinary:
      return Unsupported("fixed_size_binary", "cast it to binary");
    case ipc::Type::RunEndEncoded:
    case ipc::Type::ListView:
    case ipc::Type::LargeListView:
      return Unsupported("of run ends or list views", "cast it to its plain form");
    default:
      return InvalidArgument(StrCat("type number ", static_cast<int>(type), " is unknown"));
  }
}

// A type of a field without a look at its children.
absl::StatusOr<ArrowType> ReadType(const ipc::Field& field) {
  if (field.type() == nullptr) return InvalidArgument("the type is missing");
  switch (field.type_type()) {
    case ipc::Type::Null:
      return ArrowType{};
    case ipc::Type::Bool:
      return ArrowType{.kind = ArrowKind::kBool};
    case ipc::Type::Int:
      return ReadInt(field.type_as_Int());
    case ipc::Type::Float:
      return ReadFloat(field.type_as_Float());
    case ipc::Type::Utf8:
      return ArrowType{.kind = ArrowKind::kUtf8};
    case ipc::Type::LargeUtf8:
      return ArrowType{.kind = ArrowKind::kUtf8, .large = true};
    case ipc::Type::Utf8View:
      return ArrowType{.kind = ArrowKind::kUtf8, .view = true};
    case ipc::Type::Binary:
      return ArrowType{.kind = ArrowKind::kBinary};
    case ipc::Type::LargeBinary:
      return ArrowType{.kind = ArrowKind::kBinary, .large = true};
    case ipc::Type::BinaryView:
      return ArrowType{.kind = ArrowKind::kBinary, .view = true};
    case ipc::Type::Timestamp:
      return ReadTimestamp(field.type_as_Timestamp());
    case ipc::Type::Date: {
      const bool days = field.type_as_Date()->unit() == ipc::DateUnit::Day;
      return ArrowType{.kind = ArrowKind::kDate, .bits = days ? 32 : 64};
    }
    case ipc::Type::List:
      return ArrowType{.kind = ArrowKind::kList};
    case ipc::Type::LargeList:
      return ArrowType{.kind = ArrowKind::kList, .large = true};
    case ipc::Type::FixedSizeList:
      return ReadFixedSizeList(field.type_as_FixedSizeList());
    default:
      return Refused(field.type_type());
  }
}

absl::StatusOr<ArrowType> ReadElement(const ipc::Field& field) {
  if (field.children() == nullptr || field.children()->size() != 1) {
    return InvalidArgument("a list has exactly one child");
  }
  const ipc::Field& child = *field.children()->Get(0);
  if (child.dictionary() != nullptr) {
    return Unsupported("list of dictionary values", "cast it to a list of plain ones");
  }
  ASSIGN_OR_RETURN(const ArrowType element, ReadType(child));
  if (element.is_list()) return Unsupported("list of lists", "arrays hold scalars");
  return element;
}

absl::StatusOr<ArrowField> ReadField(const ipc::Field& field) {
  ArrowField out{.name = field.name()->str()};
  ASSIGN_OR_RETURN(out.type, ReadType(field));
  if (out.type.is_list()) {
    ASSIGN_OR_RETURN(out.element, ReadElement(field));
  } else if (field.children() != nullptr && field.children()->size() != 0) {
    return InvalidArgument("only lists have children");
  }
  if (const ipc::DictionaryEncoding* dictionary = field.dictionary(); dictionary != nullptr) {
    if (out.type.is_list() || out.type.kind == ArrowKind::kNull) {
      return Unsupported("dictionary of lists or of nothing", "send the column plain");
    }
    out.dictionary = dictionary->id();
    out.index = {.kind = ArrowKind::kInt, .bits = 32};  // what a missing index type stands for
    if (dictionary->index() != nullptr) {
      ASSIGN_OR_RETURN(out.index, ReadInt(dictionary->index()));
    }
  }
  if (field.metadata() == nullptr) return out;
  for (const ipc::KeyValue* entry : *field.metadata()) {
    if (entry->key() == nullptr || entry->value() == nullptr) continue;
    out.metadata.emplace_back(entry->key()->str(), entry->value()->str());
  }
  return out;
}

using Builder = flatbuffers::FlatBufferBuilder;
using Metadata = flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<ipc::KeyValue>>>;

Metadata WriteMetadata(Builder* builder, const ArrowMetadata& metadata) {
  if (metadata.empty()) return 0;
  std::vector<flatbuffers::Offset<ipc::KeyValue>> entries;
  for (const auto& [key, value] : metadata) {
    const auto key_offset = builder->CreateString(key);
    entries.push_back(ipc::CreateKeyValue(*builder, key_offset, builder->CreateString(value)));
  }
  return builder->CreateVector(entries);
}

std::pair<ipc::Type, flatbuffers::Offset<void>> WriteType(Builder* builder, const ArrowType& type) {
  switch (type.kind) {
    case ArrowKind::kNull:
      return {ipc::Type::Null, ipc::CreateNull(*builder).Union()};
    case ArrowKind::kBool:
      return {ipc::Type::Bool, ipc::CreateBool(*builder).Union()};
    case ArrowKind::kInt:
      return {ipc::Type::Int, ipc::CreateInt(*builder, type.bits, type.is_signed).Union()};
    case ArrowKind::kFloat: {
      const auto precision = type.bits == 32 ? ipc::Precision::Single : ipc::Precision::Double;
      return {ipc::Type::Float, ipc::CreateFloat(*builder, precision).Union()};
    }
    case ArrowKind::kUtf8:
      if (type.view) return {ipc::Type::Utf8View, ipc::CreateUtf8View(*builder).Union()};
      if (type.large) return {ipc::Type::LargeUtf8, ipc::CreateLargeUtf8(*builder).Union()};
      return {ipc::Type::Utf8, ipc::CreateUtf8(*builder).Union()};
    case ArrowKind::kBinary:
      if (type.view) return {ipc::Type::BinaryView, ipc::CreateBinaryView(*builder).Union()};
      if (type.large) return {ipc::Type::LargeBinary, ipc::CreateLargeBinary(*builder).Union()};
      return {ipc::Type::Binary, ipc::CreateBinary(*builder).Union()};
    case ArrowKind::kTimestamp: {
      const auto zone = builder->CreateString(type.timezone);
      const auto unit = static_cast<ipc::Unit>(type.unit);
      return {ipc::Type::Timestamp,
              ipc::CreateTimestamp(*builder, unit, type.timezone.empty() ? 0 : zone).Union()};
    }
    case ArrowKind::kDate: {
      const auto unit = type.bits == 32 ? ipc::DateUnit::Day : ipc::DateUnit::Millisecond;
      return {ipc::Type::Date, ipc::CreateDate(*builder, unit).Union()};
    }
    case ArrowKind::kList:
      if (type.large) return {ipc::Type::LargeList, ipc::CreateLargeList(*builder).Union()};
      return {ipc::Type::List, ipc::CreateList(*builder).Union()};
    case ArrowKind::kFixedSizeList: {
      const auto size = static_cast<int32_t>(type.list_size);
      return {ipc::Type::FixedSizeList, ipc::CreateFixedSizeList(*builder, size).Union()};
    }
  }
  return {ipc::Type::NONE, 0};
}

flatbuffers::Offset<ipc::Field> WriteField(Builder* builder, const ArrowField& field) {
  std::vector<flatbuffers::Offset<ipc::Field>> children;
  if (field.type.is_list()) {
    children.push_back(WriteField(builder, {.name = "item", .type = field.element}));
  }
  const auto name = builder->CreateString(field.name);
  const auto [type_number, type] = WriteType(builder, field.type);
  flatbuffers::Offset<ipc::DictionaryEncoding> dictionary = 0;
  if (field.dictionary.has_value()) {
    const auto index = ipc::CreateInt(*builder, field.index.bits, field.index.is_signed);
    dictionary = ipc::CreateDictionaryEncoding(*builder, *field.dictionary, index);
  }
  const Metadata metadata = WriteMetadata(builder, field.metadata);
  const auto child_vector = builder->CreateVector(children);
  return ipc::CreateField(*builder, name, /*nullable=*/true, type_number, type, dictionary,
                          child_vector, metadata);
}

}  // namespace

absl::StatusOr<std::vector<ArrowField>> ReadFields(const ipc::Schema& schema) {
  if (schema.endian() != ipc::Endian::Little) {
    return InvalidArgument("the schema says big-endian; send little-endian");
  }
  if (schema.fields() == nullptr) return InvalidArgument("the schema has no list of fields");
  if (schema.fields()->size() > limits::kMaxFlightColumns) {
    return OutOfRange(StrCat(schema.fields()->size(), " columns; the limit max_flight_columns is ",
                             limits::kMaxFlightColumns));
  }
  std::vector<ArrowField> fields;
  std::unordered_set<std::string> names;
  for (const ipc::Field* field : *schema.fields()) {
    if (field->name() == nullptr || !IsUtf8(field->name()->string_view())) {
      return InvalidArgument(StrCat("column ", fields.size(), " has no name in UTF-8"));
    }
    const std::string path = StrCat("columns.", field->name()->string_view());
    absl::StatusOr<ArrowField> read = ReadField(*field);
    if (!read.ok()) return PrefixField(read.status(), path);
    if (!names.insert(read->name).second) {
      return InvalidArgument(StrCat("column ", read->name, " comes twice"), path);
    }
    fields.push_back(*std::move(read));
  }
  return fields;
}

std::string SchemaMessage(absl::Span<const ArrowField> fields, const ArrowMetadata& metadata) {
  Builder builder;
  std::vector<flatbuffers::Offset<ipc::Field>> offsets;
  for (const ArrowField& field : fields) offsets.push_back(WriteField(&builder, field));
  const auto field_vector = builder.CreateVector(offsets);
  const auto metadata_vector = WriteMetadata(&builder, metadata);
  const auto schema =
      ipc::CreateSchema(builder, ipc::Endian::Little, field_vector, metadata_vector);
  builder.Finish(
      ipc::CreateMessage(builder, ipc::Version::V5, ipc::Header::Schema, schema.Union()));
  return std::string(reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize());
}

std::string Encapsulated(std::string_view message) {
  const size_t padded = (message.size() + 7) / 8 * 8;
  std::string out(8 + padded, '\0');
  const auto length = static_cast<uint32_t>(padded);
  std::memset(out.data(), 0xff, 4);
  std::memcpy(out.data() + 4, &length, 4);
  std::memcpy(out.data() + 8, message.data(), message.size());
  return out;
}

}  // namespace fletch
