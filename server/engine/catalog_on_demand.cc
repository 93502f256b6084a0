// SPDX-License-Identifier: Apache-2.0
#include "server/engine/catalog_on_demand.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"

namespace fletch {
namespace {

// How expressions name the request's columns, so no input may have this name.
constexpr std::string_view kRequestName = "request";

// "weather@v2" -> "weather".
std::string_view NameOf(std::string_view view_ref) {
  return view_ref.substr(0, view_ref.find('@'));
}

// The join keys of all inputs, each name once.
absl::StatusOr<std::vector<KeyFieldSchema>> UniteKeys(absl::Span<const OnDemandView::Input> inputs,
                                                      std::string_view path) {
  struct United {
    KeyFieldSchema key;
    size_t owner;
  };
  std::vector<United> united;
  for (size_t i = 0; i < inputs.size(); ++i) {
    for (const KeyFieldSchema& key : inputs[i].schema().join_keys) {
      const auto found = std::find_if(united.begin(), united.end(), [&](const United& other) {
        return other.key.name == key.name;
      });
      if (found == united.end()) {
        united.push_back({key, i});
      } else if (found->key.type != key.type) {
        return InvalidArgument(
            StrCat("the join key ", key.name, " of ", inputs[i].versioned_name(), " is ",
                   ValueTypeName(key.type), ", that of ", inputs[found->owner].versioned_name(),
                   " is ", ValueTypeName(found->key.type),
                   "; inputs that share a join key's name must share its type"),
            StrCat(path, "[", i, "]"));
      }
    }
  }
  std::vector<KeyFieldSchema> keys;
  for (United& one : united) keys.push_back(std::move(one.key));
  return keys;
}

absl::Status CheckInputs(absl::Span<const OnDemandView::Input> inputs, std::string_view path) {
  RETURN_IF_ERROR(CheckListSize(inputs.size(), limits::kMaxOnDemandInputs, "inputs", path));
  std::set<std::string_view> taken;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string input_path = StrCat(path, "[", i, "]");
    if (!taken.insert(inputs[i].name()).second) {
      return InvalidArgument(
          StrCat("\"", inputs[i].name(), "\" is an input already; name each view once"),
          input_path);
    }
    if (inputs[i].name() == kRequestName) {
      return InvalidArgument(
          "a view named \"request\" is no input: expressions name the request's columns so",
          input_path);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<FieldSchema>> ReadRequest(const v1::OnDemandFeatureView& spec,
                                                     std::string_view path) {
  RETURN_IF_ERROR(
      CheckListSize(spec.request_size(), limits::kMaxRequestFields, "request columns", path));
  std::vector<FieldSchema> fields;
  std::set<std::string_view> taken;
  for (int i = 0; i < spec.request_size(); ++i) {
    const v1::RequestField& field = spec.request(i);
    const std::string field_path = StrCat(path, "[", i, "]");
    RETURN_IF_ERROR(CheckName(field.name(), StrCat(field_path, ".name")));
    RETURN_IF_ERROR(CheckDescription(field.description(), field_path));
    if (!taken.insert(field.name()).second) {
      return InvalidArgument(
          StrCat("\"", field.name(), "\" is an earlier request column; choose another name"),
          StrCat(field_path, ".name"));
    }
    if (field.type() == v1::VALUE_TYPE_UNSPECIFIED || field.type() == v1::FLOAT_VECTOR ||
        !v1::ValueType_IsValid(field.type())) {
      return InvalidArgument(
          "is missing or no scalar; say one of BOOL, INT32, INT64, FLOAT, DOUBLE, STRING, BYTES, "
          "TIMESTAMP, JSON",
          StrCat(field_path, ".type"));
    }
    fields.push_back(
        {.name = field.name(), .type = {.type = static_cast<ValueType>(field.type())}});
  }
  return fields;
}

absl::StatusOr<std::vector<FieldSchema>> ReadFields(const v1::OnDemandFeatureView& spec,
                                                    std::string_view path) {
  if (spec.fields().empty())
    return InvalidArgument("is empty; an on-demand feature view has at least one field", path);
  RETURN_IF_ERROR(CheckListSize(spec.fields_size(), limits::kMaxOnDemandFields, "fields", path));
  std::vector<FieldSchema> fields;
  std::set<std::string_view> taken;
  for (int i = 0; i < spec.fields_size(); ++i) {
    const v1::OnDemandField& field = spec.fields(i);
    const std::string field_path = StrCat(path, "[", i, "]");
    RETURN_IF_ERROR(CheckName(field.name(), StrCat(field_path, ".name")));
    RETURN_IF_ERROR(CheckDescription(field.description(), field_path));
    if (!taken.insert(field.name()).second) {
      return InvalidArgument(
          StrCat("\"", field.name(), "\" is the name of an earlier field; choose another"),
          StrCat(field_path, ".name"));
    }
    if (field.type() != v1::BOOL && field.type() != v1::INT64 && field.type() != v1::DOUBLE &&
        field.type() != v1::STRING) {
      return InvalidArgument("an expression's type is BOOL, INT64, DOUBLE or STRING",
                             StrCat(field_path, ".type"));
    }
    if (field.sql().size() > limits::kMaxOnDemandSqlBytes) {
      return OutOfRange(StrCat("has ", field.sql().size(), " bytes; at most ",
                               limits::kMaxOnDemandSqlBytes, " are allowed"),
                        StrCat(field_path, ".sql"));
    }
    fields.push_back(
        {.name = field.name(), .type = {.type = static_cast<ValueType>(field.type())}});
  }
  return fields;
}

// Compiles the fields of `view` over all it can name.
absl::Status Compile(const v1::OnDemandFeatureView& spec, absl::Span<const size_t> field_counts,
                     std::string_view path, OnDemandView* view) {
  std::vector<ExpressionInput> names;
  for (size_t i = 0; i < view->inputs.size(); ++i) {
    const OnDemandView::Input& input = view->inputs[i];
    for (size_t j = 0; j < field_counts[i]; ++j) {
      names.push_back({input.name(), input.field(j).name, input.field(j).type});
      view->sources.push_back({i, j});
    }
  }
  for (size_t j = 0; j < view->request.size(); ++j) {
    names.push_back({std::string(kRequestName), view->request[j].name, view->request[j].type});
    view->sources.push_back({OnDemandView::Source::kRequest, j});
  }
  std::vector<ExpressionSpec> expressions;
  for (int i = 0; i < spec.fields_size(); ++i)
    expressions.push_back({spec.fields(i).name(), spec.fields(i).sql(), view->fields[i].type});
  ASSIGN_OR_RETURN(view->program,
                   ExpressionProgram::Compile(std::move(names), std::move(expressions), path));
  return absl::OkStatus();
}

using Texts = google::protobuf::RepeatedPtrField<std::string>;

bool SameTexts(const Texts& a, const Texts& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

void CompareInputs(const Texts& before, const Texts& after, DifferenceBuilder* out) {
  const auto named = [](const Texts& list, std::string_view name) {
    return std::find_if(list.begin(), list.end(),
                        [&](const std::string& ref) { return NameOf(ref) == name; });
  };
  bool same_set = before.size() == after.size();
  for (const std::string& ref : before) {
    const auto found = named(after, NameOf(ref));
    if (found != after.end() && *found == ref) continue;
    same_set = false;
    out->Breaking(found == after.end() ? StrCat("reads ", ref, " no more")
                                       : StrCat("reads ", *found, " instead of ", ref));
  }
  for (const std::string& ref : after) {
    if (named(before, NameOf(ref)) == before.end()) out->Breaking(StrCat("reads ", ref, " too"));
  }
  if (same_set && !SameTexts(before, after)) out->Breaking("the inputs stand in another order");
}

// Callers bring exactly these columns, so that one more or less is seen by them.
void CompareRequests(const v1::OnDemandFeatureView& before, const v1::OnDemandFeatureView& after,
                     DifferenceBuilder* out) {
  const auto compare = [&](int i, int j) {
    const v1::RequestField& a = before.request(i);
    const v1::RequestField& b = after.request(j);
    if (a.type() == b.type()) return;
    out->Breaking(StrCat("request column ", a.name(), " was ", v1::ValueType_Name(a.type()),
                         " and becomes ", v1::ValueType_Name(b.type())));
  };
  CompareParts(
      "request column", before.request(), after.request(), compare,
      [&](int j) { return StrCat(v1::ValueType_Name(after.request(j).type()), " is added"); },
      v1::BREAKING, out);
}

}  // namespace

std::vector<size_t> FieldCounts(absl::Span<const OnDemandView::Input> inputs) {
  std::vector<size_t> counts;
  for (const OnDemandView::Input& input : inputs) counts.push_back(input.field_count());
  return counts;
}

absl::StatusOr<OnDemandView> MakeOnDemandView(const v1::OnDemandFeatureView& spec,
                                              std::vector<OnDemandView::Input> inputs,
                                              absl::Span<const size_t> field_counts,
                                              std::string_view path) {
  RETURN_IF_ERROR(CheckName(spec.name(), StrCat(path, ".name")));
  RETURN_IF_ERROR(CheckDescription(spec.description(), path));
  OnDemandView view;
  view.name = spec.name();
  const std::string inputs_path = StrCat(path, ".inputs");
  RETURN_IF_ERROR(CheckInputs(inputs, inputs_path));
  view.inputs = std::move(inputs);
  ASSIGN_OR_RETURN(view.join_keys, UniteKeys(view.inputs, inputs_path));
  ASSIGN_OR_RETURN(view.request, ReadRequest(spec, StrCat(path, ".request")));
  const std::string fields_path = StrCat(path, ".fields");
  ASSIGN_OR_RETURN(view.fields, ReadFields(spec, fields_path));
  RETURN_IF_ERROR(Compile(spec, field_counts, fields_path, &view));
  return view;
}

ViewDifference CompareOnDemandViews(const v1::OnDemandFeatureView& before,
                                    const v1::OnDemandFeatureView& after) {
  DifferenceBuilder out;
  CompareInputs(before.resolved_inputs(), after.resolved_inputs(), &out);
  if (SameTexts(before.resolved_inputs(), after.resolved_inputs()) &&
      !SameTexts(before.inputs(), after.inputs())) {
    out.Changed("the inputs are written otherwise and stay the same");
  }
  CompareRequests(before, after, &out);
  CompareParts(
      "field", before.fields(), after.fields(),
      [&](int i, int j) {
        const v1::OnDemandField& a = before.fields(i);
        const v1::OnDemandField& b = after.fields(j);
        if (a.type() != b.type()) {
          out.Breaking(StrCat("field ", a.name(), " was ", v1::ValueType_Name(a.type()),
                              " and becomes ", v1::ValueType_Name(b.type())));
        } else if (a.sql() != b.sql()) {
          out.Breaking(StrCat("the expression of field ", a.name(), " changes"));
        }
      },
      [&](int j) { return StrCat(v1::ValueType_Name(after.fields(j).type()), " is added"); },
      v1::CHANGED, &out);
  if (before.description() != after.description()) out.Changed("the description changes");
  return std::move(out).Take();
}

}  // namespace fletch
