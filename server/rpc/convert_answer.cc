// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "server/engine/feature_plan.h"
#include "server/engine/proto_column.h"
#include "server/rpc/convert.h"

namespace fletch {
namespace {

template <class Response>
void AddFeatures(const FeaturePlan& plan, Response* out) {
  out->mutable_features()->Reserve(static_cast<int>(plan.columns.size()));
  for (const PlanColumn& column : plan.columns) {
    v1::ResolvedFeature* feature = out->add_features();
    feature->set_ref(column.ref);
    feature->set_resolved(column.resolved);
    feature->set_type(static_cast<v1::ValueType>(column.type.type));
    feature->set_array(column.type.array);
    feature->set_dimension(column.type.dimension);
  }
}

template <class Response>
void AddColumns(std::vector<Column>&& columns, Response* out) {
  out->mutable_columns()->Reserve(static_cast<int>(columns.size()));
  for (Column& column : columns) ToProto(std::move(column), out->add_columns());
}

template <class List>
void AddNamed(std::vector<NamedColumn>&& columns, List* out) {
  for (NamedColumn& column : columns) {
    v1::NamedColumn* named = out->Add();
    named->set_name(std::move(column.name));
    ToProto(std::move(column.column), named->mutable_column());
  }
}

v1::FactForm ToProtoForm(FactForm form) {
  switch (form) {
    case FactForm::kRow:
      return v1::ROW;
    case FactForm::kTombstone:
      return v1::TOMBSTONE;
    case FactForm::kRetraction:
      return v1::RETRACTION;
  }
  return v1::FACT_FORM_UNSPECIFIED;
}

v1::SearchPlan ToProtoPlan(const SearchPlanReport& report) {
  v1::SearchPlan plan;
  plan.set_strategy(report.strategy);
  plan.set_selectivity(report.selectivity);
  plan.set_candidates_visited(report.candidates_visited);
  plan.set_segments(report.segments);
  plan.set_buffered_vectors(report.buffered_vectors);
  plan.set_ef(report.ef);
  plan.set_rescored(report.rescored);
  plan.mutable_indexed_refs()->Add(report.indexed_refs.begin(), report.indexed_refs.end());
  plan.set_reason(report.reason);
  return plan;
}

}  // namespace

void FillAnswer(OnlineAnswer&& answer, size_t row_count, v1::GetOnlineFeaturesResponse* out) {
  out->set_as_of_micros(answer.as_of);
  out->set_read_seq(answer.read_seq);
  AddFeatures(*answer.plan, out);
  AddColumns(std::move(answer.columns), out);
  out->set_row_count(row_count);
}

void FillHeaderAnswer(const FeaturePlan& plan, uint64_t read_seq,
                      v1::GetHistoricalFeaturesResponse* out) {
  out->set_read_seq(read_seq);
  AddFeatures(plan, out);
  for (const KeyFieldSchema& key : plan.key_fields) {
    v1::KeyField* field = out->add_key_columns();
    field->set_name(key.name);
    field->set_type(static_cast<v1::ValueType>(key.type));
  }
  for (const FieldSchema& column : plan.context) {
    v1::RequestField* field = out->add_context_columns();
    field->set_name(column.name);
    field->set_type(static_cast<v1::ValueType>(column.type.type));
  }
}

void FillAnswer(std::vector<Column>&& columns, size_t row_count, uint64_t read_seq,
                v1::GetHistoricalFeaturesResponse* out) {
  out->set_read_seq(read_seq);
  out->set_row_count(row_count);
  AddColumns(std::move(columns), out);
}

void FillAnswer(HistoryAnswer&& answer, v1::GetFeatureHistoryResponse* out) {
  out->set_read_seq(answer.read_seq);
  out->set_row_count(answer.row_count);
  AddNamed(std::move(answer.columns), out->mutable_columns());
  out->mutable_event_timestamps()->mutable_micros()->Add(answer.event_times.begin(),
                                                         answer.event_times.end());
  out->mutable_commit_seqs()->Add(answer.commit_seqs.begin(), answer.commit_seqs.end());
  out->mutable_commit_times_micros()->Add(answer.commit_times.begin(), answer.commit_times.end());
  for (const FactForm form : answer.forms) out->add_forms(ToProtoForm(form));
  out->set_next_page_token(std::move(answer.next_page_token));
}

void FillAnswer(SearchAnswer&& answer, bool explain, v1::SearchResponse* out) {
  out->set_hit_count(answer.scores.size());
  AddNamed(std::move(answer.keys), out->mutable_keys());
  out->mutable_scores()->Add(answer.scores.begin(), answer.scores.end());
  out->mutable_event_timestamps()->mutable_micros()->Add(answer.event_times.begin(),
                                                         answer.event_times.end());
  if (answer.hydrated != nullptr) AddFeatures(*answer.hydrated, out);
  AddColumns(std::move(answer.columns), out);
  out->set_as_of_micros(answer.as_of);
  out->set_read_seq(answer.read_seq);
  if (explain) *out->mutable_plan() = ToProtoPlan(answer.plan);
}

void FillAnswer(BatchSearchAnswer&& answer, bool explain, v1::BatchSearchResponse* out) {
  FillAnswer(std::move(answer.hits), /*explain=*/false, out->mutable_hits());
  out->mutable_hit_counts()->Add(answer.hit_counts.begin(), answer.hit_counts.end());
  if (!explain) return;
  for (const SearchPlanReport& plan : answer.plans) *out->add_plans() = ToProtoPlan(plan);
}

void FillAnswer(const EngineStatus& status, v1::GetStatusResponse* out) {
  out->set_applied_seq(status.applied_seq);
  out->set_applied_time_micros(status.applied_time);
  out->set_registry_revision(status.registry_revision);
  out->set_online_entities(status.online_entities);
  out->set_online_bytes(status.online_bytes);
  out->set_online_budget_bytes(status.online_budget_bytes);
  out->set_online_complete(status.online_complete);
  out->set_disk_bytes(status.disk_bytes);
  for (const IndexStatus& index : status.indexes) {
    v1::VectorIndexStatus* entry = out->add_indexes();
    entry->set_project(index.project);
    entry->set_index(index.index);
    entry->set_vectors(index.vectors);
    entry->set_graph_vectors(index.graph_vectors);
    entry->set_buffered_vectors(index.buffered_vectors);
    entry->set_building(index.building);
  }
  for (const std::string& warning : status.warnings) out->add_warnings(warning);
}

}  // namespace fletch
