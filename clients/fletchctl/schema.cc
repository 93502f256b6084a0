// SPDX-License-Identifier: Apache-2.0
#include "schema.h"

#include <algorithm>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "result.h"

namespace fletch::ctl {
namespace {

absl::StatusOr<v1::Object> GetObject(const client::Client& client, v1::ObjectKind kind,
                                     const std::string& name) {
  v1::GetRequest request;
  request.set_kind(kind);
  request.set_name(name);
  CTL_ASSIGN(v1::GetResponse response, client.Get(request));
  return response.object();
}

// A value of an argument; nullopt: null.
using Values = std::vector<std::optional<std::string>>;

absl::StatusOr<Values> SplitValues(const std::string& text) {
  Values values;
  if (!text.starts_with("[")) {
    for (absl::string_view value : absl::StrSplit(text, ',')) values.emplace_back(value);
    return values;
  }
  const Json list = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!list.is_array()) return UsageError(absl::StrCat("'", text, "' is not a JSON list"));
  for (const Json& value : list) {
    if (value.is_null()) {
      values.emplace_back();
    } else {
      values.emplace_back(value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
  return values;
}

std::string Names(const KeyTypes& types) {
  if (types.empty()) return "none";
  return absl::StrJoin(types, ", ", [](std::string* out, const auto& type) { *out += type.first; });
}

// How columns are given: the option's name, what its columns are called, and whether one may hold
// nulls.
struct ColumnOption {
  const char* name;
  const char* columns;
  bool nulls;
};
constexpr ColumnOption kKey = {"--key", "keys", false};
constexpr ColumnOption kContext = {"--context", "context columns", true};

struct NamedValues {
  std::string name = {};
  uint64_t row_count = 0;
  v1::Column column = {};
};

// One argument, NAME=VALUE[,VALUE…].
absl::StatusOr<NamedValues> ParseColumn(const ColumnOption& option, const std::string& argument,
                                        const KeyTypes& types) {
  const size_t equals = argument.find('=');
  NamedValues result{.name = argument.substr(0, equals)};
  const auto type = std::find_if(types.begin(), types.end(),
                                 [&](const auto& known) { return known.first == result.name; });
  if (equals == std::string::npos || type == types.end()) {
    return UsageError(absl::StrCat(option.name, " '", argument, "': ", option.columns, " here are ",
                                   Names(types), "; write ", option.name, " NAME=VALUE[,VALUE…]"));
  }
  CTL_ASSIGN(const Values values, SplitValues(argument.substr(equals + 1)));
  ColumnBuilder builder(CellType{.type = type->second});
  for (const std::optional<std::string>& value : values) {
    absl::Status status;
    if (value) {
      status = builder.AddText(*value);
    } else if (option.nulls) {
      builder.AddNull();
    } else {
      status = UsageError("a null cannot stand here");
    }
    if (!status.ok()) return Prefixed(status, absl::StrCat(option.name, " ", result.name, ": "));
  }
  result.row_count = values.size();
  result.column = builder.Take();
  return result;
}

// All arguments, each name once.
absl::StatusOr<std::vector<NamedValues>> ParseColumns(const ColumnOption& option,
                                                      const std::vector<std::string>& arguments,
                                                      const KeyTypes& types) {
  std::vector<NamedValues> columns;
  std::set<std::string> seen;
  for (const std::string& argument : arguments) {
    CTL_ASSIGN(NamedValues column, ParseColumn(option, argument, types));
    if (!seen.insert(column.name).second) {
      return UsageError(absl::StrCat(option.name, " '", column.name, "' stands twice; write ",
                                     option.name, " ", column.name, "=A,B"));
    }
    columns.push_back(std::move(column));
  }
  return columns;
}

}  // namespace

KeyTypes ViewSchema::JoinKeys() const {
  KeyTypes keys;
  for (const v1::KeyField& key : entity.join_keys()) keys.emplace_back(key.name(), key.type());
  return keys;
}

KeyTypes ViewSchema::IdentityKeys() const {
  KeyTypes keys = JoinKeys();
  for (const v1::KeyField& key : view.event_key()) keys.emplace_back(key.name(), key.type());
  return keys;
}

std::vector<std::pair<std::string, CellType>> ViewSchema::Columns() const {
  std::vector<std::pair<std::string, CellType>> columns;
  for (const auto& [name, type] : IdentityKeys())
    columns.emplace_back(name, CellType{.type = type});
  for (const v1::Field& field : view.fields()) columns.emplace_back(field.name(), TypeOf(field));
  return columns;
}

absl::StatusOr<ViewSchema> GetViewSchema(const client::Client& client, const std::string& view) {
  ViewSchema schema;
  CTL_ASSIGN(const v1::Object object, GetObject(client, v1::FEATURE_VIEW, view));
  schema.view = object.feature_view();
  CTL_ASSIGN(const v1::Object entity, GetObject(client, v1::ENTITY, schema.view.entity()));
  schema.entity = entity.entity();
  return schema;
}

absl::StatusOr<KeyTypes> GetEntityKeys(const client::Client& client, const std::string& entity) {
  ViewSchema schema;
  CTL_ASSIGN(const v1::Object object, GetObject(client, v1::ENTITY, entity));
  schema.entity = object.entity();
  return schema.JoinKeys();
}

ReadColumns ToReadColumns(const v1::GetHistoricalFeaturesResponse& header_answer) {
  ReadColumns columns;
  for (const v1::KeyField& key : header_answer.key_columns()) {
    columns.keys.emplace_back(key.name(), key.type());
  }
  for (const v1::RequestField& field : header_answer.context_columns()) {
    columns.context.emplace_back(field.name(), field.type());
  }
  return columns;
}

absl::StatusOr<ReadColumns> GetReadColumns(const client::Client& client, const std::string& service,
                                           const std::vector<std::string>& features) {
  v1::HistoricalHeader header;
  header.set_feature_service(service);
  header.mutable_features()->Add(features.begin(), features.end());
  CTL_ASSIGN(const v1::GetHistoricalFeaturesResponse answer,
             client.DescribeHistoricalFeatures(header));
  return ToReadColumns(answer);
}

absl::StatusOr<KeyColumns> ParseKeys(const std::vector<std::string>& arguments,
                                     const KeyTypes& types) {
  CTL_ASSIGN(std::vector<NamedValues> columns, ParseColumns(kKey, arguments, types));
  KeyColumns keys;
  for (NamedValues& column : columns) {
    if (!keys.columns.empty() && column.row_count != keys.row_count) {
      return UsageError(absl::StrCat("--key ", column.name, " has ", column.row_count,
                                     " values, but ", keys.columns[0].first, " has ",
                                     keys.row_count, "; the n-th of each belong together"));
    }
    keys.row_count = column.row_count;
    keys.columns.emplace_back(std::move(column.name), std::move(column.column));
  }
  return keys;
}

absl::StatusOr<KeyColumns> ParseContext(const std::vector<std::string>& arguments,
                                        const KeyTypes& types, uint64_t row_count) {
  CTL_ASSIGN(std::vector<NamedValues> columns, ParseColumns(kContext, arguments, types));
  KeyColumns context{.row_count = row_count};
  for (NamedValues& column : columns) {
    if (column.row_count != 1 && column.row_count != row_count) {
      return UsageError(absl::StrCat("--context ", column.name, " has ", column.row_count,
                                     " values for ", row_count,
                                     " rows; give one for all or one a row"));
    }
    context.columns.emplace_back(std::move(column.name), std::move(column.column));
  }
  for (const auto& [name, type] : types) {
    const bool given =
        std::any_of(context.columns.begin(), context.columns.end(),
                    [&wanted = name](const auto& column) { return column.first == wanted; });
    if (given) continue;
    return UsageError(absl::StrCat("the features need the request's ", name, "; add --context ",
                                   name, "=… (", v1::ValueType_Name(type), ")"));
  }
  return context;
}

}  // namespace fletch::ctl
