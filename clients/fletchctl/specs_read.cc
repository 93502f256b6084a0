// SPDX-License-Identifier: Apache-2.0
// YAML to objects.
#include <yaml-cpp/yaml.h>

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "durations.h"
#include "result.h"
#include "spec_node.h"
#include "specs.h"

namespace fletch::ctl {

absl::StatusOr<v1::ValueType> ParseType(const Spec& spec) {
  CTL_ASSIGN(const std::string name, spec.Text("type", true));
  v1::ValueType type;
  if (v1::ValueType_Parse(name, &type) && type != v1::VALUE_TYPE_UNSPECIFIED) return type;
  return spec.At("type").Error(absl::StrCat(
      "no such type '", name,
      "'; types are BOOL, INT32, INT64, FLOAT, DOUBLE, STRING, BYTES, TIMESTAMP, JSON, "
      "FLOAT_VECTOR, and `array: true` beside one"));
}

absl::StatusOr<std::optional<google::protobuf::Duration>> ParseDurationAt(const Spec& spec,
                                                                          const std::string& key) {
  if (!spec.Has(key)) return std::nullopt;
  CTL_ASSIGN(const std::string text, spec.Text(key, true));
  auto duration = ParseDuration(text);
  if (!duration.ok()) return spec.At(key).Error(duration.status().message());
  return *duration;
}

namespace {

absl::StatusOr<v1::KeyField> ParseKeyField(const Spec& spec) {
  CTL_RETURN_IF_ERROR(spec.CheckKeys({"name", "type"}));
  v1::KeyField key;
  CTL_ASSIGN(*key.mutable_name(), spec.Text("name", true));
  CTL_ASSIGN(const v1::ValueType type, ParseType(spec));
  key.set_type(type);
  return key;
}

absl::StatusOr<v1::Column> ParseDefault(const Spec& spec, const CellType& type) {
  if (!type.array && type.type != v1::FLOAT_VECTOR) {
    CTL_ASSIGN(const std::string text, spec.Text());
    ColumnBuilder builder(type);
    if (absl::Status status = builder.AddText(text); !status.ok()) {
      return spec.Error(status.message());
    }
    return builder.Take();
  }
  if (!spec.node().IsSequence()) return spec.Error("a list is needed here, as the field is one");
  const v1::ValueType element = type.type == v1::FLOAT_VECTOR ? v1::FLOAT : type.type;
  ColumnBuilder elements(CellType{.type = element});
  for (const YAML::Node& node : spec.node()) {
    absl::Status status = node.IsScalar() ? elements.AddText(node.Scalar())
                                          : UsageError("a list within a list cannot be a default");
    if (!status.ok()) return spec.Error(status.message());
  }
  v1::Column column;
  if (type.type == v1::FLOAT_VECTOR) {
    column.mutable_vectors()->set_dimension(spec.node().size());
    *column.mutable_vectors()->mutable_values() = elements.Take().floats().values();
  } else {
    column.mutable_arrays()->add_lengths(spec.node().size());
    *column.mutable_arrays()->mutable_elements() = elements.Take();
  }
  return column;
}

absl::StatusOr<v1::VectorIndex> ParseIndex(const Spec& spec) {
  CTL_RETURN_IF_ERROR(spec.CheckKeys({"metric", "m", "ef_construction", "target_recall"}));
  v1::VectorIndex index;
  CTL_ASSIGN(const std::string name, spec.Text("metric", true));
  v1::Metric metric;
  if (!v1::Metric_Parse(name, &metric) || metric == v1::METRIC_UNSPECIFIED) {
    return spec.At("metric").Error(
        absl::StrCat("no such metric '", name, "'; metrics are COSINE, DOT, L2"));
  }
  index.set_metric(metric);
  CTL_ASSIGN(const uint64_t m, spec.Count("m"));
  index.set_m(m);
  CTL_ASSIGN(const uint64_t ef_construction, spec.Count("ef_construction"));
  index.set_ef_construction(ef_construction);
  CTL_ASSIGN(const double target_recall, spec.Number("target_recall"));
  index.set_target_recall(target_recall);
  return index;
}

absl::StatusOr<v1::Field> ParseField(const Spec& spec) {
  CTL_RETURN_IF_ERROR(spec.CheckKeys({"name", "type", "array", "dimension", "description",
                                      "default", "forbid_nan", "indexed", "index"}));
  v1::Field field;
  CTL_ASSIGN(*field.mutable_name(), spec.Text("name", true));
  CTL_ASSIGN(*field.mutable_description(), spec.Text("description", false));
  CTL_ASSIGN(const v1::ValueType type, ParseType(spec));
  field.set_type(type);
  CTL_ASSIGN(const bool array, spec.Bool("array"));
  field.set_array(array);
  CTL_ASSIGN(const bool forbid_nan, spec.Bool("forbid_nan"));
  field.set_forbid_nan(forbid_nan);
  CTL_ASSIGN(const bool indexed, spec.Bool("indexed"));
  field.set_indexed(indexed);
  CTL_ASSIGN(const uint64_t dimension, spec.Count("dimension"));
  field.set_dimension(dimension);
  if (spec.Has("default")) {
    CTL_ASSIGN(*field.mutable_default_value()->mutable_value(),
               ParseDefault(spec.At("default"), TypeOf(field)));
  }
  if (spec.Has("index")) {
    CTL_ASSIGN(*field.mutable_index(), ParseIndex(spec.At("index")));
  }
  return field;
}

absl::StatusOr<v1::Object> ParseProject(const Spec& spec) {
  CTL_RETURN_IF_ERROR(spec.CheckKeys({"kind", "name", "description"}));
  v1::Object object;
  v1::Project& project = *object.mutable_project();
  CTL_ASSIGN(*project.mutable_name(), spec.Text("name", true));
  CTL_ASSIGN(*project.mutable_description(), spec.Text("description", false));
  return object;
}

absl::StatusOr<v1::Object> ParseEntity(const Spec& spec) {
  CTL_RETURN_IF_ERROR(spec.CheckKeys({"kind", "name", "description", "join_keys"}));
  v1::Object object;
  v1::Entity& entity = *object.mutable_entity();
  CTL_ASSIGN(*entity.mutable_name(), spec.Text("name", true));
  CTL_ASSIGN(*entity.mutable_description(), spec.Text("description", false));
  CTL_ASSIGN(const auto keys, spec.List("join_keys"));
  for (const Spec& key : keys) {
    CTL_ASSIGN(*entity.add_join_keys(), ParseKeyField(key));
  }
  return object;
}

absl::StatusOr<v1::Object> ParseView(const Spec& spec) {
  CTL_RETURN_IF_ERROR(spec.CheckKeys({"kind", "name", "description", "entity", "fields", "ttl",
                                      "retention", "event_key", "max_future_skew"}));
  v1::Object object;
  v1::FeatureView& view = *object.mutable_feature_view();
  CTL_ASSIGN(*view.mutable_name(), spec.Text("name", true));
  CTL_ASSIGN(*view.mutable_description(), spec.Text("description", false));
  CTL_ASSIGN(*view.mutable_entity(), spec.Text("entity", true));
  CTL_ASSIGN(const auto fields, spec.List("fields"));
  for (const Spec& field : fields) {
    CTL_ASSIGN(*view.add_fields(), ParseField(field));
  }
  CTL_ASSIGN(const auto keys, spec.List("event_key"));
  for (const Spec& key : keys) {
    CTL_ASSIGN(*view.add_event_key(), ParseKeyField(key));
  }
  CTL_ASSIGN(const auto ttl, ParseDurationAt(spec, "ttl"));
  if (ttl && (ttl->seconds() != 0 || ttl->nanos() != 0)) *view.mutable_ttl() = *ttl;
  CTL_ASSIGN(const auto skew, ParseDurationAt(spec, "max_future_skew"));
  if (skew) *view.mutable_max_future_skew() = *skew;
  CTL_ASSIGN(const auto retention, ParseDurationAt(spec, "retention"));
  if (retention && (retention->seconds() != 0 || retention->nanos() != 0)) {
    *view.mutable_retention() = *retention;
  }
  return object;
}

absl::StatusOr<v1::Binding> ParseBinding(const Spec& spec) {
  CTL_RETURN_IF_ERROR(spec.CheckKeys({"alias", "feature_view", "join_key_map"}));
  v1::Binding binding;
  CTL_ASSIGN(*binding.mutable_alias(), spec.Text("alias", true));
  CTL_ASSIGN(*binding.mutable_feature_view(), spec.Text("feature_view", true));
  if (!spec.Has("join_key_map")) return binding;
  const Spec map = spec.At("join_key_map");
  if (!map.node().IsMap()) return map.Error("a mapping (join key: column) is needed here");
  for (const auto& entry : map.node()) {
    CTL_ASSIGN(const std::string column, map.Text(entry.first.Scalar(), true));
    (*binding.mutable_join_key_map())[entry.first.Scalar()] = column;
  }
  return binding;
}

absl::StatusOr<v1::Object> ParseService(const Spec& spec) {
  CTL_RETURN_IF_ERROR(spec.CheckKeys({"kind", "name", "description", "bindings", "features"}));
  v1::Object object;
  v1::FeatureService& service = *object.mutable_feature_service();
  CTL_ASSIGN(*service.mutable_name(), spec.Text("name", true));
  CTL_ASSIGN(*service.mutable_description(), spec.Text("description", false));
  CTL_ASSIGN(const auto bindings, spec.List("bindings"));
  for (const Spec& binding : bindings) {
    CTL_ASSIGN(*service.add_bindings(), ParseBinding(binding));
  }
  CTL_ASSIGN(const auto features, spec.List("features"));
  for (const Spec& feature : features) {
    CTL_ASSIGN(*service.add_features(), feature.Text());
  }
  return object;
}

absl::StatusOr<v1::Object> ParseObject(const Spec& document) {
  if (!document.node().IsMap())
    return document.Error("a spec is a mapping that begins with `kind:`");
  CTL_ASSIGN(const std::string kind, document.Text("kind", true));
  CTL_ASSIGN(const std::string name, document.Text("name", true));
  // Paths begin with the object, as a file holds many.
  const std::string who = absl::StrCat(kind, " ", name);
  const Spec spec = document.In(who);
  if (kind == "Project") return ParseProject(spec);
  if (kind == "Entity") return ParseEntity(spec);
  if (kind == "FeatureView") return ParseView(spec);
  if (kind == "FeatureService") return ParseService(spec);
  if (kind == "AggregationView") return ParseAggregationView(spec);
  if (kind == "OnDemandFeatureView") return ParseOnDemandFeatureView(spec);
  return spec.At("kind").Error(
      "no such kind; kinds are Project, Entity, FeatureView, AggregationView, "
      "OnDemandFeatureView, FeatureService");
}

}  // namespace

absl::StatusOr<std::vector<v1::Object>> ParseSpecs(const std::string& text,
                                                   const std::string& file) {
  std::vector<v1::Object> objects;
  try {
    for (const YAML::Node& document : YAML::LoadAll(text)) {
      if (document.IsNull()) continue;  // nothing between two ---
      CTL_ASSIGN(v1::Object object, ParseObject(Spec(document, file, "")));
      objects.push_back(std::move(object));
    }
  } catch (const YAML::Exception& error) {
    return UsageError(absl::StrCat(file, ":", error.mark.line + 1, ": not YAML: ", error.msg));
  }
  if (objects.empty()) return UsageError(absl::StrCat(file, ": holds no spec"));
  return objects;
}

}  // namespace fletch::ctl
