// SPDX-License-Identifier: Apache-2.0
// Vector search, and what is asked about indexes.
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "server/engine/engine_parts.h"
#include "server/engine/recall_audit.h"
#include "server/engine/search.h"

namespace fletch {

absl::StatusOr<Engine::Parts::SearchTarget> Engine::Parts::FindIndex(const std::string& project,
                                                                     const std::string& index) {
  SearchTarget target;
  target.catalog = catalog->Snapshot();
  ASSIGN_OR_RETURN(target.index, FindIndexedField(*target.catalog, project, index));
  const ViewSchema& schema = target.index.view->schema;
  target.collection = collections->Find(schema.view_id, target.index.field);
  if (target.collection == nullptr) {
    return NotFound(absl::StrCat("index ", index, " was deleted meanwhile"), "index");
  }
  target.context = {target.catalog.get(),
                    target.collection.get(),
                    schema.fields[target.index.field].index,
                    field_indexes.get(),
                    Sources(),
                    &plans};
  return target;
}

absl::StatusOr<std::optional<SearchAnswer>> Engine::Parts::Search(const SearchTarget& target,
                                                                  const SearchRequest& request,
                                                                  bool may_block,
                                                                  const Call& call) {
  ASSIGN_OR_RETURN(const Moment moment,
                   Resolve(request.as_of, request.known_at, request.min_seq, call));
  return RunSearch(target.context, request, moment.as_of, moment.read_seq, may_block, call);
}

AskSearch Engine::Parts::SearchAgain() {
  return [this](const SearchRequest& request, const Call& call) -> absl::StatusOr<SearchAnswer> {
    ASSIGN_OR_RETURN(const SearchTarget target, FindIndex(request.project, request.index));
    ASSIGN_OR_RETURN(auto answer, Search(target, request, /*may_block=*/true, call));
    return std::move(answer).value();
  };
}

std::optional<absl::StatusOr<SearchAnswer>> Engine::TrySearch(const SearchRequest& request,
                                                              const Call& call) {
  if (!parts_->ResolvesAtOnce(request.known_at, request.min_seq)) return std::nullopt;
  absl::StatusOr<std::optional<SearchAnswer>> answer =
      parts_->SearchSampled(request, /*may_block=*/false, call);
  if (!answer.ok()) return answer.status();
  if (!answer->has_value()) return std::nullopt;
  return std::move(*answer).value();
}

absl::StatusOr<SearchAnswer> Engine::Search(const SearchRequest& request, const Call& call) {
  ASSIGN_OR_RETURN(auto answer, parts_->SearchSampled(request, /*may_block=*/true, call));
  return std::move(answer).value();
}

absl::StatusOr<std::optional<SearchAnswer>> Engine::Parts::SearchSampled(
    const SearchRequest& request, bool may_block, const Call& call) {
  RETURN_IF_ERROR(call.Check());
  ASSIGN_OR_RETURN(const SearchTarget target, FindIndex(request.project, request.index));
  ASSIGN_OR_RETURN(auto answer, Search(target, request, may_block, call));
  if (answer.has_value()) recall_sampler->Offer(target.index, request, *answer);
  return answer;
}

absl::StatusOr<BatchSearchAnswer> Engine::BatchSearch(const BatchSearchRequest& request,
                                                      const Call& call) {
  RETURN_IF_ERROR(call.Check());
  const SearchRequest& common = request.common;
  auto target = parts_->FindIndex(common.project, common.index);
  if (!target.ok()) return PrefixField(target.status(), "common");
  const auto moment = parts_->Resolve(common.as_of, common.known_at, common.min_seq, call);
  if (!moment.ok()) return WithinCommon(moment.status());
  return RunBatchSearch(target->context, request, moment->as_of, moment->read_seq,
                        parts_->search_workers.get(), call);
}

absl::StatusOr<v1::AuditRecallResponse> Engine::AuditRecall(const RecallAuditRequest& request,
                                                            const Call& call) {
  RETURN_IF_ERROR(call.Check());
  ASSIGN_OR_RETURN(const Parts::SearchTarget target,
                   parts_->FindIndex(request.search.project, request.search.index));
  ASSIGN_OR_RETURN(v1::AuditRecallResponse response,
                   fletch::AuditRecall(parts_->store.get(), *parts_->clock, target.index, request,
                                       parts_->SearchAgain(), call));
  if (request.reachability) response.set_unreachable(target.collection->Reachability());
  return response;
}

absl::StatusOr<v1::DescribeIndexResponse> Engine::DescribeIndex(
    const v1::DescribeIndexRequest& request, const Call& call) {
  RETURN_IF_ERROR(call.Check());
  ASSIGN_OR_RETURN(const Parts::SearchTarget target,
                   parts_->FindIndex(request.project(), request.index()));
  return parts_->Describe(target);
}

absl::StatusOr<v1::RebuildIndexResponse> Engine::RebuildIndex(
    const v1::RebuildIndexRequest& request, const Call& call) {
  RETURN_IF_ERROR(call.Check());
  ASSIGN_OR_RETURN(const Parts::SearchTarget target,
                   parts_->FindIndex(request.project(), request.index()));
  target.collection->RequestRebuild();
  v1::RebuildIndexResponse response;
  *response.mutable_index() = parts_->Describe(target);
  return response;
}

v1::DescribeIndexResponse Engine::Parts::Describe(const SearchTarget& target) const {
  const ViewSchema& schema = target.index.view->schema;
  const FieldSchema& field = schema.fields[target.index.field];
  const IndexDescription known = target.collection->Describe();
  const RecallSampler::Recall sampled = recall_sampler->Of(schema.view_id, target.index.field);
  v1::DescribeIndexResponse out;
  out.set_index(absl::StrCat(schema.versioned_name(), ":", field.name));
  out.set_metric(static_cast<v1::Metric>(*field.index_metric));
  out.set_dimension(field.type.dimension);
  out.set_m(known.parameters.m);
  out.set_ef_construction(known.parameters.ef_construction);
  out.set_target_recall(field.index.target_recall);
  out.set_vectors(known.vectors);
  out.set_graph_vectors(known.graph_vectors);
  out.set_buffered_vectors(known.buffered_vectors);
  out.set_dead_vectors(known.dead_vectors);
  out.set_unreachable_vectors(known.unreachable_vectors);
  out.set_encoding(known.encoding);
  for (const EffortPoint& point : known.calibration) {
    v1::IndexCalibration* calibration = out.add_calibration();
    calibration->set_recall(point.recall);
    calibration->set_ef(point.ef);
  }
  out.set_graph_bytes(known.graph_bytes);
  out.set_vector_bytes(known.vector_bytes);
  out.set_other_bytes(known.other_bytes);
  out.set_file_bytes(known.file_bytes);
  out.set_file_seq(known.file_seq);
  out.set_state(known.state);
  out.set_progress(known.progress);
  out.set_warning(known.warning);
  out.set_sampled_recall(sampled.recall);
  out.set_samples(sampled.samples);
  return out;
}

}  // namespace fletch
