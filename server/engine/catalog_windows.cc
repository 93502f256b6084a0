// SPDX-License-Identifier: Apache-2.0
#include "server/engine/catalog_windows.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_join.h"
#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"

namespace fletch {
namespace {

absl::StatusOr<AggregateFunction> ReadFunction(const v1::Aggregation& spec, std::string_view path) {
  if (spec.function() != v1::AGGREGATE_FUNCTION_UNSPECIFIED &&
      v1::AggregateFunction_IsValid(spec.function())) {
    return static_cast<AggregateFunction>(spec.function());
  }
  return InvalidArgument(
      "is missing or unknown; say COUNT, SUM, MEAN, MIN, MAX, VARIANCE, STDDEV, FIRST, LAST, "
      "LAST_K, COUNT_DISTINCT, TOP_K or APPROX_PERCENTILE",
      StrCat(path, ".function"));
}

absl::StatusOr<std::optional<size_t>> ReadColumn(const v1::Aggregation& spec, const View& source,
                                                 std::string_view path) {
  if (spec.column().empty()) return std::optional<size_t>();
  const std::vector<FieldSchema>& fields = source.schema.fields;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].name == spec.column()) return std::optional<size_t>(i);
  }
  return InvalidArgument(StrCat("feature view ", source.schema.versioned_name(), " has no field \"",
                                spec.column(), "\""),
                         StrCat(path, ".column"));
}

absl::StatusOr<int64_t> ReadWindow(const v1::Aggregation& spec, std::string_view path) {
  const std::string window_path = StrCat(path, ".window");
  ASSIGN_OR_RETURN(const int64_t window,
                   ReadDuration(spec.window(), limits::kMaxWindowMicros, window_path));
  if (window == 0)
    return InvalidArgument("is missing or 0; say how far the window reaches back", window_path);
  return window;
}

// k and percentile belong to some functions, and those need them.
absl::Status CheckParameters(const v1::Aggregation& spec, AggregateFunction function,
                             std::string_view path) {
  const bool counted =
      function == AggregateFunction::kLastK || function == AggregateFunction::kTopK;
  const std::string k_path = StrCat(path, ".k");
  if (!counted && spec.k() != 0)
    return InvalidArgument("belongs to LAST_K and TOP_K only; leave it out", k_path);
  if (counted && (spec.k() < 1 || spec.k() > limits::kMaxAggregateK)) {
    return OutOfRange(
        StrCat("is ", spec.k(), "; say how many values, 1 to ", limits::kMaxAggregateK), k_path);
  }
  const std::string percentile_path = StrCat(path, ".percentile");
  if (function != AggregateFunction::kApproxPercentile) {
    if (spec.percentile() == 0) return absl::OkStatus();
    return InvalidArgument("belongs to APPROX_PERCENTILE only; leave it out", percentile_path);
  }
  if (spec.percentile() > 0 && spec.percentile() < 1) return absl::OkStatus();
  return InvalidArgument(
      StrCat("is ", spec.percentile(), "; say a number between 0 and 1, 0.99 for the 99th"),
      percentile_path);
}

absl::StatusOr<Aggregation> ReadAggregation(const v1::Aggregation& spec, const View& source,
                                            std::string_view path) {
  RETURN_IF_ERROR(CheckName(spec.name(), StrCat(path, ".name")));
  RETURN_IF_ERROR(CheckDescription(spec.description(), path));
  Aggregation out;
  out.name = spec.name();
  ASSIGN_OR_RETURN(out.function, ReadFunction(spec, path));
  ASSIGN_OR_RETURN(out.column, ReadColumn(spec, source, path));
  std::optional<DataType> input;
  if (out.column.has_value()) input = source.schema.fields[*out.column].type;
  auto type = AggregateType(out.function, input);
  if (!type.ok()) return PrefixField(type.status(), StrCat(path, ".column"));
  out.type = *type;
  ASSIGN_OR_RETURN(out.window_micros, ReadWindow(spec, path));
  RETURN_IF_ERROR(CheckParameters(spec, out.function, path));
  out.k = spec.k();
  out.percentile = spec.percentile();
  const int64_t retention = source.schema.retention_micros;
  if (retention != 0 && out.window_micros > retention) {
    return FailedPrecondition(
        "RETENTION_TOO_SHORT",
        StrCat("is ", DescribeDuration(out.window_micros), "; feature view ",
               source.schema.versioned_name(), " keeps ", DescribeDuration(retention),
               " of history; lengthen its retention first, or shorten the window"),
        StrCat(path, ".window"));
  }
  return out;
}

// "mean(delay_min) over 7 d".
std::string DescribeAggregation(const v1::Aggregation& spec) {
  std::vector<std::string> arguments;
  if (!spec.column().empty()) arguments.push_back(spec.column());
  if (spec.k() != 0) arguments.push_back(StrCat(spec.k()));
  if (spec.percentile() != 0) arguments.push_back(StrCat(spec.percentile()));
  const int64_t window = spec.window().seconds() * 1'000'000 + spec.window().nanos() / 1000;
  return StrCat(AggregateFunctionName(static_cast<AggregateFunction>(spec.function())), "(",
                absl::StrJoin(arguments, ", "), ") over ", DescribeDuration(window));
}

bool SameAggregation(const v1::Aggregation& a, const v1::Aggregation& b) {
  return a.column() == b.column() && a.function() == b.function() && a.k() == b.k() &&
         a.percentile() == b.percentile() && a.window().seconds() == b.window().seconds() &&
         a.window().nanos() == b.window().nanos();
}

}  // namespace

absl::StatusOr<AggregationView> MakeAggregationView(const v1::AggregationView& spec,
                                                    std::shared_ptr<const View> source,
                                                    std::string_view path) {
  RETURN_IF_ERROR(CheckName(spec.name(), StrCat(path, ".name")));
  RETURN_IF_ERROR(CheckDescription(spec.description(), path));
  const std::string list_path = StrCat(path, ".aggregations");
  if (spec.aggregations().empty()) {
    return InvalidArgument("is empty; an aggregation view has at least one aggregation", list_path);
  }
  RETURN_IF_ERROR(CheckListSize(spec.aggregations_size(), limits::kMaxAggregationsPerView,
                                "aggregations", list_path));
  std::vector<Aggregation> aggregations;
  std::set<std::string_view> taken;
  int64_t longest = 0;
  for (int i = 0; i < spec.aggregations_size(); ++i) {
    const std::string item_path = StrCat(list_path, "[", i, "]");
    ASSIGN_OR_RETURN(Aggregation aggregation,
                     ReadAggregation(spec.aggregations(i), *source, item_path));
    if (!taken.insert(spec.aggregations(i).name()).second) {
      return InvalidArgument(StrCat("\"", aggregation.name,
                                    "\" is the name of an earlier aggregation; choose another"),
                             StrCat(item_path, ".name"));
    }
    longest = std::max(longest, aggregation.window_micros);
    aggregations.push_back(std::move(aggregation));
  }
  RowLayout layout = MakeAggregationLayout(aggregations);
  return AggregationView{.project = "",
                         .name = spec.name(),
                         .version = 0,
                         .source = std::move(source),
                         .aggregations = std::move(aggregations),
                         .layout = std::move(layout),
                         .longest_window_micros = longest};
}

v1::AggregationView ResolvedSpec(v1::AggregationView spec, const AggregationView& view) {
  spec.set_version(view.version);
  spec.set_resolved_source(view.source->schema.versioned_name());
  for (int i = 0; i < spec.aggregations_size(); ++i) {
    const DataType& type = view.aggregations[i].type;
    spec.mutable_aggregations(i)->set_type(static_cast<v1::ValueType>(type.type));
    spec.mutable_aggregations(i)->set_array(type.array);
  }
  return spec;
}

ViewDifference CompareAggregationViews(const v1::AggregationView& before,
                                       const v1::AggregationView& after) {
  DifferenceBuilder out;
  if (before.resolved_source() != after.resolved_source()) {
    out.Breaking(StrCat("the source was ", before.resolved_source(), " and becomes ",
                        after.resolved_source()));
  } else if (before.source() != after.source()) {
    out.Changed(StrCat("the source is written \"", after.source(), "\" and stays ",
                       after.resolved_source()));
  }
  CompareParts(
      "aggregation", before.aggregations(), after.aggregations(),
      [&](int i, int j) {
        const v1::Aggregation& a = before.aggregations(i);
        const v1::Aggregation& b = after.aggregations(j);
        if (SameAggregation(a, b)) return;
        out.Breaking(StrCat("aggregation ", a.name(), " was ", DescribeAggregation(a),
                            " and becomes ", DescribeAggregation(b)));
      },
      [&](int j) { return StrCat(DescribeAggregation(after.aggregations(j)), " is added"); },
      v1::CHANGED, &out);
  if (before.description() != after.description()) out.Changed("the description changes");
  return std::move(out).Take();
}

}  // namespace fletch
