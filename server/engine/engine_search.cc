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
  target.context = {target.catalog.get(), target.collection.get(),
                    schema.fields[target.index.field].index, Sources(), &plans};
  return target;
}

absl::StatusOr<SearchAnswer> Engine::Parts::Search(const SearchTarget& target,
                                                   const SearchRequest& request, const Call& call) {
  ASSIGN_OR_RETURN(const Moment moment,
                   Resolve(request.as_of, request.known_at, request.min_seq, call));
  return RunSearch(target.context, request, moment.as_of, moment.read_seq, call);
}

AskSearch Engine::Parts::SearchAgain() {
  return [this](const SearchRequest& request, const Call& call) -> absl::StatusOr<SearchAnswer> {
    ASSIGN_OR_RETURN(const SearchTarget target, FindIndex(request.project, request.index));
    return Search(target, request, call);
  };
}

absl::StatusOr<SearchAnswer> Engine::Search(const SearchRequest& request, const Call& call) {
  RETURN_IF_ERROR(call.Check());
  ASSIGN_OR_RETURN(const Parts::SearchTarget target,
                   parts_->FindIndex(request.project, request.index));
  ASSIGN_OR_RETURN(SearchAnswer answer, parts_->Search(target, request, call));
  parts_->recall_sampler->Offer(target.index, request, answer);
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
  return fletch::AuditRecall(parts_->store.get(), *parts_->clock, target.index, request,
                             parts_->SearchAgain(), call);
}

}  // namespace fletch
