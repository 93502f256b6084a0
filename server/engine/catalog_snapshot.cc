// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>
#include <variant>

#include "absl/strings/str_split.h"
#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/catalog_lineage.h"
#include "server/engine/catalog_spec.h"
#include "server/engine/catalog_state.h"

namespace fletch {
namespace {

constexpr uint64_t kDefaultPageSize = 100;

// By kind, then name, then version: the order of List.
using Position = std::tuple<int, std::string, uint64_t>;

struct Listed {
  Position position;
  std::variant<const v1::Project*, const v1::Entity*, const v1::FeatureView*,
               const v1::FeatureService*, const v1::AggregationView*,
               const v1::OnDemandFeatureView*>
      spec;
};

void SetSpec(const v1::Project& spec, v1::Object* out) { *out->mutable_project() = spec; }
void SetSpec(const v1::Entity& spec, v1::Object* out) { *out->mutable_entity() = spec; }
void SetSpec(const v1::FeatureView& spec, v1::Object* out) { *out->mutable_feature_view() = spec; }
void SetSpec(const v1::FeatureService& spec, v1::Object* out) {
  *out->mutable_feature_service() = spec;
}
void SetSpec(const v1::AggregationView& spec, v1::Object* out) {
  *out->mutable_aggregation_view() = spec;
}
void SetSpec(const v1::OnDemandFeatureView& spec, v1::Object* out) {
  *out->mutable_on_demand_feature_view() = spec;
}

// What a page token names: the list it belongs to and the last object that was sent.
std::string MakeToken(const v1::ListRequest& request, const Position& last) {
  return StrCat("1/", request.project(), "/", static_cast<int>(request.kind()), "/",
                std::get<0>(last), "/", std::get<1>(last), "/", std::get<2>(last));
}

absl::StatusOr<std::optional<Position>> ReadToken(const v1::ListRequest& request) {
  if (request.page_token().empty()) return std::optional<Position>();
  const std::vector<std::string> parts = absl::StrSplit(request.page_token(), '/');
  int kind = 0;
  uint64_t version = 0;
  if (parts.size() != 6 || !absl::SimpleAtoi(parts[3], &kind) ||
      !absl::SimpleAtoi(parts[5], &version) ||
      MakeToken(request, Position(kind, parts[4], version)) != request.page_token()) {
    return InvalidArgument(
        "is no token of this list; use next_page_token of a page with the same project and kind",
        "page_token");
  }
  return std::optional<Position>(Position(kind, parts[4], version));
}

template <typename Stored>
void ListVersions(v1::ObjectKind kind, const Versions<Stored>& all, std::vector<Listed>* out) {
  for (const auto& [name, versions] : all) {
    for (const auto& stored : versions)
      out->push_back({Position(kind, name, stored->spec.version()), &stored->spec});
  }
}

void ListProject(const ProjectState& project, std::vector<Listed>* out) {
  out->push_back({Position(v1::PROJECT, project.spec.name(), 0), &project.spec});
  for (const auto& [name, entity] : project.entities) {
    out->push_back({Position(v1::ENTITY, name, 0), &entity->spec});
  }
  ListVersions(v1::FEATURE_VIEW, project.views, out);
  for (const auto& [name, service] : project.services) {
    out->push_back({Position(v1::FEATURE_SERVICE, name, 0), &service->spec});
  }
  ListVersions(v1::AGGREGATION_VIEW, project.aggregation_views, out);
  ListVersions(v1::ON_DEMAND_FEATURE_VIEW, project.on_demand_views, out);
}

class Snapshot : public CatalogSnapshot {
 public:
  explicit Snapshot(CatalogState state) : state_(std::move(state)) {
    for (const auto& [project_name, project] : state_.projects) {
      auto& refs = views_by_ref_[project_name];
      AddRefs(project.views, &refs);
      AddRefs(project.aggregation_views, &refs);
      AddRefs(project.on_demand_views, &refs);
      for (const auto& [name, versions] : project.views) {
        for (const auto& stored : versions)
          views_by_id_[stored->view->schema.view_id] = stored->view;
      }
    }
  }

  uint64_t revision() const override { return state_.revision; }

  absl::StatusOr<std::shared_ptr<const View>> FindView(std::string_view project,
                                                       std::string_view view_ref) const override {
    return Find<std::shared_ptr<const View>>(project, v1::FEATURE_VIEW, view_ref);
  }

  absl::StatusOr<AnyView> FindAnyView(std::string_view project,
                                      std::string_view view_ref) const override {
    const auto refs = views_by_ref_.find(ToAbsl(project));
    if (refs == views_by_ref_.end()) return NoProject(project);
    const auto found = refs->second.find(ToAbsl(view_ref));
    if (found == refs->second.end()) return NoView(project, v1::OBJECT_KIND_UNSPECIFIED, view_ref);
    return found->second;
  }

  std::shared_ptr<const View> FindViewById(ViewId view_id) const override {
    const auto found = views_by_id_.find(view_id);
    return found == views_by_id_.end() ? nullptr : found->second;
  }

  absl::StatusOr<std::shared_ptr<const Service>> FindService(std::string_view project,
                                                             std::string_view name) const override {
    const auto found_project = state_.projects.find(project);
    if (found_project == state_.projects.end()) return NoProject(project);
    const auto found = found_project->second.services.find(name);
    if (found == found_project->second.services.end())
      return NoObject(project, "feature service", name);
    return found->second->service;
  }

  absl::Status CheckProject(std::string_view project) const override {
    return state_.projects.contains(project) ? absl::OkStatus() : NoProject(project);
  }

  std::vector<std::shared_ptr<const View>> AllViews() const override {
    std::vector<std::shared_ptr<const View>> views;
    for (const auto& [id, view] : views_by_id_) views.push_back(view);
    std::sort(views.begin(), views.end(),
              [](const auto& a, const auto& b) { return a->schema.view_id < b->schema.view_id; });
    return views;
  }

  std::vector<std::shared_ptr<const AggregationView>> AllAggregationViews() const override {
    std::vector<std::shared_ptr<const AggregationView>> views;
    for (const auto& [project_name, project] : state_.projects) {
      for (const auto& [name, versions] : project.aggregation_views) {
        for (const auto& stored : versions) views.push_back(stored->view);
      }
    }
    return views;
  }

  absl::StatusOr<std::pair<EntityId, std::vector<KeyFieldSchema>>> FindEntity(
      std::string_view project, std::string_view name) const override {
    const auto found_project = state_.projects.find(project);
    if (found_project == state_.projects.end()) return NoProject(project);
    const auto found = found_project->second.entities.find(name);
    if (found == found_project->second.entities.end()) return NoObject(project, "entity", name);
    return std::pair(found->second->id, MakeKeySchemas(found->second->spec.join_keys()));
  }

  absl::StatusOr<v1::GetLineageResponse> GetLineage(
      const v1::GetLineageRequest& request) const override;
  absl::StatusOr<v1::GetResponse> Get(const v1::GetRequest& request) const override;
  absl::StatusOr<v1::ListResponse> List(const v1::ListRequest& request) const override;

 private:
  static absl::Status NoProject(std::string_view project) {
    return NotFound(StrCat("there is no project \"", project, "\"; Apply makes it"), "project");
  }
  static absl::Status NoObject(std::string_view project, std::string_view kind,
                               std::string_view name) {
    return NotFound(StrCat("project ", project, " has no ", kind, " \"", name, "\""));
  }
  // REQUIRES: the project is there.
  absl::Status NoView(std::string_view project, v1::ObjectKind kind,
                      std::string_view view_ref) const {
    return NotFound(DescribeMissing(state_.projects.find(project)->second, kind, view_ref));
  }
  // A view of one kind.
  template <typename Pointer>
  absl::StatusOr<Pointer> Find(std::string_view project, v1::ObjectKind kind,
                               std::string_view view_ref) const {
    const auto refs = views_by_ref_.find(ToAbsl(project));
    if (refs == views_by_ref_.end()) return NoProject(project);
    const auto found = refs->second.find(ToAbsl(view_ref));
    const Pointer* const view =
        found == refs->second.end() ? nullptr : std::get_if<Pointer>(&found->second);
    if (view == nullptr) return NoView(project, kind, view_ref);
    return *view;
  }
  using Refs = absl::flat_hash_map<std::string, AnyView>;
  template <typename Stored>
  static void AddRefs(const Versions<Stored>& all, Refs* refs) {
    for (const auto& [name, versions] : all) {
      for (const auto& stored : versions)
        refs->insert_or_assign(VersionedName(AnyView(stored->view)), AnyView(stored->view));
      refs->insert_or_assign(name, AnyView(versions.back()->view));
    }
  }
  absl::StatusOr<LineageNode> FindNode(const v1::GetLineageRequest& request) const;

  const CatalogState state_;
  // project -> "view" and "view@vN".
  absl::flat_hash_map<std::string, Refs> views_by_ref_;
  absl::flat_hash_map<ViewId, std::shared_ptr<const View>> views_by_id_;
};

absl::StatusOr<v1::GetResponse> Snapshot::Get(const v1::GetRequest& request) const {
  const auto found_project = state_.projects.find(request.project());
  if (found_project == state_.projects.end()) return NoProject(request.project());
  const ProjectState& project = found_project->second;
  v1::GetResponse response;
  response.set_revision(state_.revision);
  v1::Object* object = response.mutable_object();
  switch (request.kind()) {
    case v1::PROJECT:
      if (!request.name().empty() && request.name() != request.project()) {
        return InvalidArgument("of a PROJECT is the project's own name, or empty", "name");
      }
      *object->mutable_project() = project.spec;
      return response;
    case v1::ENTITY: {
      const auto found = project.entities.find(request.name());
      if (found == project.entities.end())
        return NoObject(request.project(), "entity", request.name());
      *object->mutable_entity() = found->second->spec;
      return response;
    }
    case v1::FEATURE_VIEW: {
      ASSIGN_OR_RETURN(const std::shared_ptr<const View> view,
                       FindView(request.project(), request.name()));
      *object->mutable_feature_view() =
          project.views.find(view->schema.name)->second[view->schema.version - 1]->spec;
      return response;
    }
    case v1::FEATURE_SERVICE: {
      const auto found = project.services.find(request.name());
      if (found == project.services.end())
        return NoObject(request.project(), "feature service", request.name());
      *object->mutable_feature_service() = found->second->spec;
      return response;
    }
    case v1::AGGREGATION_VIEW: {
      ASSIGN_OR_RETURN(const auto view, Find<std::shared_ptr<const AggregationView>>(
                                            request.project(), request.kind(), request.name()));
      *object->mutable_aggregation_view() =
          project.aggregation_views.find(view->name)->second[view->version - 1]->spec;
      return response;
    }
    case v1::ON_DEMAND_FEATURE_VIEW: {
      ASSIGN_OR_RETURN(const auto view, Find<std::shared_ptr<const OnDemandView>>(
                                            request.project(), request.kind(), request.name()));
      *object->mutable_on_demand_feature_view() =
          project.on_demand_views.find(view->name)->second[view->version - 1]->spec;
      return response;
    }
    default:
      return InvalidArgument(
          "is missing or unknown; say PROJECT, ENTITY, FEATURE_VIEW, FEATURE_SERVICE, "
          "AGGREGATION_VIEW or ON_DEMAND_FEATURE_VIEW",
          "kind");
  }
}

absl::StatusOr<LineageNode> Snapshot::FindNode(const v1::GetLineageRequest& request) const {
  const auto found_project = state_.projects.find(request.project());
  if (found_project == state_.projects.end()) return NoProject(request.project());
  const ProjectState& project = found_project->second;
  switch (request.kind()) {
    case v1::ENTITY:
      if (!project.entities.contains(request.name()))
        return NoObject(request.project(), "entity", request.name());
      return LineageNode{request.kind(), request.name(), 0};
    case v1::FEATURE_SERVICE:
      if (!project.services.contains(request.name()))
        return NoObject(request.project(), "feature service", request.name());
      return LineageNode{request.kind(), request.name(), 0};
    case v1::FEATURE_VIEW:
    case v1::AGGREGATION_VIEW:
    case v1::ON_DEMAND_FEATURE_VIEW: {
      const auto found = FindVersion(project, request.name());
      if (found.has_value() && NodeOf(*found).kind == request.kind()) return NodeOf(*found);
      return NoView(request.project(), request.kind(), request.name());
    }
    default:
      return InvalidArgument(
          "is missing or unknown; say ENTITY, FEATURE_VIEW, FEATURE_SERVICE, AGGREGATION_VIEW or "
          "ON_DEMAND_FEATURE_VIEW",
          "kind");
  }
}

absl::StatusOr<v1::GetLineageResponse> Snapshot::GetLineage(
    const v1::GetLineageRequest& request) const {
  ASSIGN_OR_RETURN(const LineageNode node, FindNode(request));
  const auto fill = [](const LineageNode& from, bool direct, v1::LineageItem* out) {
    out->set_kind(from.kind);
    out->set_name(from.name);
    out->set_version(from.version);
    out->set_direct(direct);
  };
  const Lineage lineage(state_.projects.find(request.project())->second);
  v1::GetLineageResponse response;
  fill(node, false, response.mutable_object());
  for (const auto& [source, direct] : lineage.Upstream(node))
    fill(source, direct, response.add_upstream());
  for (const auto& [reader, direct] : lineage.Downstream(node))
    fill(reader, direct, response.add_downstream());
  return response;
}

absl::StatusOr<v1::ListResponse> Snapshot::List(const v1::ListRequest& request) const {
  if (!v1::ObjectKind_IsValid(request.kind())) return InvalidArgument("is unknown", "kind");
  if (request.kind() == v1::TRAINING_SET) {
    return InvalidArgument("training sets are listed by HistoricalService.ListTrainingSets",
                           "kind");
  }
  if (request.page_size() > limits::kMaxPageSize) {
    return OutOfRange(
        StrCat("is ", request.page_size(), "; at most ", limits::kMaxPageSize, " are allowed"),
        "page_size");
  }
  ASSIGN_OR_RETURN(const std::optional<Position> after, ReadToken(request));
  std::vector<Listed> all;
  if (!request.project().empty()) {
    const auto found = state_.projects.find(request.project());
    if (found == state_.projects.end()) return NoProject(request.project());
    ListProject(found->second, &all);
  } else if (request.kind() == v1::PROJECT) {
    for (const auto& [name, project] : state_.projects) {
      all.push_back({Position(v1::PROJECT, name, 0), &project.spec});
    }
  } else {
    return InvalidArgument("is missing; it may be empty for kind PROJECT only", "project");
  }
  const uint64_t page_size = request.page_size() == 0 ? kDefaultPageSize : request.page_size();
  v1::ListResponse response;
  response.set_revision(state_.revision);
  Position last;
  for (const Listed& listed : all) {
    if (request.kind() != v1::OBJECT_KIND_UNSPECIFIED &&
        std::get<0>(listed.position) != request.kind())
      continue;
    if (after.has_value() && listed.position <= *after) continue;
    if (static_cast<uint64_t>(response.objects_size()) == page_size) {
      response.set_next_page_token(MakeToken(request, last));
      break;
    }
    last = listed.position;
    std::visit([object = response.add_objects()](const auto* spec) { SetSpec(*spec, object); },
               listed.spec);
  }
  return response;
}

}  // namespace

std::shared_ptr<const CatalogSnapshot> MakeSnapshot(CatalogState state) {
  return std::make_shared<const Snapshot>(std::move(state));
}

}  // namespace fletch
