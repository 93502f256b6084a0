// SPDX-License-Identifier: Apache-2.0
#include "server/engine/online_reader.h"

#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "server/engine/column_writer.h"
#include "storage/entity_key.h"

namespace fletch {
namespace {

constexpr size_t kMaxCachedPlans = 1024;  // distinct selections in use at once

// Length-prefixed, so that two selections never share a key.
void AppendPart(std::string_view part, std::string* out) {
  out->append(std::to_string(part.size())).append(1, ':').append(part);
}

std::string CacheKey(const std::string& project, const Selection& selection) {
  std::string key;
  AppendPart(project, &key);
  AppendPart(selection.feature_service, &key);
  for (const std::string& ref : selection.features) AppendPart(ref, &key);
  for (const BindingSpec& binding : selection.bindings) {
    key += '|';
    AppendPart(binding.alias, &key);
    AppendPart(binding.feature_view, &key);
    for (const auto& [join_key, column] : binding.join_key_map) {
      AppendPart(join_key, &key);
      AppendPart(column, &key);
    }
  }
  return key;
}

}  // namespace

absl::StatusOr<std::optional<std::vector<Column>>> ReadFeatures(
    const FeaturePlan& plan, absl::Span<const NamedColumn> keys,
    absl::Span<const NamedColumn> context, size_t row_count, bool event_times, bool may_block,
    const Call& call, Snapshot* snapshot) {
  ASSIGN_OR_RETURN(BoundKeys bound, BindKeys(plan, keys, row_count, "keys"));
  ASSIGN_OR_RETURN(BoundContext bound_context,
                   BindContext(plan, context, row_count, "request_context"));
  if (plan.reads_vectors && !may_block) return std::nullopt;
  ColumnWriter writer(plan, row_count, event_times);
  std::vector<std::string> entity_keys(row_count);
  for (size_t g = 0; g < plan.groups.size(); ++g) {
    const PlanGroup& group = plan.groups[g];
    for (size_t i = 0; i < row_count; ++i) {
      entity_keys[i].clear();
      AppendKey(bound.groups[g], i, &entity_keys[i]);
    }
    const auto records = snapshot->FindRecords(group.entity_id, entity_keys);
    for (size_t v = 0; v < group.views.size(); ++v) {
      ASSIGN_OR_RETURN(auto rows,
                       snapshot->FindRows(group.views[v], records, entity_keys, may_block, call));
      if (!rows.has_value()) return std::nullopt;
      writer.Append(g, v, *rows);
    }
  }
  for (const PlanGroup& group : plan.groups) {
    for (const PlanView& view : group.views) RETURN_IF_ERROR(snapshot->CheckHorizon(view));
  }
  return writer.Finish(bound_context, call);
}

absl::StatusOr<std::shared_ptr<const FeaturePlan>> PlanCache::Get(const CatalogSnapshot& catalog,
                                                                  const std::string& project,
                                                                  const Selection& selection) {
  const std::string key = CacheKey(project, selection);
  {
    MutexLock lock(&mu_);
    if (revision_ == catalog.revision()) {
      auto found = plans_.find(key);
      if (found != plans_.end()) return found->second;
    }
  }
  ASSIGN_OR_RETURN(std::shared_ptr<const FeaturePlan> plan,
                   MakeFeaturePlan(catalog, project, selection));
  MutexLock lock(&mu_);
  if (revision_ < catalog.revision() || plans_.size() >= kMaxCachedPlans) {
    plans_.clear();
    revision_ = catalog.revision();
  }
  if (revision_ == catalog.revision()) plans_[key] = plan;
  return plan;
}

}  // namespace fletch
