// SPDX-License-Identifier: Apache-2.0
#include "server/engine/aggregate.h"

#include "base/status.h"
#include "base/strings.h"

namespace fletch {
namespace {

bool IsNumber(ValueType type) {
  return type == ValueType::kInt32 || type == ValueType::kInt64 || type == ValueType::kFloat ||
         type == ValueType::kDouble;
}

bool IsInteger(ValueType type) { return type == ValueType::kInt32 || type == ValueType::kInt64; }

// What the function takes, for its refusal.
std::string_view Accepts(AggregateFunction function) {
  switch (function) {
    case AggregateFunction::kCount:
      return "any field or none";
    case AggregateFunction::kMin:
    case AggregateFunction::kMax:
      return "INT32, INT64, FLOAT, DOUBLE and TIMESTAMP";
    case AggregateFunction::kFirst:
    case AggregateFunction::kLast:
      return "any scalar but FLOAT_VECTOR";
    case AggregateFunction::kLastK:
    case AggregateFunction::kCountDistinct:
    case AggregateFunction::kTopK:
      return "any scalar but JSON and FLOAT_VECTOR";
    default:
      return "INT32, INT64, FLOAT and DOUBLE";
  }
}

// REQUIRES: a scalar, not a vector.
std::optional<DataType> ScalarAggregateType(AggregateFunction function, ValueType type) {
  switch (function) {
    case AggregateFunction::kCount:
      return DataType{ValueType::kInt64};
    case AggregateFunction::kSum:
      if (!IsNumber(type)) return std::nullopt;
      return DataType{IsInteger(type) ? ValueType::kInt64 : ValueType::kDouble};
    case AggregateFunction::kMean:
    case AggregateFunction::kVariance:
    case AggregateFunction::kStddev:
    case AggregateFunction::kApproxPercentile:
      if (!IsNumber(type)) return std::nullopt;
      return DataType{ValueType::kDouble};
    case AggregateFunction::kMin:
    case AggregateFunction::kMax:
      if (!IsNumber(type) && type != ValueType::kTimestamp) return std::nullopt;
      return DataType{type};
    case AggregateFunction::kFirst:
    case AggregateFunction::kLast:
      return DataType{type};
    case AggregateFunction::kCountDistinct:
      if (type == ValueType::kJson) return std::nullopt;
      return DataType{ValueType::kInt64};
    case AggregateFunction::kLastK:
    case AggregateFunction::kTopK:
      if (type == ValueType::kJson) return std::nullopt;
      return DataType{.type = type, .array = true};
  }
  return std::nullopt;
}

}  // namespace

std::string_view AggregateFunctionName(AggregateFunction function) {
  switch (function) {
    case AggregateFunction::kCount:
      return "count";
    case AggregateFunction::kSum:
      return "sum";
    case AggregateFunction::kMean:
      return "mean";
    case AggregateFunction::kMin:
      return "min";
    case AggregateFunction::kMax:
      return "max";
    case AggregateFunction::kVariance:
      return "variance";
    case AggregateFunction::kStddev:
      return "stddev";
    case AggregateFunction::kFirst:
      return "first";
    case AggregateFunction::kLast:
      return "last";
    case AggregateFunction::kLastK:
      return "last_k";
    case AggregateFunction::kCountDistinct:
      return "count_distinct";
    case AggregateFunction::kTopK:
      return "top_k";
    case AggregateFunction::kApproxPercentile:
      return "approx_percentile";
  }
  return "unknown";
}

absl::StatusOr<DataType> AggregateType(AggregateFunction function,
                                       const std::optional<DataType>& input) {
  if (function == AggregateFunction::kCount) return DataType{ValueType::kInt64};
  if (!input.has_value()) {
    return InvalidArgument(StrCat(AggregateFunctionName(function),
                                  " needs a field; only count counts the events themselves"));
  }
  if (!input->array && !input->is_vector()) {
    const std::optional<DataType> type = ScalarAggregateType(function, input->type);
    if (type.has_value()) return *type;
  }
  return InvalidArgument(StrCat(AggregateFunctionName(function), " does not take a ",
                                DataTypeName(*input), "; it takes ", Accepts(function)));
}

std::vector<FieldSchema> AggregationFields(absl::Span<const Aggregation> aggregations) {
  std::vector<FieldSchema> fields;
  for (const Aggregation& aggregation : aggregations) {
    FieldSchema field;
    field.name = aggregation.name;
    field.type = aggregation.type;
    fields.push_back(std::move(field));
  }
  for (const Aggregation& aggregation : aggregations) {
    FieldSchema field;
    field.name = aggregation.name + " event_time";
    field.type = {ValueType::kTimestamp};
    fields.push_back(std::move(field));
  }
  return fields;
}

RowLayout MakeAggregationLayout(absl::Span<const Aggregation> aggregations) {
  return RowLayout(AggregationFields(aggregations));
}

}  // namespace fletch
