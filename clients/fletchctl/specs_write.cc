// SPDX-License-Identifier: Apache-2.0
// Objects to specs, as JSON and as YAML.
#include <yaml-cpp/yaml.h>

#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "durations.h"
#include "kinds.h"
#include "specs.h"

namespace fletch::ctl {
namespace {

Json KeyFields(const google::protobuf::RepeatedPtrField<v1::KeyField>& keys) {
  Json list = Json::array();
  for (const v1::KeyField& key : keys) {
    list.push_back({{"name", key.name()}, {"type", v1::ValueType_Name(key.type())}});
  }
  return list;
}

Json IndexSpec(const v1::VectorIndex& index) {
  Json spec = {{"metric", v1::Metric_Name(index.metric())}};
  if (index.m() != 0) spec["m"] = index.m();
  if (index.ef_construction() != 0) spec["ef_construction"] = index.ef_construction();
  if (index.target_recall() != 0) spec["target_recall"] = index.target_recall();
  return spec;
}

Json FieldSpec(const v1::Field& field) {
  Json spec = {{"name", field.name()}, {"type", v1::ValueType_Name(field.type())}};
  if (field.array()) spec["array"] = true;
  if (field.dimension() != 0) spec["dimension"] = field.dimension();
  if (field.has_default_value()) {
    const ColumnReader value(field.default_value().value());
    spec["default"] = field.type() == v1::JSON ? Json(value.TextAt(0)) : value.JsonAt(0);
  }
  if (field.forbid_nan()) spec["forbid_nan"] = true;
  if (field.indexed()) spec["indexed"] = true;
  if (field.has_index()) spec["index"] = IndexSpec(field.index());
  if (!field.description().empty()) spec["description"] = field.description();
  return spec;
}

Json ViewSpec(const v1::FeatureView& view, Json spec, bool answers) {
  spec["entity"] = view.entity();
  if (answers) spec["version"] = view.version();
  spec["ttl"] = FormatDuration(view.ttl());
  if (view.has_retention()) spec["retention"] = FormatDuration(view.retention());
  if (view.has_max_future_skew()) spec["max_future_skew"] = FormatDuration(view.max_future_skew());
  if (view.event_key_size() > 0) spec["event_key"] = KeyFields(view.event_key());
  spec["fields"] = Json::array();
  for (const v1::Field& field : view.fields()) spec["fields"].push_back(FieldSpec(field));
  return spec;
}

Json AggregationSpec(const v1::Aggregation& aggregation, bool answers) {
  Json spec = {{"name", aggregation.name()}};
  if (!aggregation.column().empty()) spec["column"] = aggregation.column();
  spec["function"] = FunctionName(aggregation.function());
  spec["window"] = FormatDuration(aggregation.window());
  if (aggregation.k() != 0) spec["k"] = aggregation.k();
  if (aggregation.percentile() != 0) spec["percentile"] = aggregation.percentile();
  if (answers) {
    spec["type"] = v1::ValueType_Name(aggregation.type());
    if (aggregation.array()) spec["array"] = true;
  }
  if (!aggregation.description().empty()) spec["description"] = aggregation.description();
  return spec;
}

Json WindowsSpec(const v1::AggregationView& view, Json spec, bool answers) {
  spec["source"] = view.source();
  if (answers) {
    spec["resolved_source"] = view.resolved_source();
    spec["version"] = view.version();
  }
  spec["aggregations"] = Json::array();
  for (const v1::Aggregation& aggregation : view.aggregations()) {
    spec["aggregations"].push_back(AggregationSpec(aggregation, answers));
  }
  return spec;
}

Json ExpressionsSpec(const v1::OnDemandFeatureView& view, Json spec, bool answers) {
  spec["inputs"] = Json(view.inputs());
  if (answers) {
    spec["resolved_inputs"] = Json(view.resolved_inputs());
    spec["version"] = view.version();
  }
  const auto add = [](Json& list, const auto& field, Json entry) {
    if (!field.description().empty()) entry["description"] = field.description();
    list.push_back(std::move(entry));
  };
  for (const v1::RequestField& field : view.request()) {
    add(spec["request"], field,
        {{"name", field.name()}, {"type", v1::ValueType_Name(field.type())}});
  }
  spec["fields"] = Json::array();
  for (const v1::OnDemandField& field : view.fields()) {
    add(spec["fields"], field,
        {{"name", field.name()}, {"type", v1::ValueType_Name(field.type())}, {"sql", field.sql()}});
  }
  return spec;
}

Json ServiceSpec(const v1::FeatureService& service, Json spec, bool answers) {
  for (const v1::Binding& binding : service.bindings()) {
    Json entry = {{"alias", binding.alias()}, {"feature_view", binding.feature_view()}};
    const std::map<std::string, std::string> sorted(binding.join_key_map().begin(),
                                                    binding.join_key_map().end());
    if (!sorted.empty()) entry["join_key_map"] = sorted;
    spec["bindings"].push_back(entry);
  }
  spec["features"] = Json(service.features());
  if (answers) spec["resolved_features"] = Json(service.resolved_features());
  return spec;
}

void Emit(const Json& value, YAML::Emitter& out) {
  if (value.is_object()) {
    out << YAML::BeginMap;
    for (const auto& [key, child] : value.items()) {
      out << YAML::Key << key << YAML::Value;
      Emit(child, out);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    // Lists of mappings a line each, lists of values on one line.
    const bool block = !value.empty() && (value[0].is_object() || value.size() > 4);
    out << (block ? YAML::Block : YAML::Flow) << YAML::BeginSeq;
    for (const Json& child : value) {
      if (child.is_object()) out << YAML::Flow;
      Emit(child, out);
    }
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    const std::string text = value.get<std::string>();
    const bool reads_as_nothing =
        text.empty() || text == "~" || absl::AsciiStrToLower(text) == "null";
    if (reads_as_nothing) out << YAML::DoubleQuoted;
    out << text;
  } else {
    out << value.dump();
  }
}

}  // namespace

Json ToSpec(const v1::Object& object, bool answers) {
  Json spec = {{"kind", KindName(KindOf(object))}, {"name", NameOf(object)}};
  const auto describe = [&](const std::string& text) {
    if (!text.empty()) spec["description"] = text;
  };
  switch (object.object_case()) {
    case v1::Object::kProject:
      describe(object.project().description());
      return spec;
    case v1::Object::kEntity:
      describe(object.entity().description());
      spec["join_keys"] = KeyFields(object.entity().join_keys());
      return spec;
    case v1::Object::kFeatureView:
      describe(object.feature_view().description());
      return ViewSpec(object.feature_view(), spec, answers);
    case v1::Object::kAggregationView:
      describe(object.aggregation_view().description());
      return WindowsSpec(object.aggregation_view(), spec, answers);
    case v1::Object::kOnDemandFeatureView:
      describe(object.on_demand_feature_view().description());
      return ExpressionsSpec(object.on_demand_feature_view(), spec, answers);
    default:
      describe(object.feature_service().description());
      return ServiceSpec(object.feature_service(), spec, answers);
  }
}

std::string ToYaml(const Json& spec) {
  YAML::Emitter out;
  Emit(spec, out);
  return absl::StrCat(out.c_str(), "\n");
}

}  // namespace fletch::ctl
