// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <optional>
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/rpc/convert.h"
#include "server/rpc/convert_common.h"

namespace fletch {
namespace {

FilterSpec Make(FilterSpec::Kind kind, const std::string& ref = "") {
  FilterSpec out;
  out.kind = kind;
  out.ref = ref;
  return out;
}

absl::StatusOr<Literal> ToLiteral(const v1::Value& value, std::string_view field) {
  switch (value.value_case()) {
    case v1::Value::kBoolValue:
      return Literal(value.bool_value());
    case v1::Value::kIntValue:
      return Literal(static_cast<int64_t>(value.int_value()));
    case v1::Value::kDoubleValue:
      if (std::isnan(value.double_value())) {
        return InvalidArgument("a filter cannot compare with NaN; use is_null or a number", field);
      }
      return Literal(value.double_value());
    case v1::Value::kStringValue:
      return Literal(value.string_value());
    case v1::Value::kBytesValue:
      return Literal(BytesLiteral{value.bytes_value()});
    case v1::Value::VALUE_NOT_SET:
      break;
  }
  return InvalidArgument(
      "the value is empty; set one of bool_value, int_value, double_value, "
      "string_value, bytes_value",
      field);
}

absl::StatusOr<FilterSpec::Op> ToOp(v1::CompareOp op) {
  switch (op) {
    case v1::EQ:
      return FilterSpec::Op::kEq;
    case v1::NE:
      return FilterSpec::Op::kNe;
    case v1::LT:
      return FilterSpec::Op::kLt;
    case v1::LE:
      return FilterSpec::Op::kLe;
    case v1::GT:
      return FilterSpec::Op::kGt;
    case v1::GE:
      return FilterSpec::Op::kGe;
    case v1::PREFIX:
      return FilterSpec::Op::kPrefix;
    case v1::CONTAINS:
      return FilterSpec::Op::kContains;
    default:
      return InvalidArgument("op is required: EQ, NE, LT, LE, GT, GE, PREFIX or CONTAINS", "op");
  }
}

// Walks a filter, counting its nodes.
class FilterReader {
 public:
  absl::StatusOr<FilterSpec> Read(const v1::Filter& filter, size_t depth) {
    if (depth > limits::kMaxFilterDepth) {
      return OutOfRange(StrCat("the filter has more than ", limits::kMaxFilterDepth,
                               " levels, the limit max_filter_depth"));
    }
    if (++nodes_ > limits::kMaxFilterNodes) {
      return OutOfRange(StrCat("the filter has more than ", limits::kMaxFilterNodes,
                               " conditions, the limit max_filter_nodes"));
    }
    switch (filter.filter_case()) {
      case v1::Filter::kAnd:
        return List(FilterSpec::Kind::kAnd, filter.and_(), "and", depth);
      case v1::Filter::kOr:
        return List(FilterSpec::Kind::kOr, filter.or_(), "or", depth);
      case v1::Filter::kNot: {
        FilterSpec out = Make(FilterSpec::Kind::kNot);
        absl::StatusOr<FilterSpec> child = Read(filter.not_(), depth + 1);
        if (!child.ok()) return PrefixField(child.status(), "not");
        out.children.push_back(*std::move(child));
        return out;
      }
      case v1::Filter::FILTER_NOT_SET:
        return InvalidArgument(
            "the filter is empty; set one of and, or, not, compare, in, between, is_null");
      default:
        return Leaf(filter);
    }
  }

 private:
  absl::StatusOr<FilterSpec> List(FilterSpec::Kind kind, const v1::FilterList& list,
                                  std::string_view name, size_t depth) {
    const std::string path = StrCat(name, ".filters");
    RETURN_IF_ERROR(CheckCount(list.filters_size(), limits::kMaxFilterListItems,
                               "max_filter_list_items", path));
    FilterSpec out = Make(kind);
    for (int i = 0; i < list.filters_size(); ++i) {
      absl::StatusOr<FilterSpec> child = Read(list.filters(i), depth + 1);
      if (!child.ok()) return PrefixField(child.status(), StrCat(path, "[", i, "]"));
      out.children.push_back(*std::move(child));
    }
    return out;
  }

  static absl::StatusOr<FilterSpec> Leaf(const v1::Filter& filter) {
    absl::StatusOr<FilterSpec> out;
    std::string_view name;
    if (filter.has_compare()) {
      name = "compare";
      out = Compare(filter.compare());
    } else if (filter.has_in()) {
      name = "in";
      out = In(filter.in());
    } else if (filter.has_between()) {
      name = "between";
      out = BetweenOf(filter.between());
    } else {
      name = "is_null";
      out = Make(FilterSpec::Kind::kIsNull, filter.is_null().ref());
    }
    if (out.ok() && out->ref.empty()) {
      out = InvalidArgument("ref is required, as \"view:field\"", "ref");
    }
    return out.ok() ? std::move(out) : PrefixField(out.status(), name);
  }

  static absl::StatusOr<FilterSpec> Compare(const v1::Comparison& compare) {
    FilterSpec out = Make(FilterSpec::Kind::kCompare, compare.ref());
    ASSIGN_OR_RETURN(out.op, ToOp(compare.op()));
    ASSIGN_OR_RETURN(Literal value, ToLiteral(compare.value(), "value"));
    out.values.push_back(std::move(value));
    return out;
  }

  static absl::StatusOr<FilterSpec> In(const v1::InList& in) {
    RETURN_IF_ERROR(CheckCount(in.values_size(), limits::kMaxInValues, "max_in_values", "values"));
    FilterSpec out = Make(FilterSpec::Kind::kIn, in.ref());
    for (int i = 0; i < in.values_size(); ++i) {
      ASSIGN_OR_RETURN(Literal value, ToLiteral(in.values(i), StrCat("values[", i, "]")));
      out.values.push_back(std::move(value));
    }
    return out;
  }

  static absl::StatusOr<FilterSpec> BetweenOf(const v1::Between& between) {
    FilterSpec out = Make(FilterSpec::Kind::kBetween, between.ref());
    ASSIGN_OR_RETURN(Literal low, ToLiteral(between.low(), "low"));
    ASSIGN_OR_RETURN(Literal high, ToLiteral(between.high(), "high"));
    out.values.push_back(std::move(low));
    out.values.push_back(std::move(high));
    return out;
  }

  size_t nodes_ = 0;
};

absl::Status ReadQuery(const v1::SearchRequest& request, SearchRequest* out) {
  const bool by_vector = !request.vector().empty();
  if (by_vector == !request.entity_key().empty()) {
    return InvalidArgument("give exactly one of vector and entity_key", "vector");
  }
  RETURN_IF_ERROR(
      CheckAtMost(request.vector_size(), limits::kMaxDimension, "max_dimension", "vector"));
  for (int i = 0; i < request.vector_size(); ++i) {
    if (!std::isfinite(request.vector(i))) {
      return InvalidArgument(
          StrCat("vector[", i, "] is ", request.vector(i), "; a vector holds finite numbers only"),
          "vector");
    }
  }
  out->vector.assign(request.vector().begin(), request.vector().end());
  ASSIGN_OR_RETURN(out->entity_key, ToColumns(request.entity_key(), 1, "entity_key"));
  return absl::OkStatus();
}

absl::Status ReadParams(const v1::SearchParams& params, SearchRequest* out) {
  RETURN_IF_ERROR(CheckAtMost(params.ef(), limits::kMaxEf, "max_ef", "params.ef"));
  RETURN_IF_ERROR(
      CheckAtMost(params.rescore(), limits::kMaxRescore, "max_rescore", "params.rescore"));
  const double recall = params.target_recall();
  if (recall != 0 && !(recall > 0 && recall < 1)) {
    return InvalidArgument(StrCat("is ", recall,
                                  "; say a share above 0 and below 1, or 0 for the index's own; "
                                  "all is found with exact"),
                           "params.target_recall");
  }
  if (recall != 0 && params.ef() != 0) {
    return InvalidArgument(
        "ef and target_recall are both given; give one: target_recall chooses the ef",
        "params.target_recall");
  }
  out->exact = params.exact();
  out->ef = params.ef();
  out->target_recall = recall;
  out->rescore = params.rescore();
  return absl::OkStatus();
}

absl::Status ReadHydration(const v1::SearchRequest& request, SearchRequest* out) {
  Selection hydrate = ToSelection(request);
  RETURN_IF_ERROR(CheckSelection(hydrate, /*optional=*/true));
  if (!hydrate.feature_service.empty() || !hydrate.features.empty()) {
    out->hydrate = std::move(hydrate);
  }
  ASSIGN_OR_RETURN(out->request_context, ToContext(request.request_context(), 1));
  if (!out->hydrate.has_value() && !out->request_context.empty()) {
    return InvalidArgument("request_context without features to hydrate the hits with",
                           "request_context");
  }
  return absl::OkStatus();
}

absl::Status ReadFilter(bool has, const v1::Filter& filter, SearchRequest* out) {
  if (!has) return absl::OkStatus();
  absl::StatusOr<FilterSpec> spec = FilterReader().Read(filter, 1);
  if (!spec.ok()) return PrefixField(spec.status(), "filter");
  out->filter = *std::move(spec);
  return absl::OkStatus();
}

// Which hits are wanted.
absl::Status ReadChoice(const v1::SearchRequest& request, SearchRequest* out) {
  RETURN_IF_ERROR(CheckCount(request.top_k(), limits::kMaxTopK, "max_top_k", "top_k"));
  out->top_k = request.top_k();
  RETURN_IF_ERROR(ReadFilter(request.has_filter(), request.filter(), out));
  if (request.has_score_threshold()) {
    if (!std::isfinite(request.score_threshold())) {
      return InvalidArgument(
          StrCat("is ", request.score_threshold(), "; say a finite score, or leave it out"),
          "score_threshold");
    }
    out->score_threshold = request.score_threshold();
  }
  if (request.has_group_by()) {
    RETURN_IF_ERROR(CheckGiven(request.group_by().ref(), "group_by.ref"));
    RETURN_IF_ERROR(CheckAtMost(request.group_by().size(), limits::kMaxGroupSize, "max_group_size",
                                "group_by.size"));
    out->group_by = GroupBy{request.group_by().ref(),
                            request.group_by().size() == 0 ? 1 : request.group_by().size()};
  }
  return absl::OkStatus();
}

// All but what is looked for.
absl::StatusOr<SearchRequest> ReadCommon(const v1::SearchRequest& request) {
  SearchRequest out;
  RETURN_IF_ERROR(CheckGiven(request.project(), "project"));
  RETURN_IF_ERROR(CheckGiven(request.index(), "index"));
  out.project = request.project();
  out.index = request.index();
  out.include_self = request.include_self();
  RETURN_IF_ERROR(ReadChoice(request, &out));
  RETURN_IF_ERROR(ReadParams(request.params(), &out));
  RETURN_IF_ERROR(ReadHydration(request, &out));
  ASSIGN_OR_RETURN(out.as_of, ToOptionalInstant(request.has_as_of(), request.as_of(), "as_of"));
  ASSIGN_OR_RETURN(out.known_at, ToKnownAt(request.has_known_at(), request.known_at()));
  out.min_seq = request.min_seq();
  out.event_times = request.include_event_timestamps();
  return out;
}

absl::StatusOr<SearchRequest> ReadBatchCommon(const v1::SearchRequest& request) {
  if (!request.vector().empty()) {
    return InvalidArgument("the queries of a batch stand in vectors; leave it out", "vector");
  }
  if (!request.entity_key().empty()) {
    return InvalidArgument("the queries of a batch stand in entity_keys; leave it out",
                           "entity_key");
  }
  return ReadCommon(request);
}

}  // namespace

absl::StatusOr<SearchRequest> ToEngine(const v1::SearchRequest& request) {
  ASSIGN_OR_RETURN(SearchRequest out, ReadCommon(request));
  RETURN_IF_ERROR(ReadQuery(request, &out));
  return out;
}

absl::StatusOr<BatchSearchRequest> ToEngine(const v1::BatchSearchRequest& request) {
  BatchSearchRequest out;
  RETURN_IF_ERROR(CheckCount(request.query_count(), limits::kMaxBatchQueries, "max_batch_queries",
                             "query_count"));
  out.query_count = request.query_count();
  absl::StatusOr<SearchRequest> common = ReadBatchCommon(request.common());
  if (!common.ok()) return PrefixField(common.status(), "common");
  out.common = *std::move(common);
  if (out.common.top_k * out.query_count > limits::kMaxBatchHits) {
    return OutOfRange(StrCat(out.query_count, " queries of top_k ", out.common.top_k, " may have ",
                             out.query_count * out.common.top_k, " hits; at most ",
                             limits::kMaxBatchHits, " are allowed (max_batch_hits)"),
                      "common.top_k");
  }
  const bool by_vector = !request.vectors().empty();
  if (by_vector == !request.entity_keys().empty()) {
    return InvalidArgument("give exactly one of vectors and entity_keys", "vectors");
  }
  out.vectors.assign(request.vectors().begin(), request.vectors().end());
  ASSIGN_OR_RETURN(out.entity_keys,
                   ToColumns(request.entity_keys(), out.query_count, "entity_keys"));
  return out;
}

absl::StatusOr<RecallAuditRequest> ToEngine(const v1::AuditRecallRequest& request) {
  RecallAuditRequest out;
  RETURN_IF_ERROR(CheckGiven(request.project(), "project"));
  RETURN_IF_ERROR(CheckGiven(request.index(), "index"));
  RETURN_IF_ERROR(
      CheckAtMost(request.queries(), limits::kMaxAuditQueries, "max_audit_queries", "queries"));
  RETURN_IF_ERROR(CheckAtMost(request.top_k(), limits::kMaxTopK, "max_top_k", "top_k"));
  if (request.params().exact()) {
    return InvalidArgument("an exact search finds all; leave it out", "params.exact");
  }
  out.queries = request.queries() == 0 ? limits::kDefaultAuditQueries : request.queries();
  out.seed = request.seed();
  out.reachability = request.reachability();
  out.search.project = request.project();
  out.search.index = request.index();
  out.search.top_k = request.top_k() == 0 ? limits::kDefaultAuditTopK : request.top_k();
  RETURN_IF_ERROR(ReadParams(request.params(), &out.search));
  RETURN_IF_ERROR(ReadFilter(request.has_filter(), request.filter(), &out.search));
  return out;
}

absl::Status CheckRequest(const v1::DescribeIndexRequest& request) {
  RETURN_IF_ERROR(CheckGiven(request.project(), "project"));
  return CheckGiven(request.index(), "index");
}

absl::Status CheckRequest(const v1::RebuildIndexRequest& request) {
  RETURN_IF_ERROR(CheckGiven(request.project(), "project"));
  return CheckGiven(request.index(), "index");
}

}  // namespace fletch
