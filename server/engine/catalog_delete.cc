// SPDX-License-Identifier: Apache-2.0
// What Delete takes out of the catalog's contents.
#include <set>
#include <utility>

#include "absl/strings/str_join.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/catalog_apply.h"
#include "server/engine/catalog_lineage.h"

namespace fletch {
namespace {

absl::Status InUse(std::string_view what, std::string_view users, std::string_view advice) {
  return FailedPrecondition("IN_USE", StrCat(what, " is used by ", users, "; ", advice), "name");
}

// FAILED_PRECONDITION naming what reads these nodes directly.
absl::Status CheckUnused(const v1::DeleteObjectRequest& request, const ProjectState& project,
                         const std::vector<LineageNode>& nodes,
                         const Catalog::Readers& training_sets) {
  const Lineage lineage(project);
  std::set<LineageNode> users;
  for (const LineageNode& node : nodes) {
    for (const auto& [reader, direct] : lineage.Downstream(node)) {
      if (direct) users.insert(reader);
    }
    if (node.version == 0) continue;
    for (std::string& name :
         training_sets(request.project(), StrCat(node.name, "@v", node.version)))
      users.insert({v1::TRAINING_SET, std::move(name), 0});
  }
  if (users.empty()) return absl::OkStatus();
  return InUse(StrCat(KindWords(request.kind()), " ", request.name()), DescribeReaders(users),
               "delete them or apply them without it first");
}

absl::Status RemoveEntity(const v1::DeleteObjectRequest& request,
                          const Catalog::Readers& training_sets, ProjectState* project) {
  const auto found = project->entities.find(request.name());
  if (found == project->entities.end()) {
    return NotFound(
        StrCat("project ", request.project(), " has no entity \"", request.name(), "\""), "name");
  }
  RETURN_IF_ERROR(CheckUnused(request, *project, {{v1::ENTITY, request.name(), 0}}, training_sets));
  project->entities.erase(found);
  return absl::OkStatus();
}

// All versions of a view of any kind.
template <typename Stored>
absl::StatusOr<std::vector<std::shared_ptr<const Stored>>> RemoveView(
    const v1::DeleteObjectRequest& request, const Catalog::Readers& training_sets,
    const ProjectState& project, Versions<Stored>* all) {
  if (request.name().find('@') != std::string::npos) {
    return InvalidArgument("a view is deleted with all its versions; leave the version out",
                           "name");
  }
  const auto found = all->find(request.name());
  if (found == all->end())
    return NotFound(DescribeMissing(project, request.kind(), request.name()), "name");
  std::vector<LineageNode> nodes;
  for (const auto& stored : found->second)
    nodes.push_back({request.kind(), request.name(), stored->spec.version()});
  RETURN_IF_ERROR(CheckUnused(request, project, nodes, training_sets));
  auto versions = std::move(found->second);
  all->erase(found);
  return versions;
}

absl::Status CheckEmpty(const ProjectState& project) {
  std::vector<std::string> users;
  for (const auto& [name, entity] : project.entities) users.push_back(StrCat("entity ", name));
  for (const auto& [name, versions] : project.views) users.push_back(StrCat("feature view ", name));
  for (const auto& [name, versions] : project.aggregation_views)
    users.push_back(StrCat("aggregation view ", name));
  for (const auto& [name, versions] : project.on_demand_views)
    users.push_back(StrCat("on-demand feature view ", name));
  for (const auto& [name, service] : project.services)
    users.push_back(StrCat("feature service ", name));
  if (users.empty()) return absl::OkStatus();
  constexpr size_t kNamed = 10;
  const size_t more = users.size() > kNamed ? users.size() - kNamed : 0;
  users.resize(users.size() - more);
  return InUse(StrCat("project ", project.spec.name()),
               StrCat(absl::StrJoin(users, ", "), more > 0 ? StrCat(" and ", more, " more") : ""),
               "delete what it holds first");
}

}  // namespace

absl::StatusOr<Removed> RemoveObject(const CatalogState& before,
                                     const v1::DeleteObjectRequest& request,
                                     const Catalog::Readers& training_sets) {
  Removed removed{before, {}};
  const auto found = removed.state.projects.find(request.project());
  if (found == removed.state.projects.end()) {
    return NotFound(StrCat("there is no project \"", request.project(), "\""), "project");
  }
  ProjectState* const project = &found->second;
  switch (request.kind()) {
    case v1::PROJECT:
      if (!request.name().empty() && request.name() != request.project()) {
        return InvalidArgument("of a PROJECT is the project's own name, or empty", "name");
      }
      RETURN_IF_ERROR(CheckEmpty(*project));
      removed.state.projects.erase(found);
      break;
    case v1::ENTITY:
      RETURN_IF_ERROR(RemoveEntity(request, training_sets, project));
      break;
    case v1::FEATURE_VIEW: {
      ASSIGN_OR_RETURN(const auto versions,
                       RemoveView(request, training_sets, *project, &project->views));
      for (const auto& stored : versions) removed.views.push_back(stored->view);
      break;
    }
    case v1::AGGREGATION_VIEW:
      RETURN_IF_ERROR(
          RemoveView(request, training_sets, *project, &project->aggregation_views).status());
      break;
    case v1::ON_DEMAND_FEATURE_VIEW:
      RETURN_IF_ERROR(
          RemoveView(request, training_sets, *project, &project->on_demand_views).status());
      break;
    case v1::FEATURE_SERVICE:
      if (project->services.erase(request.name()) == 0) {
        return NotFound(StrCat("project ", request.project(), " has no feature service \"",
                               request.name(), "\""),
                        "name");
      }
      break;
    default:
      return InvalidArgument(
          "is missing or unknown; say PROJECT, ENTITY, FEATURE_VIEW, FEATURE_SERVICE, "
          "AGGREGATION_VIEW or ON_DEMAND_FEATURE_VIEW",
          "kind");
  }
  ++removed.state.revision;
  return removed;
}

}  // namespace fletch
