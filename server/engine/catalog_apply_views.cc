// SPDX-License-Identifier: Apache-2.0
// Views of all kinds, as Apply makes them.
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/catalog_applier.h"
#include "server/engine/catalog_on_demand.h"
#include "server/engine/catalog_windows.h"

namespace fletch {
namespace {

// The new version goes behind the others, or a compatible change into the newest's place.
template <typename Stored>
void Store(std::shared_ptr<const Stored> stored, uint64_t version,
           std::vector<std::shared_ptr<const Stored>>* versions) {
  if (version > versions->size()) {
    versions->push_back(std::move(stored));
  } else {
    versions->back() = std::move(stored);
  }
}

}  // namespace

absl::Status Applier::CheckFreeName(v1::ObjectKind kind, std::string_view name,
                                    std::string_view path) const {
  const std::string name_path = StrCat(path, ".name");
  RETURN_IF_ERROR(CheckName(name, name_path));
  const v1::ObjectKind taken = KindOfView(*project_, name);
  if (taken == v1::OBJECT_KIND_UNSPECIFIED || taken == kind) return absl::OkStatus();
  return InvalidArgument(
      StrCat("\"", name, "\" is the name of ", taken == v1::FEATURE_VIEW ? "a " : "an ",
             KindWords(taken), " already; views of all kinds share their names"),
      name_path);
}

uint64_t Applier::SetVersion(ViewDifference difference, size_t versions, v1::PlannedChange* plan) {
  const bool is_new = difference.change == v1::ADDED || difference.change == v1::BREAKING;
  Set(plan, difference.change, std::move(difference.details));
  plan->set_version(is_new ? versions + 1 : versions);
  return plan->version();
}

// All versions of aggregation views stay, so their windows must still be answered.
absl::Status Applier::CheckRetention(const ViewSchema& schema, uint64_t version,
                                     std::string_view path) const {
  if (schema.retention_micros == 0) return absl::OkStatus();
  for (const auto& [name, versions] : project_->aggregation_views) {
    for (const auto& stored : versions) {
      const AggregationView& view = *stored->view;
      if (view.source->schema.name != schema.name || view.source->schema.version != version ||
          view.longest_window_micros <= schema.retention_micros) {
        continue;
      }
      return FailedPrecondition(
          "RETENTION_TOO_SHORT",
          StrCat("is ", DescribeDuration(schema.retention_micros), "; aggregation view ",
                 view.versioned_name(), " has a window of ",
                 DescribeDuration(view.longest_window_micros), " over ", schema.name, "@v", version,
                 "; keep at least that much, or delete it first"),
          StrCat(path, ".retention"));
    }
  }
  return absl::OkStatus();
}

absl::Status Applier::ApplyView(const v1::FeatureView& spec, std::string_view path,
                                v1::PlannedChange* plan) {
  RETURN_IF_ERROR(CheckFreeName(v1::FEATURE_VIEW, spec.name(), path));
  RETURN_IF_ERROR(CheckName(spec.entity(), StrCat(path, ".entity")));
  const auto entity = project_->entities.find(spec.entity());
  if (entity == project_->entities.end()) {
    return NotFound(StrCat("project ", request_.project(), " has no entity \"", spec.entity(),
                           "\"; apply it before or in the same request"),
                    StrCat(path, ".entity"));
  }
  ASSIGN_OR_RETURN(ViewSchema schema, MakeViewSchema(spec, entity->second->spec, path));
  auto& versions = project_->views[spec.name()];
  ViewDifference difference{v1::ADDED, {}};
  if (!versions.empty()) {
    const StoredView& newest = *versions.back();
    difference = CompareViews({newest.spec, newest.view->schema}, {spec, schema});
  }
  const bool is_new = difference.change == v1::ADDED || difference.change == v1::BREAKING;
  const uint64_t version = SetVersion(std::move(difference), versions.size(), plan);
  if (plan->change() == v1::UNCHANGED) return absl::OkStatus();
  RETURN_IF_ERROR(CheckRetention(schema, version, path));
  const ViewId id = is_new ? applied_.state.next_view_id++ : versions.back()->view->schema.view_id;
  Store(MakeStoredView(request_.project(), *entity->second, spec, std::move(schema), id, version),
        version, &versions);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const View>> Applier::FindSource(const v1::AggregationView& spec,
                                                                std::string_view path) const {
  const std::string source_path = StrCat(path, ".source");
  if (spec.source().empty())
    return InvalidArgument("is missing; name the feature view that holds the events", source_path);
  const auto found = FindVersion(*project_, spec.source());
  if (!found.has_value()) {
    return NotFound(DescribeMissing(*project_, v1::FEATURE_VIEW, spec.source()), source_path);
  }
  if (const auto* view = std::get_if<std::shared_ptr<const View>>(&*found)) return *view;
  return InvalidArgument(StrCat(spec.source(), " is an ", KindWords(NodeOf(*found).kind),
                                "; windows are taken over the events of a feature view"),
                         source_path);
}

absl::Status Applier::ApplyAggregationView(const v1::AggregationView& spec, std::string_view path,
                                           v1::PlannedChange* plan) {
  RETURN_IF_ERROR(CheckFreeName(v1::AGGREGATION_VIEW, spec.name(), path));
  ASSIGN_OR_RETURN(const auto source, FindSource(spec, path));
  ASSIGN_OR_RETURN(AggregationView view, MakeAggregationView(spec, source, path));
  auto& versions = project_->aggregation_views[spec.name()];
  ViewDifference difference{v1::ADDED, {}};
  if (!versions.empty()) {
    difference = CompareAggregationViews(versions.back()->spec, ResolvedSpec(spec, view));
  }
  const uint64_t version = SetVersion(std::move(difference), versions.size(), plan);
  if (plan->change() == v1::UNCHANGED) return absl::OkStatus();
  Store(MakeStoredAggregationView(request_.project(), spec, std::move(view), version), version,
        &versions);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<OnDemandView::Input>> Applier::FindInputs(
    const v1::OnDemandFeatureView& spec, std::string_view path) const {
  std::vector<OnDemandView::Input> inputs;
  for (int i = 0; i < spec.inputs_size(); ++i) {
    const std::string input_path = StrCat(path, ".inputs[", i, "]");
    const auto found = FindVersion(*project_, spec.inputs(i));
    if (!found.has_value()) {
      return NotFound(DescribeMissing(*project_, v1::OBJECT_KIND_UNSPECIFIED, spec.inputs(i)),
                      input_path);
    }
    auto input = InputOf(*found);
    if (!input.has_value()) {
      return InvalidArgument(StrCat(spec.inputs(i),
                                    " is an on-demand feature view; inputs are feature views and "
                                    "aggregation views"),
                             input_path);
    }
    inputs.push_back(*std::move(input));
  }
  return inputs;
}

absl::Status Applier::ApplyOnDemandView(const v1::OnDemandFeatureView& spec, std::string_view path,
                                        v1::PlannedChange* plan) {
  RETURN_IF_ERROR(CheckFreeName(v1::ON_DEMAND_FEATURE_VIEW, spec.name(), path));
  ASSIGN_OR_RETURN(std::vector<OnDemandView::Input> inputs, FindInputs(spec, path));
  v1::OnDemandFeatureView resolved = spec;
  resolved.clear_resolved_inputs();
  for (const OnDemandView::Input& input : inputs)
    resolved.add_resolved_inputs(input.versioned_name());
  std::vector<size_t> field_counts = FieldCounts(inputs);
  ViewDifference difference{v1::ADDED, {}};
  const auto found = project_->on_demand_views.find(spec.name());
  if (found != project_->on_demand_views.end()) {
    const StoredOnDemandView& newest = *found->second.back();
    difference = CompareOnDemandViews(newest.spec, resolved);
    // Without a new expression there is no need to see what the inputs have got since.
    if (difference.change != v1::BREAKING && newest.spec.fields_size() == spec.fields_size())
      field_counts = newest.field_counts;
  }
  ASSIGN_OR_RETURN(OnDemandView view,
                   MakeOnDemandView(spec, std::move(inputs), field_counts, path));
  auto& versions = project_->on_demand_views[spec.name()];
  const uint64_t version = SetVersion(std::move(difference), versions.size(), plan);
  if (plan->change() == v1::UNCHANGED) return absl::OkStatus();
  Store(MakeStoredOnDemandView(request_.project(), std::move(resolved), std::move(field_counts),
                               std::move(view), version),
        version, &versions);
  return absl::OkStatus();
}

}  // namespace fletch
