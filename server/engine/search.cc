// SPDX-License-Identifier: Apache-2.0
#include "server/engine/search.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/entity_columns.h"
#include "server/engine/entity_filter.h"
#include "server/engine/filter.h"
#include "server/engine/search_groups.h"
#include "server/engine/snapshot.h"
#include "storage/entity_key.h"
#include "storage/row_codec.h"

namespace fletch {
namespace {

// `which` says of which query, where there are several: "query 3: ".
absl::Status CheckQueryVector(const FieldSchema& field, absl::Span<const float> vector,
                              std::string_view which, std::string_view path) {
  if (vector.size() != field.type.dimension) {
    return InvalidArgument(StrCat(which, "the query has ", vector.size(), " elements; ", field.name,
                                  " has ", field.type.dimension),
                           path);
  }
  bool zero = true;
  for (size_t i = 0; i < vector.size(); ++i) {
    if (!std::isfinite(vector[i])) {
      return InvalidArgument(StrCat(which, "element ", i, " is not finite"), path);
    }
    zero = zero && vector[i] == 0;
  }
  if (zero && field.index_metric == Metric::kCosine) {
    return InvalidArgument(StrCat(which, "a zero vector has no direction, which COSINE needs"),
                           path);
  }
  return absl::OkStatus();
}

// The vector of an entity at the snapshot; NOT_FOUND when it has none.
absl::StatusOr<std::vector<float>> EntityVector(const View& view, size_t field,
                                                const std::string& entity, Snapshot* snapshot,
                                                std::string_view path) {
  ASSIGN_OR_RETURN(VisibleRow visible, snapshot->FromFacts(view, entity));
  std::vector<float> vector;
  if (visible.status == CellStatus::kPresent) {
    ASSIGN_OR_RETURN(RowView row, RowView::Parse(&view.layout, visible.row));
    vector = row.GetVector(field);
  }
  if (!vector.empty()) return vector;
  ASSIGN_OR_RETURN(const std::string text, DescribeEntity(view.schema.join_keys, entity));
  return NotFound(
      StrCat("entity ", text, " has no visible vector in ", view.schema.versioned_name(), ":",
             view.schema.fields[field].name, " at this as_of"),
      path);
}

absl::Status AppendHits(const View& view, absl::Span<const VectorHit> hits, SearchAnswer* answer) {
  for (const VectorHit& hit : hits) {
    RETURN_IF_ERROR(
        AppendKeyValues(view.schema.join_keys, hit.entity_key, absl::MakeSpan(answer->keys)));
    answer->scores.push_back(hit.score);
    answer->event_times.push_back(hit.event_time);
  }
  return absl::OkStatus();
}

// The plan of what each hit is to carry; its keys must be the hit's join keys.
absl::StatusOr<std::shared_ptr<const FeaturePlan>> HydrationPlan(const SearchContext& context,
                                                                 const SearchRequest& request,
                                                                 const View& view) {
  ASSIGN_OR_RETURN(std::shared_ptr<const FeaturePlan> plan,
                   context.plans->Get(*context.catalog, request.project, *request.hydrate));
  for (const std::string& name : plan->key_columns) {
    const auto& keys = view.schema.join_keys;
    if (std::any_of(keys.begin(), keys.end(), [&](const auto& key) { return key.name == name; }))
      continue;
    return InvalidArgument(
        StrCat("the features need key ", name, ", but a hit has only the join keys of entity ",
               view.schema.entity, "; bind the view to one of those"),
        "features");
  }
  return plan;
}

absl::Status Hydrate(const FeaturePlan& plan, const SearchRequest& request, const Call& call,
                     Snapshot* snapshot, SearchAnswer* answer) {
  std::vector<NamedColumn> keys;
  for (const NamedColumn& key : answer->keys) {
    const auto& wanted = plan.key_columns;
    if (std::find(wanted.begin(), wanted.end(), key.name) != wanted.end()) keys.push_back(key);
  }
  ASSIGN_OR_RETURN(auto columns,
                   ReadFeatures(plan, keys, request.request_context, answer->scores.size(),
                                request.event_times, /*may_block=*/true, call, snapshot));
  answer->columns = std::move(columns).value();
  return absl::OkStatus();
}

bool AtLeastAsNear(Metric metric, float score, float threshold) {
  return metric == Metric::kL2 ? score <= threshold : score >= threshold;
}

// One index at one moment, with what all queries of a request have in common: names are resolved
// and checked. Immutable, thread-safe; shorter-lived than its context and request.
class PreparedSearch {
 public:
  static absl::StatusOr<PreparedSearch> Make(const SearchContext& context,
                                             const SearchRequest& request, int64_t as_of,
                                             uint64_t read_seq) {
    PreparedSearch search(context, request, as_of, read_seq);
    if (request.hydrate.has_value()) {
      ASSIGN_OR_RETURN(search.hydration_, HydrationPlan(context, request, search.view()));
    }
    const ViewSchema& schema = search.view().schema;
    if (request.filter.has_value()) {
      ASSIGN_OR_RETURN(search.filter_, Filter::Make(*context.catalog, request.project,
                                                    schema.entity_id, *request.filter));
    }
    if (request.group_by.has_value()) {
      ASSIGN_OR_RETURN(search.grouping_, Grouping::Make(*context.catalog, request.project, schema,
                                                        *request.group_by));
    }
    return search;
  }

  const View& view() const { return context_.collection->view(); }
  size_t field() const { return context_.collection->field(); }
  const FieldSchema& schema() const { return view().schema.fields[field()]; }
  Snapshot NewSnapshot() const { return Snapshot(context_.sources, as_of_, read_seq_); }
  const std::shared_ptr<const FeaturePlan>& hydration() const { return hydration_; }

  // The hits nearest to the vector, or to that of the entity if that is given; `path` is where the
  // request says which.
  absl::StatusOr<VectorAnswer> Near(std::vector<float> vector, bool brief, const Call& call) const {
    Snapshot snapshot = NewSnapshot();
    VectorQuery query = MakeQuery(std::move(vector));
    query.brief = brief;
    return Find(std::move(query), &snapshot, call);
  }
  absl::StatusOr<VectorAnswer> NearEntity(const std::string& entity, std::string_view path,
                                          const Call& call) const {
    Snapshot snapshot = NewSnapshot();
    ASSIGN_OR_RETURN(std::vector<float> vector,
                     EntityVector(view(), field(), entity, &snapshot, path));
    VectorQuery query = MakeQuery(std::move(vector));
    if (!request_.include_self) query.exclude = entity;
    return Find(std::move(query), &snapshot, call);
  }

  SearchAnswer NewAnswer() const {
    SearchAnswer answer;
    answer.as_of = as_of_;
    answer.read_seq = read_seq_;
    answer.hydrated = hydration_;
    answer.keys = KeyColumns(view().schema.join_keys);
    return answer;
  }

 private:
  PreparedSearch(const SearchContext& context, const SearchRequest& request, int64_t as_of,
                 uint64_t read_seq)
      : context_(context), request_(request), as_of_(as_of), read_seq_(read_seq) {}

  VectorQuery MakeQuery(std::vector<float> vector) const {
    return {.vector = std::move(vector),
            .top_k = request_.top_k,
            .exact = request_.exact,
            .ef = request_.ef,
            .target_recall = request_.target_recall > 0 ? request_.target_recall
                                                        : context_.parameters.target_recall,
            .rescore = request_.rescore,
            .threshold = request_.score_threshold,
            .as_of = as_of_,
            .read_seq = read_seq_,
            .exclude = {},
            .passes = nullptr,
            .filter = nullptr};
  }

  absl::StatusOr<VectorAnswer> Find(VectorQuery query, Snapshot* snapshot, const Call& call) const {
    std::optional<EntityFilter> filter;
    if (filter_.has_value()) {
      filter.emplace(&*filter_, *context_.field_indexes,
                     context_.field_indexes->Entities(view().schema.entity_id), snapshot);
      query.filter = &*filter;
      query.passes = [&](std::string_view key) { return filter->PassesKey(key); };
    }
    const auto ask = [&](const VectorQuery& asked) -> absl::StatusOr<VectorAnswer> {
      ASSIGN_OR_RETURN(VectorAnswer answer, context_.collection->Search(asked, call));
      if (asked.threshold.has_value()) CutOff(*asked.threshold, &answer.hits);
      return answer;
    };
    absl::StatusOr<VectorAnswer> found;
    if (grouping_.has_value()) {
      const auto group_of = [&](std::string_view key) { return grouping_->GroupOf(key, snapshot); };
      found = SearchGroups(query, grouping_->size(), ask, group_of);
    } else {
      found = ask(query);
    }
    RETURN_IF_ERROR(found.status());
    if (filter.has_value()) found->indexed_refs = filter->indexed_refs();
    RETURN_IF_ERROR(CheckHorizons(*snapshot));
    return found;
  }

  void CutOff(float threshold, std::vector<VectorHit>* hits) const {
    const Metric metric = *schema().index_metric;
    const auto end = std::find_if(hits->begin(), hits->end(), [&](const VectorHit& hit) {
      return !AtLeastAsNear(metric, hit.score, threshold);
    });
    hits->erase(end, hits->end());
  }

  absl::Status CheckHorizons(const Snapshot& snapshot) const {
    RETURN_IF_ERROR(snapshot.CheckHorizon(view().schema));
    if (filter_.has_value()) {
      for (const auto& other : filter_->views()) {
        RETURN_IF_ERROR(snapshot.CheckHorizon(other->schema));
      }
    }
    if (!grouping_.has_value() || grouping_->view() == nullptr) return absl::OkStatus();
    return snapshot.CheckHorizon(grouping_->view()->schema);
  }

  const SearchContext context_;
  const SearchRequest& request_;
  const int64_t as_of_;
  const uint64_t read_seq_;
  std::shared_ptr<const FeaturePlan> hydration_;  // null: hits carry nothing
  std::optional<Filter> filter_;
  std::optional<Grouping> grouping_;
};

SearchPlanReport ReportOf(VectorAnswer&& answer) {
  SearchPlanReport report;
  report.strategy = std::move(answer.strategy);
  report.selectivity = answer.selectivity;
  report.candidates_visited = answer.visited;
  report.segments = answer.segments;
  report.buffered_vectors = answer.buffered;
  report.ef = answer.ef;
  report.rescored = answer.rescored;
  report.indexed_refs = std::move(answer.indexed_refs);
  report.reason = std::move(answer.reason);
  return report;
}

absl::Status HydrateHits(const PreparedSearch& search, const SearchRequest& request,
                         const Call& call, SearchAnswer* answer) {
  if (search.hydration() == nullptr) return absl::OkStatus();
  Snapshot snapshot = search.NewSnapshot();
  return Hydrate(*search.hydration(), request, call, &snapshot, answer);
}

// What a batch looks for: entities, or vectors one after the other.
absl::StatusOr<std::vector<std::string>> BatchEntities(const PreparedSearch& search,
                                                       const BatchSearchRequest& request) {
  const size_t dimension = search.schema().type.dimension;
  if (!request.entity_keys.empty()) {
    return EncodeEntities(search.view().schema, request.entity_keys, request.query_count,
                          "entity_keys");
  }
  if (request.vectors.size() != request.query_count * dimension) {
    return InvalidArgument(
        StrCat("has ", request.vectors.size(), " elements; ", request.query_count, " queries of ",
               search.schema().name, " have ", request.query_count * dimension, ", ", dimension,
               " each"),
        "vectors");
  }
  for (size_t i = 0; i < request.query_count; ++i) {
    RETURN_IF_ERROR(CheckQueryVector(
        search.schema(), absl::MakeSpan(request.vectors).subspan(i * dimension, dimension),
        StrCat("query ", i, ": "), "vectors"));
  }
  return std::vector<std::string>();
}

}  // namespace

absl::StatusOr<IndexedField> FindIndexedField(const CatalogSnapshot& catalog,
                                              const std::string& project,
                                              const std::string& index) {
  std::vector<std::string> parts = absl::StrSplit(index, ':');
  if (parts.size() != 2) {
    return InvalidArgument(StrCat("\"", index, "\" is not \"view:field\""), "index");
  }
  auto view = catalog.FindView(project, parts[0]);
  if (!view.ok()) return PrefixField(view.status(), "index");
  const auto& fields = (*view)->schema.fields;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].name != parts[1]) continue;
    if (fields[i].index_metric.has_value()) return IndexedField{*view, i};
    return InvalidArgument(
        StrCat(index,
               " is not a FLOAT_VECTOR with an index; declare index: {metric: …} on the field"),
        "index");
  }
  return NotFound(StrCat("view ", (*view)->schema.versioned_name(), " has no field ", parts[1]),
                  "index");
}

absl::Status WithinCommon(absl::Status status) {
  const std::string field = ErrorField(status);
  if (field.empty() || field == "entity_keys" || field == "vectors") return status;
  return PrefixField(std::move(status), "common");
}

absl::StatusOr<std::optional<SearchAnswer>> RunSearch(const SearchContext& context,
                                                      const SearchRequest& request, int64_t as_of,
                                                      uint64_t read_seq, bool may_block,
                                                      const Call& call) {
  const bool near_entity = !request.entity_key.empty();
  if (!may_block && (near_entity || request.hydrate.has_value() || request.group_by.has_value())) {
    return std::nullopt;
  }
  ASSIGN_OR_RETURN(const PreparedSearch search,
                   PreparedSearch::Make(context, request, as_of, read_seq));
  VectorAnswer found;
  if (near_entity) {
    ASSIGN_OR_RETURN(const std::string entity,
                     EncodeEntity(search.view().schema, request.entity_key, "entity_key"));
    ASSIGN_OR_RETURN(found, search.NearEntity(entity, "entity_key", call));
  } else {
    RETURN_IF_ERROR(CheckQueryVector(search.schema(), request.vector, "", "vector"));
    ASSIGN_OR_RETURN(found, search.Near(request.vector, !may_block, call));
    if (found.too_long) return std::nullopt;
  }
  SearchAnswer answer = search.NewAnswer();
  RETURN_IF_ERROR(AppendHits(search.view(), found.hits, &answer));
  answer.plan = ReportOf(std::move(found));
  RETURN_IF_ERROR(HydrateHits(search, request, call, &answer));
  return answer;
}

absl::StatusOr<BatchSearchAnswer> RunBatchSearch(const SearchContext& context,
                                                 const BatchSearchRequest& request, int64_t as_of,
                                                 uint64_t read_seq, WorkSharing* workers,
                                                 const Call& call) {
  absl::StatusOr<PreparedSearch> prepared =
      PreparedSearch::Make(context, request.common, as_of, read_seq);
  if (!prepared.ok()) return WithinCommon(prepared.status());
  const PreparedSearch& search = *prepared;
  ASSIGN_OR_RETURN(const std::vector<std::string> entities, BatchEntities(search, request));
  const size_t dimension = search.schema().type.dimension;
  std::vector<VectorAnswer> found(request.query_count);
  const auto find = [&](size_t i) -> absl::Status {
    RETURN_IF_ERROR(call.Check());
    if (!entities.empty()) {
      ASSIGN_OR_RETURN(found[i], search.NearEntity(entities[i], "entity_keys", call));
      return absl::OkStatus();
    }
    const auto first = request.vectors.begin() + static_cast<ptrdiff_t>(i * dimension);
    ASSIGN_OR_RETURN(found[i], search.Near({first, first + static_cast<ptrdiff_t>(dimension)},
                                           /*brief=*/false, call));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(WithinCommon(workers->Run(request.query_count, find)));
  BatchSearchAnswer answer;
  answer.hits = search.NewAnswer();
  for (VectorAnswer& one : found) {
    RETURN_IF_ERROR(AppendHits(search.view(), one.hits, &answer.hits));
    answer.hit_counts.push_back(one.hits.size());
    answer.plans.push_back(ReportOf(std::move(one)));
  }
  RETURN_IF_ERROR(WithinCommon(HydrateHits(search, request.common, call, &answer.hits)));
  return answer;
}

}  // namespace fletch
