// SPDX-License-Identifier: Apache-2.0
// Where training sets stand in the lineage of what they read.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/training_set_access.h"
#include "storage/fact_store.h"

namespace fletch {
namespace {

template <class Versioned>
std::string RefOf(const Versioned& view) {
  return StrCat(view.name(), "@v", view.version());
}

bool IsView(v1::ObjectKind kind) {
  return kind == v1::FEATURE_VIEW || kind == v1::AGGREGATION_VIEW ||
         kind == v1::ON_DEMAND_FEATURE_VIEW;
}

v1::LineageItem SetItem(const v1::TrainingSetRecord& record, bool direct) {
  v1::LineageItem item;
  item.set_kind(v1::TRAINING_SET);
  item.set_name(record.name());
  item.set_direct(direct);
  item.set_read_seq(record.read_seq());
  return item;
}

// The sets that read the object, or what is made of it; by name, and so behind all other kinds.
void AddReaders(const TrainingSetStore& sets, const std::string& project,
                v1::GetLineageResponse* response) {
  const v1::LineageItem& object = response->object();
  std::set<std::string> views;
  if (IsView(object.kind())) views.insert(RefOf(object));
  for (const v1::LineageItem& item : response->downstream()) {
    if (IsView(item.kind())) views.insert(RefOf(item));
  }
  for (const TrainingSetRecordPtr& record : sets.List(project, "", SIZE_MAX)) {
    bool direct =
        object.kind() == v1::FEATURE_SERVICE && record->feature_service() == object.name();
    bool reads = direct;
    for (const v1::TrainingSetView& view : record->views()) {
      if (!views.contains(RefOf(view))) continue;
      reads = true;
      direct = direct || (view.direct() && IsView(object.kind()) && RefOf(view) == RefOf(object));
    }
    if (reads) *response->add_downstream() = SetItem(*record, direct);
  }
}

// Every fact that is kept says its commit: there is no index of them by commit.
absl::Status AddCommits(const KvStore& store, const View& view, v1::GetLineageResponse* response) {
  const HistoryQuery query{.start = limits::kMinTimeMicros,
                           .end = limits::kMaxTimeMicros,
                           .known_at = UINT64_MAX,
                           .all_forms = true};
  uint64_t first = UINT64_MAX;
  uint64_t last = 0;
  std::string token;
  do {
    ASSIGN_OR_RETURN(token, ReadHistory(store, view.schema, query, token,
                                        limits::kMaxHistoryPageSize, [&](const FactRef& fact) {
                                          first = std::min(first, fact.commit_seq);
                                          last = std::max(last, fact.commit_seq);
                                          return absl::OkStatus();
                                        }));
  } while (!token.empty());
  if (last == 0) return absl::OkStatus();
  response->set_first_commit_seq(first);
  response->set_last_commit_seq(last);
  return absl::OkStatus();
}

absl::StatusOr<v1::GetLineageResponse> LineageOfSet(const CatalogSnapshot& catalog,
                                                    const v1::TrainingSetRecord& record) {
  v1::GetLineageResponse response;
  *response.mutable_object() = SetItem(record, false);
  std::map<std::tuple<int, std::string, uint64_t>, v1::LineageItem> upstream;
  const auto add = [&](v1::LineageItem item, bool direct) {
    v1::LineageItem& known = upstream[{item.kind(), item.name(), item.version()}];
    direct = direct || known.direct();
    known = std::move(item);
    known.set_direct(direct);
  };
  for (const v1::TrainingSetView& view : record.views()) {
    v1::GetLineageRequest request;
    request.set_project(record.project());
    request.set_kind(view.kind());
    request.set_name(RefOf(view));
    ASSIGN_OR_RETURN(const v1::GetLineageResponse lineage, catalog.GetLineage(request));
    add(lineage.object(), view.direct());
    for (const v1::LineageItem& item : lineage.upstream()) add(item, false);
  }
  if (!record.feature_service().empty()) {
    v1::LineageItem service;
    service.set_kind(v1::FEATURE_SERVICE);
    service.set_name(record.feature_service());
    add(std::move(service), true);
  }
  for (auto& [key, item] : upstream) *response.add_upstream() = std::move(item);
  return response;
}

}  // namespace

absl::StatusOr<v1::GetLineageResponse> LineageWithTrainingSets(
    const TrainingSetAccess& access, const v1::GetLineageRequest& request) {
  const auto catalog = access.catalog->Snapshot();
  if (request.kind() == v1::TRAINING_SET) {
    RETURN_IF_ERROR(catalog->CheckProject(request.project()));
    ASSIGN_OR_RETURN(const TrainingSetRecordPtr record,
                     access.sets->Find(request.project(), request.name()));
    return LineageOfSet(*catalog, *record);
  }
  ASSIGN_OR_RETURN(v1::GetLineageResponse response, catalog->GetLineage(request));
  AddReaders(*access.sets, request.project(), &response);
  if (response.object().kind() == v1::FEATURE_VIEW) {
    ASSIGN_OR_RETURN(const auto view,
                     catalog->FindView(request.project(), RefOf(response.object())));
    RETURN_IF_ERROR(AddCommits(*access.sources.store, *view, &response));
  }
  return response;
}

}  // namespace fletch
