// SPDX-License-Identifier: Apache-2.0
#include "server/engine/search.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "server/engine/entity_columns.h"
#include "server/engine/filter.h"
#include "server/engine/snapshot.h"
#include "storage/entity_key.h"
#include "storage/row_codec.h"

namespace fletch {
namespace {

absl::Status CheckQueryVector(const FieldSchema& field, absl::Span<const float> vector) {
  if (vector.size() != field.type.dimension) {
    return InvalidArgument(absl::StrCat("the query has ", vector.size(), " elements; ", field.name,
                                        " has ", field.type.dimension),
                           "vector");
  }
  bool zero = true;
  for (size_t i = 0; i < vector.size(); ++i) {
    if (!std::isfinite(vector[i])) {
      return InvalidArgument(absl::StrCat("element ", i, " is not finite"), "vector");
    }
    zero = zero && vector[i] == 0;
  }
  if (zero && field.index_metric == Metric::kCosine) {
    return InvalidArgument("a zero vector has no direction, which COSINE needs", "vector");
  }
  return absl::OkStatus();
}

// The vector of an entity at the snapshot; NOT_FOUND when it has none.
absl::StatusOr<std::vector<float>> EntityVector(const View& view, size_t field,
                                                const std::string& entity, Snapshot* snapshot) {
  ASSIGN_OR_RETURN(VisibleRow visible, snapshot->FromFacts(view, entity));
  std::vector<float> vector;
  if (visible.status == CellStatus::kPresent) {
    ASSIGN_OR_RETURN(RowView row, RowView::Parse(&view.layout, visible.row));
    vector = row.GetVector(field);
  }
  if (!vector.empty()) return vector;
  ASSIGN_OR_RETURN(std::vector<KeyValue> values, DecodeKey(view.schema.join_keys, entity));
  std::vector<std::string> parts;
  for (size_t i = 0; i < values.size(); ++i) {
    const auto* number = std::get_if<int64_t>(&values[i]);
    parts.push_back(
        absl::StrCat(view.schema.join_keys[i].name, "=",
                     number ? absl::StrCat(*number) : std::get<std::string>(values[i])));
  }
  return NotFound(absl::StrCat("entity ", absl::StrJoin(parts, ", "), " has no visible vector in ",
                               view.schema.versioned_name(), ":", view.schema.fields[field].name,
                               " at this as_of"),
                  "entity_key");
}

// Whether an entity passes the filter at the snapshot.
absl::StatusOr<bool> Passes(const Filter& filter, std::string_view entity_key, Snapshot* snapshot) {
  const auto& views = filter.views();
  std::vector<std::string> kept(
      views.size());  // a row from the facts lives only until the next look-up
  std::vector<std::optional<RowView>> rows(views.size());
  std::vector<const RowView*> pointers(views.size(), nullptr);
  const OnlineRecord* record =
      views.empty() ? nullptr : snapshot->FindRecord(views[0]->schema.entity_id, entity_key);
  for (size_t i = 0; i < views.size(); ++i) {
    std::optional<VisibleRow> visible = snapshot->FromMemory(*views[i], record);
    if (visible.has_value()) {
      if (visible->status == CellStatus::kPresent) rows[i].emplace(&views[i]->layout, visible->row);
    } else {
      ASSIGN_OR_RETURN(VisibleRow found, snapshot->FromFacts(*views[i], entity_key));
      if (found.status == CellStatus::kPresent) {
        kept[i] = std::string(found.row);
        ASSIGN_OR_RETURN(rows[i], RowView::Parse(&views[i]->layout, kept[i]));
      }
    }
    if (rows[i].has_value()) pointers[i] = &*rows[i];
  }
  return filter.Evaluate(pointers) == Truth::kTrue;
}

absl::Status AppendHits(const View& view, const std::vector<VectorHit>& hits,
                        SearchAnswer* answer) {
  answer->keys = KeyColumns(view.schema.join_keys);
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
    return InvalidArgument(absl::StrCat("the features need key ", name,
                                        ", but a hit has only the join keys of entity ",
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

}  // namespace

absl::StatusOr<IndexedField> FindIndexedField(const CatalogSnapshot& catalog,
                                              const std::string& project,
                                              const std::string& index) {
  std::vector<std::string> parts = absl::StrSplit(index, ':');
  if (parts.size() != 2) {
    return InvalidArgument(absl::StrCat("\"", index, "\" is not \"view:field\""), "index");
  }
  auto view = catalog.FindView(project, parts[0]);
  if (!view.ok()) return PrefixField(view.status(), "index");
  const auto& fields = (*view)->schema.fields;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].name != parts[1]) continue;
    if (fields[i].index_metric.has_value()) return IndexedField{*view, i};
    return InvalidArgument(
        absl::StrCat(
            index, " is not a FLOAT_VECTOR with an index; declare index: {metric: …} on the field"),
        "index");
  }
  return NotFound(
      absl::StrCat("view ", (*view)->schema.versioned_name(), " has no field ", parts[1]), "index");
}

absl::StatusOr<SearchAnswer> RunSearch(const SearchContext& context, const SearchRequest& request,
                                       int64_t as_of, uint64_t read_seq, const Call& call) {
  const View& view = context.collection->view();
  const size_t field = context.collection->field();
  Snapshot snapshot(context.sources, as_of, read_seq);
  SearchAnswer answer;
  answer.as_of = as_of;
  answer.read_seq = read_seq;
  if (request.hydrate.has_value()) {
    ASSIGN_OR_RETURN(answer.hydrated, HydrationPlan(context, request, view));
  }
  VectorQuery query{.vector = request.vector,
                    .top_k = request.top_k,
                    .exact = request.exact,
                    .ef = request.ef,
                    .as_of = as_of,
                    .read_seq = read_seq,
                    .exclude = {},
                    .passes = nullptr};
  if (!request.entity_key.empty()) {
    ASSIGN_OR_RETURN(std::string entity,
                     EncodeEntity(view.schema, request.entity_key, "entity_key"));
    ASSIGN_OR_RETURN(query.vector, EntityVector(view, field, entity, &snapshot));
    if (!request.include_self) query.exclude = std::move(entity);
  } else {
    RETURN_IF_ERROR(CheckQueryVector(view.schema.fields[field], query.vector));
  }
  std::optional<Filter> filter;
  if (request.filter.has_value()) {
    ASSIGN_OR_RETURN(filter, Filter::Make(*context.catalog, request.project, view.schema.entity_id,
                                          *request.filter));
    query.passes = [&](std::string_view key) { return Passes(*filter, key, &snapshot); };
  }
  ASSIGN_OR_RETURN(VectorAnswer found, context.collection->Search(query, call));
  RETURN_IF_ERROR(snapshot.CheckHorizon(view.schema));
  if (filter.has_value()) {
    for (const auto& other : filter->views()) {
      RETURN_IF_ERROR(snapshot.CheckHorizon(other->schema));
    }
  }
  answer.plan = {found.strategy, found.selectivity, found.visited, found.segments, found.buffered};
  RETURN_IF_ERROR(AppendHits(view, found.hits, &answer));
  if (answer.hydrated != nullptr) {
    RETURN_IF_ERROR(Hydrate(*answer.hydrated, request, call, &snapshot, &answer));
  }
  return answer;
}

}  // namespace fletch
