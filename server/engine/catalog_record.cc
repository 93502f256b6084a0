// SPDX-License-Identifier: Apache-2.0
// The catalog's contents as the record that is stored, and back.
#include <set>
#include <utility>
#include <variant>

#include "base/status.h"
#include "base/strings.h"
#include "server/engine/catalog_on_demand.h"
#include "server/engine/catalog_spec.h"
#include "server/engine/catalog_state.h"
#include "server/engine/catalog_windows.h"

namespace fletch {
namespace {

constexpr uint32_t kFormat = 1;

absl::Status Damaged(std::string_view what) {
  return DataLoss(StrCat("the stored catalog is damaged: ", what));
}

absl::Status LoadViews(const v1::ProjectRecord& record, ProjectState* project) {
  for (const v1::ViewRecord& view : record.views()) {
    const auto entity = project->entities.find(view.spec().entity());
    if (entity == project->entities.end()) {
      return Damaged(
          StrCat("view ", view.spec().name(), " is of unknown entity ", view.spec().entity()));
    }
    auto schema = MakeViewSchema(view.spec(), entity->second->spec, "feature_view");
    if (!schema.ok())
      return Damaged(StrCat("view ", view.spec().name(), ": ", schema.status().ToString()));
    auto& versions = project->views[view.spec().name()];
    if (view.spec().version() != versions.size() + 1) {
      return Damaged(StrCat("view ", view.spec().name(), " lacks version ", versions.size() + 1));
    }
    versions.push_back(MakeStoredView(record.spec().name(), *entity->second, view.spec(),
                                      *std::move(schema), view.view_id(), view.spec().version()));
  }
  return absl::OkStatus();
}

absl::Status LoadAggregationViews(const v1::ProjectRecord& record, ProjectState* project) {
  for (const v1::AggregationView& spec : record.aggregation_views()) {
    const auto source = FindVersion(*project, spec.resolved_source());
    if (!source.has_value() || !std::holds_alternative<std::shared_ptr<const View>>(*source)) {
      return Damaged(StrCat("aggregation view ", spec.name(), " reads unknown feature view ",
                            spec.resolved_source()));
    }
    auto view = MakeAggregationView(spec, std::get<std::shared_ptr<const View>>(*source),
                                    "aggregation_view");
    if (!view.ok())
      return Damaged(StrCat("aggregation view ", spec.name(), ": ", view.status().ToString()));
    auto& versions = project->aggregation_views[spec.name()];
    if (spec.version() != versions.size() + 1) {
      return Damaged(
          StrCat("aggregation view ", spec.name(), " lacks version ", versions.size() + 1));
    }
    versions.push_back(
        MakeStoredAggregationView(record.spec().name(), spec, *std::move(view), spec.version()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const StoredOnDemandView>> LoadOnDemandView(
    const v1::OnDemandRecord& record, const ProjectState& project) {
  const v1::OnDemandFeatureView& spec = record.spec();
  const std::string what = StrCat("on-demand feature view ", spec.name());
  if (record.field_counts_size() != spec.resolved_inputs_size())
    return Damaged(StrCat(what, " is not resolved"));
  std::vector<OnDemandView::Input> inputs;
  for (int i = 0; i < spec.resolved_inputs_size(); ++i) {
    const auto found = FindVersion(project, spec.resolved_inputs(i));
    auto input = found.has_value() ? InputOf(*found) : std::nullopt;
    if (!input.has_value())
      return Damaged(StrCat(what, " reads unknown view ", spec.resolved_inputs(i)));
    if (record.field_counts(i) > input->field_count()) {
      return Damaged(
          StrCat(what, " names ", record.field_counts(i), " fields of ", spec.resolved_inputs(i)));
    }
    inputs.push_back(*std::move(input));
  }
  std::vector<size_t> counts(record.field_counts().begin(), record.field_counts().end());
  auto view = MakeOnDemandView(spec, std::move(inputs), counts, "on_demand_feature_view");
  if (!view.ok()) return Damaged(StrCat(what, ": ", view.status().ToString()));
  return MakeStoredOnDemandView(project.spec.name(), spec, std::move(counts), *std::move(view),
                                spec.version());
}

absl::Status LoadOnDemandViews(const v1::ProjectRecord& record, ProjectState* project) {
  for (const v1::OnDemandRecord& on_demand : record.on_demand_views()) {
    ASSIGN_OR_RETURN(auto stored, LoadOnDemandView(on_demand, *project));
    auto& versions = project->on_demand_views[stored->spec.name()];
    if (stored->spec.version() != versions.size() + 1) {
      return Damaged(StrCat("on-demand feature view ", stored->spec.name(), " lacks version ",
                            versions.size() + 1));
    }
    versions.push_back(std::move(stored));
  }
  return absl::OkStatus();
}

absl::Status LoadServices(const v1::ProjectRecord& record, ProjectState* project) {
  for (const v1::ServiceRecord& service : record.services()) {
    if (service.spec().resolved_features_size() != service.spec().features_size() ||
        service.pinned_bindings_size() != service.spec().bindings_size()) {
      return Damaged(StrCat("service ", service.spec().name(), " is not resolved"));
    }
    project->services[service.spec().name()] = MakeStoredService(
        service.spec(), {service.pinned_bindings().begin(), service.pinned_bindings().end()});
  }
  return absl::OkStatus();
}

// Ids are what facts are found by, so one given twice would mix two views.
absl::Status CheckIds(const CatalogState& state) {
  std::set<EntityId> entity_ids;
  std::set<ViewId> view_ids;
  for (const auto& [project_name, project] : state.projects) {
    for (const auto& [name, entity] : project.entities) {
      if (entity->id == 0 || entity->id >= state.next_entity_id ||
          !entity_ids.insert(entity->id).second) {
        return Damaged(
            StrCat("entity ", name, " of project ", project_name, " has the bad id ", entity->id));
      }
    }
    for (const auto& [name, versions] : project.views) {
      for (const auto& stored : versions) {
        const ViewId id = stored->view->schema.view_id;
        if (id == 0 || id >= state.next_view_id || !view_ids.insert(id).second) {
          return Damaged(
              StrCat("view ", name, " of project ", project_name, " has the bad id ", id));
        }
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

v1::CatalogRecord ToRecord(const CatalogState& state) {
  v1::CatalogRecord record;
  record.set_format(kFormat);
  record.set_revision(state.revision);
  record.set_next_entity_id(state.next_entity_id);
  record.set_next_view_id(state.next_view_id);
  for (const auto& [project_name, project] : state.projects) {
    v1::ProjectRecord* out = record.add_projects();
    *out->mutable_spec() = project.spec;
    for (const auto& [name, entity] : project.entities) {
      v1::EntityRecord* entity_record = out->add_entities();
      entity_record->set_entity_id(entity->id);
      *entity_record->mutable_spec() = entity->spec;
    }
    for (const auto& [name, versions] : project.views) {
      for (const auto& stored : versions) {
        v1::ViewRecord* view_record = out->add_views();
        view_record->set_view_id(stored->view->schema.view_id);
        *view_record->mutable_spec() = stored->spec;
      }
    }
    for (const auto& [name, versions] : project.aggregation_views) {
      for (const auto& stored : versions) *out->add_aggregation_views() = stored->spec;
    }
    for (const auto& [name, versions] : project.on_demand_views) {
      for (const auto& stored : versions) {
        v1::OnDemandRecord* on_demand = out->add_on_demand_views();
        *on_demand->mutable_spec() = stored->spec;
        for (const size_t count : stored->field_counts) on_demand->add_field_counts(count);
      }
    }
    for (const auto& [name, service] : project.services) {
      v1::ServiceRecord* service_record = out->add_services();
      *service_record->mutable_spec() = service->spec;
      for (const v1::Binding& binding : service->pinned_bindings)
        *service_record->add_pinned_bindings() = binding;
    }
  }
  return record;
}

absl::StatusOr<CatalogState> FromRecord(const v1::CatalogRecord& record) {
  if (record.format() != kFormat) {
    return Damaged(StrCat("its format is ", record.format(), ", this version reads ", kFormat));
  }
  CatalogState state;
  state.revision = record.revision();
  state.next_entity_id = record.next_entity_id();
  state.next_view_id = record.next_view_id();
  for (const v1::ProjectRecord& stored : record.projects()) {
    ProjectState& project = state.projects[stored.spec().name()];
    project.spec = stored.spec();
    for (const v1::EntityRecord& entity : stored.entities()) {
      RETURN_IF_ERROR(CheckEntitySpec(entity.spec(), "entity").ok()
                          ? absl::OkStatus()
                          : Damaged(StrCat("entity ", entity.spec().name(), " is not valid")));
      project.entities[entity.spec().name()] =
          std::make_shared<const StoredEntity>(StoredEntity{entity.entity_id(), entity.spec()});
    }
    RETURN_IF_ERROR(LoadViews(stored, &project));
    RETURN_IF_ERROR(LoadAggregationViews(stored, &project));
    RETURN_IF_ERROR(LoadOnDemandViews(stored, &project));
    RETURN_IF_ERROR(LoadServices(stored, &project));
  }
  RETURN_IF_ERROR(CheckIds(state));
  return state;
}

}  // namespace fletch
