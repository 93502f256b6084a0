// SPDX-License-Identifier: Apache-2.0
// YAML to views that are computed from others: windows and expressions.
#include "absl/strings/ascii.h"
#include "spec_node.h"
#include "specs.h"

namespace fletch::ctl {
namespace {

absl::StatusOr<v1::AggregateFunction> ParseFunction(const Spec& spec) {
  CTL_ASSIGN(const std::string name, spec.Text("function", true));
  std::vector<std::string> known;
  for (int i = v1::AggregateFunction_MIN + 1; i <= v1::AggregateFunction_MAX; ++i) {
    const auto function = static_cast<v1::AggregateFunction>(i);
    known.push_back(FunctionName(function));
    if (name == known.back()) return function;
  }
  return spec.At("function")
      .Error(absl::StrCat("no such function '", name, "'; functions are ",
                          absl::StrJoin(known, ", ")));
}

absl::StatusOr<v1::Aggregation> ParseAggregation(const Spec& spec) {
  CTL_RETURN_IF_ERROR(
      spec.CheckKeys({"name", "column", "function", "window", "k", "percentile", "description"}));
  v1::Aggregation aggregation;
  CTL_ASSIGN(*aggregation.mutable_name(), spec.Text("name", true));
  CTL_ASSIGN(*aggregation.mutable_column(), spec.Text("column", false));
  CTL_ASSIGN(const v1::AggregateFunction function, ParseFunction(spec));
  aggregation.set_function(function);
  CTL_ASSIGN(const auto window, ParseDurationAt(spec, "window"));
  if (!window) return spec.Error("'window' is missing; write window: 7d");
  *aggregation.mutable_window() = *window;
  CTL_ASSIGN(const uint64_t k, spec.Count("k"));
  aggregation.set_k(k);
  CTL_ASSIGN(const double percentile, spec.Number("percentile"));
  aggregation.set_percentile(percentile);
  CTL_ASSIGN(*aggregation.mutable_description(), spec.Text("description", false));
  return aggregation;
}

absl::StatusOr<v1::RequestField> ParseRequestField(const Spec& spec) {
  CTL_RETURN_IF_ERROR(spec.CheckKeys({"name", "type", "description"}));
  v1::RequestField field;
  CTL_ASSIGN(*field.mutable_name(), spec.Text("name", true));
  CTL_ASSIGN(const v1::ValueType type, ParseType(spec));
  field.set_type(type);
  CTL_ASSIGN(*field.mutable_description(), spec.Text("description", false));
  return field;
}

absl::StatusOr<v1::OnDemandField> ParseOnDemandField(const Spec& spec) {
  CTL_RETURN_IF_ERROR(spec.CheckKeys({"name", "type", "sql", "description"}));
  v1::OnDemandField field;
  CTL_ASSIGN(*field.mutable_name(), spec.Text("name", true));
  CTL_ASSIGN(const v1::ValueType type, ParseType(spec));
  field.set_type(type);
  CTL_ASSIGN(*field.mutable_sql(), spec.Text("sql", true));
  CTL_ASSIGN(*field.mutable_description(), spec.Text("description", false));
  return field;
}

}  // namespace

std::string FunctionName(v1::AggregateFunction function) {
  return absl::AsciiStrToLower(v1::AggregateFunction_Name(function));
}

absl::StatusOr<v1::Object> ParseAggregationView(const Spec& spec) {
  CTL_RETURN_IF_ERROR(spec.CheckKeys({"kind", "name", "description", "source", "aggregations"}));
  v1::Object object;
  v1::AggregationView& view = *object.mutable_aggregation_view();
  CTL_ASSIGN(*view.mutable_name(), spec.Text("name", true));
  CTL_ASSIGN(*view.mutable_description(), spec.Text("description", false));
  CTL_ASSIGN(*view.mutable_source(), spec.Text("source", true));
  CTL_ASSIGN(const auto aggregations, spec.List("aggregations"));
  for (const Spec& aggregation : aggregations) {
    CTL_ASSIGN(*view.add_aggregations(), ParseAggregation(aggregation));
  }
  return object;
}

absl::StatusOr<v1::Object> ParseOnDemandFeatureView(const Spec& spec) {
  CTL_RETURN_IF_ERROR(
      spec.CheckKeys({"kind", "name", "description", "inputs", "request", "fields"}));
  v1::Object object;
  v1::OnDemandFeatureView& view = *object.mutable_on_demand_feature_view();
  CTL_ASSIGN(*view.mutable_name(), spec.Text("name", true));
  CTL_ASSIGN(*view.mutable_description(), spec.Text("description", false));
  CTL_ASSIGN(const auto inputs, spec.List("inputs"));
  for (const Spec& input : inputs) {
    CTL_ASSIGN(*view.add_inputs(), input.Text());
  }
  CTL_ASSIGN(const auto request, spec.List("request"));
  for (const Spec& field : request) {
    CTL_ASSIGN(*view.add_request(), ParseRequestField(field));
  }
  CTL_ASSIGN(const auto fields, spec.List("fields"));
  for (const Spec& field : fields) {
    CTL_ASSIGN(*view.add_fields(), ParseOnDemandField(field));
  }
  return object;
}

}  // namespace fletch::ctl
