// SPDX-License-Identifier: Apache-2.0
#include "server/engine/catalog_state.h"

#include <set>
#include <utility>

#include "base/status.h"
#include "base/strings.h"
#include "server/engine/catalog_spec.h"

namespace fletch {
namespace {

constexpr uint32_t kFormat = 1;

// "view@v2:field" -> "view@v2".
std::string_view ViewOf(std::string_view resolved) {
  return resolved.substr(0, resolved.find(':'));
}

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

std::vector<std::string> ServicesReading(const ProjectState& project, std::string_view view,
                                         uint64_t below_version) {
  std::vector<std::string> names;
  const auto found = project.views.find(view);
  if (found == project.views.end()) return names;
  std::set<std::string, std::less<>> versioned;
  for (const auto& stored : found->second) {
    if (below_version == 0 || stored->spec.version() < below_version) {
      versioned.insert(stored->view->schema.versioned_name());
    }
  }
  for (const auto& [name, service] : project.services) {
    bool reads = false;
    for (const std::string& ref : service->spec.resolved_features())
      reads = reads || versioned.contains(ViewOf(ref));
    for (const v1::Binding& binding : service->pinned_bindings) {
      reads = reads || versioned.contains(binding.feature_view());
    }
    if (reads) names.push_back(name);
  }
  return names;
}

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
    RETURN_IF_ERROR(LoadServices(stored, &project));
  }
  RETURN_IF_ERROR(CheckIds(state));
  return state;
}

}  // namespace fletch
