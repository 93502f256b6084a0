// SPDX-License-Identifier: Apache-2.0
#include "storage/entity_key.h"

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "storage/big_endian.h"
#include "storage/text_check.h"

namespace fletch {
namespace {

constexpr char kZero = '\x00';
constexpr char kEnd = '\x01';          // after a zero: the string ends
constexpr char kEscapedZero = '\xFF';  // after a zero: the zero itself

// The length of the encoded string at the start of `bytes`, 0 when it has no end or is malformed.
size_t EncodedStringLength(std::string_view bytes) {
  size_t at = 0;
  while ((at = bytes.find(kZero, at)) != std::string_view::npos && at + 1 < bytes.size()) {
    if (bytes[at + 1] == kEnd) return at + 2;
    if (bytes[at + 1] != kEscapedZero) return 0;
    at += 2;
  }
  return 0;
}

absl::Status CheckKeyString(const std::string& value, size_t row, std::string_view path) {
  if (value.empty())
    return InvalidArgument(StrCat("row ", row, " is empty; a key must not be"), path);
  if (value.size() > limits::kMaxKeyValueBytes) {
    return InvalidArgument(StrCat("row ", row, " has ", value.size(), " bytes; a key has at most ",
                                  limits::kMaxKeyValueBytes),
                           path);
  }
  if (!IsUtf8(value)) return InvalidArgument(StrCat("row ", row, " is not UTF-8"), path);
  return absl::OkStatus();
}

}  // namespace

void AppendInt64Key(int64_t value, std::string* out) { AppendU64(OrderedFromInt64(value), out); }

void AppendStringKey(std::string_view value, std::string* out) {
  size_t from = 0;
  for (size_t zero; (zero = value.find(kZero, from)) != std::string_view::npos; from = zero + 1) {
    out->append(value.substr(from, zero - from));
    out->push_back(kZero);
    out->push_back(kEscapedZero);
  }
  out->append(value.substr(from));
  out->push_back(kZero);
  out->push_back(kEnd);
}

void AppendKey(absl::Span<const Column* const> columns, size_t row, std::string* out) {
  for (const Column* column : columns) {
    if (column->type.type == ValueType::kInt64) {
      AppendInt64Key(column->int64s[row], out);
    } else {
      AppendStringKey(column->strings[row], out);
    }
  }
}

absl::Status CheckKeyColumn(const KeyFieldSchema& field, const Column& column, size_t row_count,
                            std::string_view path) {
  const DataType wanted{field.type};
  if (column.type.type != field.type || column.type.array) {
    return InvalidArgument(StrCat(DataTypeName(column.type), " values where the key ", field.name,
                                  " is ", DataTypeName(wanted)),
                           path);
  }
  const bool text = field.type == ValueType::kString;
  const size_t given = text ? column.strings.size() : column.int64s.size();
  if (given != row_count || column.row_count != row_count) {
    return InvalidArgument(StrCat(given, " values where there are ", row_count, " rows"), path);
  }
  if (!column.null_rows.empty()) {
    return InvalidArgument(StrCat("row ", column.null_rows.front(), " is null; a key must not be"),
                           path);
  }
  for (size_t row = 0; text && row < row_count; ++row) {
    RETURN_IF_ERROR(CheckKeyString(column.strings[row], row, path));
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> KeyLength(absl::Span<const KeyFieldSchema> fields, std::string_view bytes) {
  size_t length = 0;
  for (const KeyFieldSchema& field : fields) {
    if (field.type == ValueType::kInt64) {
      if (bytes.size() - length < sizeof(int64_t))
        return DataLoss(StrCat("a stored key is cut short in ", field.name));
      length += sizeof(int64_t);
    } else {
      const size_t part = EncodedStringLength(bytes.substr(length));
      if (part == 0) return DataLoss(StrCat("a stored key has no end of ", field.name));
      length += part;
    }
  }
  return length;
}

absl::StatusOr<std::vector<KeyValue>> DecodeKey(absl::Span<const KeyFieldSchema> fields,
                                                std::string_view encoded) {
  std::vector<KeyValue> values;
  values.reserve(fields.size());
  for (const KeyFieldSchema& field : fields) {
    ASSIGN_OR_RETURN(const size_t length, KeyLength(absl::MakeConstSpan(&field, 1), encoded));
    if (field.type == ValueType::kInt64) {
      values.emplace_back(Int64FromOrdered(ReadU64(encoded.data())));
    } else {
      std::string text;
      const size_t end = length - 2;
      for (size_t i = 0; i < end; i += encoded[i] == kZero ? 2 : 1) text.push_back(encoded[i]);
      values.emplace_back(std::move(text));
    }
    encoded.remove_prefix(length);
  }
  if (!encoded.empty())
    return DataLoss(StrCat("a stored key has ", encoded.size(), " bytes after its last field"));
  return values;
}

}  // namespace fletch
