// SPDX-License-Identifier: Apache-2.0
#include "server/engine/catalog_apply.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_join.h"
#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/catalog_spec.h"
#include "server/engine/feature_plan.h"

namespace fletch {
namespace {

std::string_view KindName(v1::ObjectKind kind) {
  switch (kind) {
    case v1::PROJECT:
      return "project";
    case v1::ENTITY:
      return "entity";
    case v1::FEATURE_VIEW:
      return "feature_view";
    default:
      return "feature_service";
  }
}

// Kind and name of the object; kind unspecified when it holds none.
v1::PlannedChange Describe(const v1::Object& object) {
  v1::PlannedChange change;
  switch (object.object_case()) {
    case v1::Object::kProject:
      change.set_kind(v1::PROJECT);
      change.set_name(object.project().name());
      break;
    case v1::Object::kEntity:
      change.set_kind(v1::ENTITY);
      change.set_name(object.entity().name());
      break;
    case v1::Object::kFeatureView:
      change.set_kind(v1::FEATURE_VIEW);
      change.set_name(object.feature_view().name());
      break;
    case v1::Object::kFeatureService:
      change.set_kind(v1::FEATURE_SERVICE);
      change.set_name(object.feature_service().name());
      break;
    case v1::Object::OBJECT_NOT_SET:
      break;
  }
  return change;
}

bool SameBindings(const v1::FeatureService& a, const v1::FeatureService& b) {
  return std::equal(a.bindings().begin(), a.bindings().end(), b.bindings().begin(),
                    b.bindings().end(), [](const v1::Binding& x, const v1::Binding& y) {
                      return x.alias() == y.alias() && x.feature_view() == y.feature_view() &&
                             std::map<std::string, std::string>(x.join_key_map().begin(),
                                                                x.join_key_map().end()) ==
                                 std::map<std::string, std::string>(y.join_key_map().begin(),
                                                                    y.join_key_map().end());
                    });
}

template <typename Repeated>
bool SameTexts(const Repeated& a, const Repeated& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

// What differs between two services, in sentences.
std::vector<std::string> CompareServices(const StoredService& before, const StoredService& after) {
  std::vector<std::string> details;
  if (before.spec.description() != after.spec.description())
    details.push_back("the description changes");
  if (!SameTexts(before.spec.features(), after.spec.features()))
    details.push_back("the features change");
  if (!SameBindings(before.spec, after.spec)) details.push_back("the bindings change");
  if (!details.empty()) return details;
  for (int i = 0; i < after.spec.features_size(); ++i) {
    if (before.spec.resolved_features(i) == after.spec.resolved_features(i)) continue;
    details.push_back(StrCat("reads ", after.spec.resolved_features(i), " instead of ",
                             before.spec.resolved_features(i)));
  }
  if (!details.empty()) return details;
  for (size_t i = 0; i < after.pinned_bindings.size(); ++i) {
    const std::string& view = after.pinned_bindings[i].feature_view();
    if (before.pinned_bindings[i].feature_view() == view) continue;
    details.push_back(
        StrCat("binds ", view, " instead of ", before.pinned_bindings[i].feature_view()));
  }
  return details;
}

class Applier {
 public:
  Applier(const CatalogState& before, const v1::ApplyRequest& request)
      : before_(before), request_(request) {}

  absl::StatusOr<Applied> Run() &&;

 private:
  absl::Status CheckRequest();
  template <typename Function>
  absl::Status ForEach(v1::ObjectKind kind, Function apply);
  void Set(v1::PlannedChange* plan, v1::ChangeKind change, std::vector<std::string> details = {});
  absl::Status ApplyProject(const v1::Project& spec, std::string_view path,
                            v1::PlannedChange* plan);
  absl::Status ApplyEntity(const v1::Entity& spec, std::string_view path, v1::PlannedChange* plan);
  absl::Status ApplyView(const v1::FeatureView& spec, std::string_view path,
                         v1::PlannedChange* plan);
  absl::Status ApplyService(const CatalogSnapshot& snapshot, const v1::FeatureService& spec,
                            std::string_view path, v1::PlannedChange* plan);
  absl::Status CheckBreaking() const;

  const CatalogState& before_;
  const v1::ApplyRequest& request_;
  Applied applied_;
  ProjectState* project_ = nullptr;
};

absl::Status Applier::CheckRequest() {
  RETURN_IF_ERROR(CheckName(request_.project(), "project"));
  if (request_.expected_revision() != 0 && request_.expected_revision() != before_.revision) {
    return FailedPrecondition(
        "STALE_REVISION",
        StrCat("the registry is at revision ", before_.revision, " and not at ",
               request_.expected_revision(), " any more; read it again and repeat"),
        "expected_revision");
  }
  if (static_cast<size_t>(request_.objects_size()) > limits::kMaxObjectsPerApply) {
    return OutOfRange(StrCat("has ", request_.objects_size(), " entries; at most ",
                             limits::kMaxObjectsPerApply, " are allowed in one request"),
                      "objects");
  }
  std::set<std::pair<v1::ObjectKind, std::string>> seen;
  for (int i = 0; i < request_.objects_size(); ++i) {
    v1::PlannedChange change = Describe(request_.objects(i));
    const std::string path = StrCat("objects[", i, "]");
    if (change.kind() == v1::OBJECT_KIND_UNSPECIFIED) {
      return InvalidArgument(
          "is empty; it holds one of project, entity, feature_view, feature_service", path);
    }
    if (!seen.emplace(change.kind(), change.name()).second) {
      return InvalidArgument(
          StrCat("names ", KindName(change.kind()), " \"", change.name(), "\" a second time"),
          path);
    }
    applied_.changes.push_back(std::move(change));
  }
  return absl::OkStatus();
}

template <typename Function>
absl::Status Applier::ForEach(v1::ObjectKind kind, Function apply) {
  for (int i = 0; i < request_.objects_size(); ++i) {
    v1::PlannedChange* plan = &applied_.changes[i];
    if (plan->kind() != kind) continue;
    RETURN_IF_ERROR(apply(request_.objects(i), StrCat("objects[", i, "].", KindName(kind)), plan));
  }
  return absl::OkStatus();
}

void Applier::Set(v1::PlannedChange* plan, v1::ChangeKind change,
                  std::vector<std::string> details) {
  plan->set_change(change);
  for (std::string& detail : details) plan->add_details(std::move(detail));
  applied_.changed = applied_.changed || change != v1::UNCHANGED;
}

absl::Status Applier::ApplyProject(const v1::Project& spec, std::string_view path,
                                   v1::PlannedChange* plan) {
  RETURN_IF_ERROR(CheckProjectSpec(spec, path));
  if (spec.name() != request_.project()) {
    return InvalidArgument(StrCat("is \"", spec.name(), "\", the request's project is \"",
                                  request_.project(), "\"; apply one project at a time"),
                           StrCat(path, ".name"));
  }
  if (!before_.projects.contains(spec.name())) {
    Set(plan, v1::ADDED);
  } else if (project_->spec.description() != spec.description()) {
    Set(plan, v1::CHANGED, {"the description changes"});
  } else {
    Set(plan, v1::UNCHANGED);
  }
  project_->spec = spec;
  return absl::OkStatus();
}

absl::Status Applier::ApplyEntity(const v1::Entity& spec, std::string_view path,
                                  v1::PlannedChange* plan) {
  RETURN_IF_ERROR(CheckEntitySpec(spec, path));
  std::shared_ptr<const StoredEntity>& stored = project_->entities[spec.name()];
  if (stored == nullptr) {
    Set(plan, v1::ADDED);
    stored =
        std::make_shared<const StoredEntity>(StoredEntity{applied_.state.next_entity_id++, spec});
    return absl::OkStatus();
  }
  if (!SameKeys(stored->spec.join_keys(), spec.join_keys())) {
    return FailedPrecondition("BREAKING_CHANGE",
                              StrCat("the join keys of entity ", spec.name(), " are ",
                                     DescribeKeys(stored->spec.join_keys()), " and cannot become ",
                                     DescribeKeys(spec.join_keys()),
                                     ", not even with allow_breaking; apply a new entity under "
                                     "another name and views of it"),
                              StrCat(path, ".join_keys"));
  }
  if (stored->spec.description() == spec.description()) {
    Set(plan, v1::UNCHANGED);
    return absl::OkStatus();
  }
  Set(plan, v1::CHANGED, {"the description changes"});
  stored = std::make_shared<const StoredEntity>(StoredEntity{stored->id, spec});
  return absl::OkStatus();
}

absl::Status Applier::ApplyView(const v1::FeatureView& spec, std::string_view path,
                                v1::PlannedChange* plan) {
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
  const bool new_version = difference.change == v1::ADDED || difference.change == v1::BREAKING;
  const uint64_t version = new_version ? versions.size() + 1 : versions.size();
  Set(plan, difference.change, std::move(difference.details));
  plan->set_version(version);
  if (difference.change == v1::UNCHANGED) return absl::OkStatus();
  const ViewId id =
      new_version ? applied_.state.next_view_id++ : versions.back()->view->schema.view_id;
  auto stored =
      MakeStoredView(request_.project(), *entity->second, spec, std::move(schema), id, version);
  if (new_version) {
    versions.push_back(std::move(stored));
  } else {
    versions.back() = std::move(stored);
  }
  return absl::OkStatus();
}

absl::Status Applier::ApplyService(const CatalogSnapshot& snapshot, const v1::FeatureService& spec,
                                   std::string_view path, v1::PlannedChange* plan) {
  RETURN_IF_ERROR(CheckServiceSpec(spec, path));
  Selection selection;
  selection.features = {spec.features().begin(), spec.features().end()};
  std::vector<v1::Binding> pinned;
  for (const v1::Binding& binding : spec.bindings()) {
    selection.bindings.push_back({binding.alias(),
                                  binding.feature_view(),
                                  {binding.join_key_map().begin(), binding.join_key_map().end()}});
  }
  auto resolved = MakeFeaturePlan(snapshot, request_.project(), selection);
  if (!resolved.ok()) return PrefixField(resolved.status(), path);
  v1::FeatureService stored_spec = spec;
  stored_spec.clear_resolved_features();
  for (const PlanColumn& column : (*resolved)->columns)
    stored_spec.add_resolved_features(column.resolved);
  for (const v1::Binding& binding : spec.bindings()) {
    ASSIGN_OR_RETURN(const auto view,
                     snapshot.FindView(request_.project(), binding.feature_view()));
    pinned.push_back(binding);
    pinned.back().set_feature_view(view->schema.versioned_name());
  }
  auto stored = MakeStoredService(std::move(stored_spec), std::move(pinned));
  std::shared_ptr<const StoredService>& slot = project_->services[spec.name()];
  if (slot == nullptr) {
    Set(plan, v1::ADDED);
  } else {
    std::vector<std::string> details = CompareServices(*slot, *stored);
    const v1::ChangeKind change = details.empty() ? v1::UNCHANGED : v1::CHANGED;
    Set(plan, change, std::move(details));
  }
  slot = std::move(stored);
  return absl::OkStatus();
}

// The plan of the breaking changes as an error, unless they are allowed.
absl::Status Applier::CheckBreaking() const {
  if (request_.allow_breaking() || request_.dry_run()) return absl::OkStatus();
  std::string text;
  std::string field;
  for (size_t i = 0; i < applied_.changes.size(); ++i) {
    const v1::PlannedChange& change = applied_.changes[i];
    if (change.change() != v1::BREAKING) continue;
    const std::vector<std::string> readers =
        ServicesReading(before_.projects.find(request_.project())->second, change.name(), 0);
    if (field.empty()) field = StrCat("objects[", i, "].feature_view");
    text += StrCat(text.empty() ? "" : "; ", "feature view ", change.name(), ": ",
                   absl::StrJoin(change.details(), ", "), " (read by ",
                   readers.empty() ? "no feature service"
                                   : StrCat("feature services ", absl::StrJoin(readers, ", ")),
                   "; version ", change.version(), " would start empty)");
  }
  if (text.empty()) return absl::OkStatus();
  return FailedPrecondition(
      "BREAKING_CHANGE",
      StrCat("a breaking change: ", text,
             ". Say allow_breaking to make the new version; older "
             "versions stay, and services keep the version they were applied with"),
      field);
}

absl::StatusOr<Applied> Applier::Run() && {
  RETURN_IF_ERROR(CheckRequest());
  applied_.state = before_;
  const auto [found, is_new] = applied_.state.projects.try_emplace(request_.project());
  project_ = &found->second;
  project_->spec.set_name(request_.project());
  applied_.changed = is_new;
  RETURN_IF_ERROR(
      ForEach(v1::PROJECT, [this](const v1::Object& object, std::string_view path, auto* plan) {
        return ApplyProject(object.project(), path, plan);
      }));
  RETURN_IF_ERROR(
      ForEach(v1::ENTITY, [this](const v1::Object& object, std::string_view path, auto* plan) {
        return ApplyEntity(object.entity(), path, plan);
      }));
  RETURN_IF_ERROR(ForEach(v1::FEATURE_VIEW,
                          [this](const v1::Object& object, std::string_view path, auto* plan) {
                            return ApplyView(object.feature_view(), path, plan);
                          }));
  // Before the services: one that reads a removed field is a consequence and not the cause.
  RETURN_IF_ERROR(CheckBreaking());
  const std::shared_ptr<const CatalogSnapshot> snapshot = MakeSnapshot(applied_.state);
  RETURN_IF_ERROR(ForEach(v1::FEATURE_SERVICE,
                          [&](const v1::Object& object, std::string_view path, auto* plan) {
                            return ApplyService(*snapshot, object.feature_service(), path, plan);
                          }));
  for (v1::PlannedChange& change : applied_.changes) {
    if (change.change() != v1::BREAKING) continue;
    for (std::string& name : ServicesReading(*project_, change.name(), change.version())) {
      change.add_affected_services(std::move(name));
    }
  }
  if (applied_.changed) ++applied_.state.revision;
  return std::move(applied_);
}

absl::Status InUse(std::string_view what, std::string_view users, std::string_view advice) {
  return FailedPrecondition("IN_USE", StrCat(what, " is used by ", users, "; ", advice), "name");
}

absl::Status NoObject(const v1::DeleteObjectRequest& request, std::string_view kind) {
  return NotFound(
      StrCat("project ", request.project(), " has no ", kind, " \"", request.name(), "\""), "name");
}

absl::Status RemoveEntity(const v1::DeleteObjectRequest& request, ProjectState* project) {
  const auto found = project->entities.find(request.name());
  if (found == project->entities.end()) return NoObject(request, "entity");
  std::vector<std::string> users;
  for (const auto& [name, versions] : project->views) {
    for (const auto& stored : versions) {
      if (stored->spec.entity() == request.name())
        users.push_back(stored->view->schema.versioned_name());
    }
  }
  if (!users.empty()) {
    return InUse(StrCat("entity ", request.name()),
                 StrCat("feature views ", absl::StrJoin(users, ", ")), "delete them first");
  }
  project->entities.erase(found);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::shared_ptr<const View>>> RemoveView(
    const v1::DeleteObjectRequest& request, ProjectState* project) {
  if (request.name().find('@') != std::string::npos) {
    return InvalidArgument("a view is deleted with all its versions; leave the version out",
                           "name");
  }
  const auto found = project->views.find(request.name());
  if (found == project->views.end()) return NoObject(request, "feature view");
  const std::vector<std::string> users = ServicesReading(*project, request.name(), 0);
  if (!users.empty()) {
    return InUse(StrCat("feature view ", request.name()),
                 StrCat("feature services ", absl::StrJoin(users, ", ")),
                 "delete them or apply them without it first");
  }
  std::vector<std::shared_ptr<const View>> views;
  for (const auto& stored : found->second) views.push_back(stored->view);
  project->views.erase(found);
  return views;
}

absl::Status CheckEmpty(const ProjectState& project) {
  std::vector<std::string> users;
  for (const auto& [name, entity] : project.entities) users.push_back(StrCat("entity ", name));
  for (const auto& [name, versions] : project.views) users.push_back(StrCat("feature view ", name));
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

absl::StatusOr<Applied> ApplySpecs(const CatalogState& before, const v1::ApplyRequest& request) {
  return Applier(before, request).Run();
}

absl::StatusOr<Removed> RemoveObject(const CatalogState& before,
                                     const v1::DeleteObjectRequest& request) {
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
      RETURN_IF_ERROR(RemoveEntity(request, project));
      break;
    case v1::FEATURE_VIEW: {
      ASSIGN_OR_RETURN(removed.views, RemoveView(request, project));
      break;
    }
    case v1::FEATURE_SERVICE:
      if (project->services.erase(request.name()) == 0) return NoObject(request, "feature service");
      break;
    default:
      return InvalidArgument(
          "is missing or unknown; say PROJECT, ENTITY, FEATURE_VIEW or FEATURE_SERVICE", "kind");
  }
  ++removed.state.revision;
  return removed;
}

}  // namespace fletch
