// SPDX-License-Identifier: Apache-2.0
#include "server/engine/catalog_state.h"

#include <set>
#include <utility>

#include "absl/strings/str_join.h"
#include "base/strings.h"
#include "server/engine/catalog_windows.h"

namespace fletch {
namespace {

// "view@v2:field" -> "view@v2".
std::string_view ViewOf(std::string_view resolved) {
  return resolved.substr(0, resolved.find(':'));
}

template <typename Stored>
std::optional<AnyView> FindIn(const Versions<Stored>& all, std::string_view view_ref) {
  const size_t at = view_ref.find('@');
  const auto found = all.find(view_ref.substr(0, at));
  if (found == all.end()) return std::nullopt;
  if (at == std::string_view::npos) return AnyView(found->second.back()->view);
  for (const auto& stored : found->second) {
    if (VersionedName(AnyView(stored->view)) == view_ref) return AnyView(stored->view);
  }
  return std::nullopt;
}

template <typename Stored>
std::vector<std::string> VersionsOf(const Versions<Stored>& all, std::string_view name) {
  std::vector<std::string> names;
  const auto found = all.find(name);
  if (found == all.end()) return names;
  for (const auto& stored : found->second) names.push_back(VersionedName(AnyView(stored->view)));
  return names;
}

}  // namespace

std::shared_ptr<const StoredView> MakeStoredView(std::string_view project,
                                                 const StoredEntity& entity, v1::FeatureView spec,
                                                 ViewSchema schema, ViewId view_id,
                                                 uint64_t version) {
  schema.view_id = view_id;
  schema.entity_id = entity.id;
  schema.project = std::string(project);
  schema.version = version;
  RowLayout layout(schema.fields);
  auto stored = std::make_shared<StoredView>();
  spec.set_version(version);
  stored->spec = std::move(spec);
  stored->view = std::make_shared<const View>(View{std::move(schema), std::move(layout)});
  return stored;
}

std::shared_ptr<const StoredService> MakeStoredService(v1::FeatureService spec,
                                                       std::vector<v1::Binding> pinned_bindings) {
  Service service;
  service.name = spec.name();
  service.refs = {spec.features().begin(), spec.features().end()};
  std::set<std::string_view> aliases;
  for (const v1::Binding& binding : pinned_bindings) {
    aliases.insert(binding.alias());
    service.pinned.bindings.push_back(
        {binding.alias(),
         binding.feature_view(),
         {binding.join_key_map().begin(), binding.join_key_map().end()}});
  }
  for (int i = 0; i < spec.features_size(); ++i) {
    const bool bound = aliases.contains(ViewOf(spec.features(i)));
    service.pinned.features.push_back(bound ? spec.features(i) : spec.resolved_features(i));
  }
  auto stored = std::make_shared<StoredService>();
  stored->spec = std::move(spec);
  stored->pinned_bindings = std::move(pinned_bindings);
  stored->service = std::make_shared<const Service>(std::move(service));
  return stored;
}

std::shared_ptr<const StoredAggregationView> MakeStoredAggregationView(std::string_view project,
                                                                       v1::AggregationView spec,
                                                                       AggregationView view,
                                                                       uint64_t version) {
  view.project = std::string(project);
  view.version = version;
  auto stored = std::make_shared<StoredAggregationView>();
  stored->spec = ResolvedSpec(std::move(spec), view);
  stored->view = std::make_shared<const AggregationView>(std::move(view));
  return stored;
}

std::shared_ptr<const StoredOnDemandView> MakeStoredOnDemandView(std::string_view project,
                                                                 v1::OnDemandFeatureView spec,
                                                                 std::vector<size_t> field_counts,
                                                                 OnDemandView view,
                                                                 uint64_t version) {
  view.project = std::string(project);
  view.version = version;
  spec.set_version(version);
  auto stored = std::make_shared<StoredOnDemandView>();
  stored->spec = std::move(spec);
  stored->field_counts = std::move(field_counts);
  stored->view = std::make_shared<const OnDemandView>(std::move(view));
  return stored;
}

std::optional<AnyView> FindVersion(const ProjectState& project, std::string_view view_ref) {
  if (auto view = FindIn(project.views, view_ref)) return view;
  if (auto view = FindIn(project.aggregation_views, view_ref)) return view;
  return FindIn(project.on_demand_views, view_ref);
}

v1::ObjectKind KindOfView(const ProjectState& project, std::string_view name) {
  if (project.views.contains(name)) return v1::FEATURE_VIEW;
  if (project.aggregation_views.contains(name)) return v1::AGGREGATION_VIEW;
  if (project.on_demand_views.contains(name)) return v1::ON_DEMAND_FEATURE_VIEW;
  return v1::OBJECT_KIND_UNSPECIFIED;
}

std::string_view KindWords(v1::ObjectKind kind) {
  switch (kind) {
    case v1::PROJECT:
      return "project";
    case v1::ENTITY:
      return "entity";
    case v1::FEATURE_VIEW:
      return "feature view";
    case v1::FEATURE_SERVICE:
      return "feature service";
    case v1::AGGREGATION_VIEW:
      return "aggregation view";
    case v1::ON_DEMAND_FEATURE_VIEW:
      return "on-demand feature view";
    case v1::TRAINING_SET:
      return "training set";
    default:
      return "view";
  }
}

std::string DescribeMissing(const ProjectState& project, v1::ObjectKind kind,
                            std::string_view view_ref) {
  const std::string_view name = view_ref.substr(0, view_ref.find('@'));
  const v1::ObjectKind found = KindOfView(project, name);
  std::string text =
      StrCat("project ", project.spec.name(), " has no ", KindWords(kind), " \"", view_ref, "\"");
  if (found == v1::OBJECT_KIND_UNSPECIFIED) return text;
  if (kind != v1::OBJECT_KIND_UNSPECIFIED && kind != found) {
    return StrCat(text, "; ", name, found == v1::FEATURE_VIEW ? " is a " : " is an ",
                  KindWords(found));
  }
  std::vector<std::string> versions = VersionsOf(project.views, name);
  if (versions.empty()) versions = VersionsOf(project.aggregation_views, name);
  if (versions.empty()) versions = VersionsOf(project.on_demand_views, name);
  return StrCat(text, "; it has ", absl::StrJoin(versions, ", "));
}

void RenewSources(ProjectState* project) {
  for (auto& [name, versions] : project->aggregation_views) {
    for (auto& stored : versions) {
      const ViewSchema& schema = stored->view->source->schema;
      const auto& current = project->views.find(schema.name)->second[schema.version - 1]->view;
      if (current == stored->view->source) continue;
      AggregationView view = *stored->view;
      view.source = current;
      stored = MakeStoredAggregationView(schema.project, stored->spec, std::move(view),
                                         stored->view->version);
    }
  }
}

void RenewInputs(ProjectState* project) {
  const auto renewed = [project](const OnDemandView::Input& input) {
    return *InputOf(*FindVersion(*project, input.versioned_name()));
  };
  for (auto& [name, versions] : project->on_demand_views) {
    for (auto& stored : versions) {
      OnDemandView view = *stored->view;
      bool changed = false;
      for (OnDemandView::Input& input : view.inputs) {
        OnDemandView::Input now = renewed(input);
        changed = changed || now.view != input.view || now.windows != input.windows;
        input = std::move(now);
      }
      if (!changed) continue;
      const std::string project_name = view.project;
      const uint64_t version = view.version;
      stored = MakeStoredOnDemandView(project_name, stored->spec, stored->field_counts,
                                      std::move(view), version);
    }
  }
}

}  // namespace fletch
