// SPDX-License-Identifier: Apache-2.0
#include "server/engine/entity_columns.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/status.h"
#include "base/strings.h"
#include "storage/entity_key.h"
#include "storage/row_codec.h"

namespace fletch {

absl::StatusOr<std::vector<std::string>> EncodeEntities(const ViewSchema& schema,
                                                        std::vector<NamedColumn> keys,
                                                        size_t row_count, std::string_view path) {
  std::vector<const Column*> ordered;
  for (const KeyFieldSchema& join_key : schema.join_keys) {
    const std::string field = StrCat(path, ".", join_key.name);
    auto key = std::find_if(keys.begin(), keys.end(),
                            [&](const NamedColumn& k) { return k.name == join_key.name; });
    if (key == keys.end()) {
      return InvalidArgument(
          StrCat("join key ", join_key.name, " is missing; give ", row_count,
                 row_count == 1 ? " row" : " rows", " of each join key of entity ", schema.entity),
          field);
    }
    CoerceColumn(DataType{join_key.type}, &key->column);
    RETURN_IF_ERROR(CheckKeyColumn(join_key, key->column, row_count, field));
    ordered.push_back(&key->column);
  }
  for (const NamedColumn& key : keys) {
    if (std::find(ordered.begin(), ordered.end(), &key.column) != ordered.end()) continue;
    return InvalidArgument(StrCat(key.name, " is no join key of view ", schema.versioned_name(),
                                  ", or is given twice"),
                           StrCat(path, ".", key.name));
  }
  std::vector<std::string> entities(row_count);
  for (size_t row = 0; row < row_count; ++row) AppendKey(ordered, row, &entities[row]);
  return entities;
}

absl::StatusOr<std::string> EncodeEntity(const ViewSchema& schema, std::vector<NamedColumn> keys,
                                         std::string_view path) {
  ASSIGN_OR_RETURN(std::vector<std::string> entities,
                   EncodeEntities(schema, std::move(keys), 1, path));
  return std::move(entities.front());
}

absl::StatusOr<std::string> DescribeEntity(absl::Span<const KeyFieldSchema> fields,
                                           std::string_view encoded) {
  ASSIGN_OR_RETURN(const std::vector<KeyValue> values, DecodeKey(fields, encoded));
  std::string text;
  for (size_t i = 0; i < values.size(); ++i) {
    const auto* number = std::get_if<int64_t>(&values[i]);
    text += StrCat(i == 0 ? "" : ", ", fields[i].name, "=",
                   number != nullptr ? StrCat(*number) : std::get<std::string>(values[i]));
  }
  return text;
}

std::vector<NamedColumn> KeyColumns(absl::Span<const KeyFieldSchema> fields) {
  std::vector<NamedColumn> columns(fields.size());
  for (size_t i = 0; i < fields.size(); ++i) {
    columns[i].name = fields[i].name;
    columns[i].column.type = DataType{fields[i].type};
  }
  return columns;
}

absl::Status AppendKeyValues(absl::Span<const KeyFieldSchema> fields, std::string_view encoded,
                             absl::Span<NamedColumn> columns) {
  ASSIGN_OR_RETURN(std::vector<KeyValue> values, DecodeKey(fields, encoded));
  for (size_t i = 0; i < values.size(); ++i) {
    Column& column = columns[i].column;
    ++column.row_count;
    if (const auto* number = std::get_if<int64_t>(&values[i])) {
      column.int64s.push_back(*number);
    } else {
      column.strings.push_back(std::get<std::string>(std::move(values[i])));
    }
  }
  return absl::OkStatus();
}

}  // namespace fletch
