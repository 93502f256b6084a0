// SPDX-License-Identifier: Apache-2.0
#include "schema.h"

#include <algorithm>
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

// What stands before the colon of a ref.
absl::StatusOr<std::string> ViewOf(const std::string& ref) {
  const size_t colon = ref.find(':');
  if (colon != std::string::npos && colon > 0) return ref.substr(0, colon);
  return UsageError(absl::StrCat("'", ref, "' is not a feature ref; write view:field"));
}

// Adds the join keys of `view` under the names that `mapping` gives them.
template <typename Map>
absl::Status AddKeys(const client::Client& client, const std::string& view, const Map& mapping,
                     KeyTypes& keys) {
  CTL_ASSIGN(const ViewSchema schema, GetViewSchema(client, view));
  for (const auto& [name, type] : schema.JoinKeys()) {
    const auto renamed = mapping.find(name);
    const std::string& column = renamed == mapping.end() ? name : renamed->second;
    const bool known =
        std::any_of(keys.begin(), keys.end(), [&](const auto& key) { return key.first == column; });
    if (!known) keys.emplace_back(column, type);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> SplitValues(const std::string& text) {
  if (!text.starts_with("[")) return std::vector<std::string>(absl::StrSplit(text, ','));
  const Json list = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!list.is_array()) return UsageError(absl::StrCat("'", text, "' is not a JSON list"));
  std::vector<std::string> values;
  for (const Json& value : list) {
    values.push_back(value.is_string() ? value.get<std::string>() : value.dump());
  }
  return values;
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

absl::StatusOr<KeyTypes> GetServiceKeys(const client::Client& client, const std::string& service) {
  CTL_ASSIGN(const v1::Object object, GetObject(client, v1::FEATURE_SERVICE, service));
  KeyTypes keys;
  std::set<std::string> seen;
  for (const std::string& ref : object.feature_service().features()) {
    CTL_ASSIGN(const std::string view, ViewOf(ref));
    if (!seen.insert(view).second) continue;
    const auto& bindings = object.feature_service().bindings();
    const auto binding = std::find_if(bindings.begin(), bindings.end(),
                                      [&](const v1::Binding& b) { return b.alias() == view; });
    if (binding == bindings.end()) {
      CTL_RETURN_IF_ERROR(AddKeys(client, view, std::map<std::string, std::string>(), keys));
    } else {
      CTL_RETURN_IF_ERROR(AddKeys(client, binding->feature_view(), binding->join_key_map(), keys));
    }
  }
  return keys;
}

absl::StatusOr<KeyTypes> GetFeatureKeys(const client::Client& client,
                                        const std::vector<std::string>& features) {
  KeyTypes keys;
  std::set<std::string> seen;
  for (const std::string& ref : features) {
    CTL_ASSIGN(const std::string view, ViewOf(ref));
    if (!seen.insert(view).second) continue;
    CTL_RETURN_IF_ERROR(AddKeys(client, view, std::map<std::string, std::string>(), keys));
  }
  return keys;
}

absl::StatusOr<KeyColumns> ParseKeys(const std::vector<std::string>& arguments,
                                     const KeyTypes& types) {
  KeyColumns keys;
  std::set<std::string> seen;
  for (const std::string& argument : arguments) {
    const size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    const auto type = std::find_if(types.begin(), types.end(),
                                   [&](const auto& key) { return key.first == name; });
    if (equals == std::string::npos || type == types.end()) {
      const std::string known = absl::StrJoin(
          types, ", ", [](std::string* out, const auto& key) { absl::StrAppend(out, key.first); });
      return UsageError(absl::StrCat("--key '", argument, "': keys here are ", known,
                                     "; write --key NAME=VALUE[,VALUE…]"));
    }
    if (!seen.insert(name).second) {
      return UsageError(
          absl::StrCat("--key '", name, "' stands twice; write --key ", name, "=A,B"));
    }
    CTL_ASSIGN(const std::vector<std::string> values, SplitValues(argument.substr(equals + 1)));
    ColumnBuilder builder(CellType{.type = type->second});
    for (const std::string& value : values) {
      if (absl::Status status = builder.AddText(value); !status.ok()) {
        return Prefixed(status, absl::StrCat("--key ", name, ": "));
      }
    }
    if (!keys.columns.empty() && values.size() != keys.row_count) {
      return UsageError(absl::StrCat("--key ", name, " has ", values.size(), " values, but ",
                                     keys.columns[0].first, " has ", keys.row_count,
                                     "; the n-th of each belong together"));
    }
    keys.row_count = values.size();
    keys.columns.emplace_back(name, builder.Take());
  }
  return keys;
}

}  // namespace fletch::ctl
