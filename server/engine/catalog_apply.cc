// SPDX-License-Identifier: Apache-2.0
#include "server/engine/catalog_apply.h"

#include <utility>

#include "absl/strings/str_join.h"
#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/catalog_applier.h"
#include "server/engine/catalog_spec.h"
#include "server/engine/feature_plan.h"

namespace fletch {
namespace {

// As the member of Object is called, for field paths.
std::string_view KindName(v1::ObjectKind kind) {
  switch (kind) {
    case v1::PROJECT:
      return "project";
    case v1::ENTITY:
      return "entity";
    case v1::FEATURE_VIEW:
      return "feature_view";
    case v1::AGGREGATION_VIEW:
      return "aggregation_view";
    case v1::ON_DEMAND_FEATURE_VIEW:
      return "on_demand_feature_view";
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
    case v1::Object::kAggregationView:
      change.set_kind(v1::AGGREGATION_VIEW);
      change.set_name(object.aggregation_view().name());
      break;
    case v1::Object::kOnDemandFeatureView:
      change.set_kind(v1::ON_DEMAND_FEATURE_VIEW);
      change.set_name(object.on_demand_feature_view().name());
      break;
    case v1::Object::OBJECT_NOT_SET:
      break;
  }
  return change;
}

}  // namespace

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
          "is empty; it holds one of project, entity, feature_view, feature_service, "
          "aggregation_view, on_demand_feature_view",
          path);
    }
    if (!seen.emplace(change.kind(), change.name()).second) {
      return InvalidArgument(
          StrCat("names ", KindWords(change.kind()), " \"", change.name(), "\" a second time"),
          path);
    }
    applied_.changes.push_back(std::move(change));
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
                     snapshot.FindAnyView(request_.project(), binding.feature_view()));
    pinned.push_back(binding);
    pinned.back().set_feature_view(VersionedName(view));
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

// The objects of one kind, in the order of the request.
template <typename Function>
absl::Status Applier::ForEach(v1::ObjectKind kind, Function apply) {
  for (int i = 0; i < request_.objects_size(); ++i) {
    v1::PlannedChange* plan = &applied_.changes[i];
    if (plan->kind() != kind) continue;
    RETURN_IF_ERROR(apply(request_.objects(i), StrCat("objects[", i, "].", KindName(kind)), plan));
  }
  return absl::OkStatus();
}

Applier::Affected Applier::FindAffected(const Lineage& lineage,
                                        const v1::PlannedChange& change) const {
  Affected affected;
  std::set<std::string> training_sets;
  const auto ask = [&](const LineageNode& node) {
    const std::string ref = StrCat(node.name, "@v", node.version);
    for (std::string& name : training_sets_(request_.project(), ref))
      training_sets.insert(std::move(name));
  };
  for (uint64_t version = 1; version < change.version(); ++version) {
    const LineageNode node{change.kind(), change.name(), version};
    ask(node);
    for (const auto& [reader, direct] : lineage.Downstream(node)) {
      affected.readers.insert(reader);
      if (reader.version == 0) continue;
      ask(reader);
      if (direct) {
        affected.keepers.push_back(StrCat(reader.name, "@v", reader.version, " goes on reading ",
                                          node.name, "@v", node.version));
      }
    }
  }
  for (const std::string& name : training_sets)
    affected.readers.insert({v1::TRAINING_SET, name, 0});
  return affected;
}

// The plan of the breaking changes as an error, unless they are allowed.
absl::Status Applier::CheckBreaking() const {
  if (request_.allow_breaking() || request_.dry_run()) return absl::OkStatus();
  std::string text;
  std::string field;
  const Lineage lineage(*project_);
  for (size_t i = 0; i < applied_.changes.size(); ++i) {
    const v1::PlannedChange& change = applied_.changes[i];
    if (change.change() != v1::BREAKING) continue;
    if (field.empty()) field = StrCat("objects[", i, "].", KindName(change.kind()));
    text += StrCat(text.empty() ? "" : "; ", KindWords(change.kind()), " ", change.name(), ": ",
                   absl::StrJoin(change.details(), ", "), " (read by ",
                   DescribeReaders(FindAffected(lineage, change).readers), "; version ",
                   change.version(), " would ",
                   change.kind() == v1::FEATURE_VIEW ? "start empty" : "be made", ")");
  }
  if (text.empty()) return absl::OkStatus();
  return FailedPrecondition(
      "BREAKING_CHANGE",
      StrCat("a breaking change: ", text,
             ". Say allow_breaking to make the new version; older versions stay, and what reads "
             "them keeps the version it was applied with"),
      field);
}

void Applier::AddAffected() {
  const Lineage lineage(*project_);
  for (v1::PlannedChange& change : applied_.changes) {
    if (change.change() != v1::BREAKING) continue;
    const Affected affected = FindAffected(lineage, change);
    for (const std::string& detail : affected.keepers) change.add_details(detail);
    for (const LineageNode& reader : affected.readers) {
      if (reader.kind == v1::FEATURE_SERVICE) change.add_affected_services(reader.name);
      if (reader.kind == v1::TRAINING_SET) change.add_affected_training_sets(reader.name);
    }
  }
}

absl::Status Applier::ApplyDerived() {
  RenewSources(project_);
  RETURN_IF_ERROR(ForEach(v1::AGGREGATION_VIEW,
                          [this](const v1::Object& object, std::string_view path, auto* plan) {
                            return ApplyAggregationView(object.aggregation_view(), path, plan);
                          }));
  RenewInputs(project_);
  return ForEach(v1::ON_DEMAND_FEATURE_VIEW,
                 [this](const v1::Object& object, std::string_view path, auto* plan) {
                   return ApplyOnDemandView(object.on_demand_feature_view(), path, plan);
                 });
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
  const absl::Status derived = ApplyDerived();
  // First the breaking changes: what reads a removed field is a consequence and not the cause.
  RETURN_IF_ERROR(CheckBreaking());
  RETURN_IF_ERROR(derived);
  const std::shared_ptr<const CatalogSnapshot> snapshot = MakeSnapshot(applied_.state);
  RETURN_IF_ERROR(ForEach(v1::FEATURE_SERVICE,
                          [&](const v1::Object& object, std::string_view path, auto* plan) {
                            return ApplyService(*snapshot, object.feature_service(), path, plan);
                          }));
  AddAffected();
  if (applied_.changed) ++applied_.state.revision;
  return std::move(applied_);
}

absl::StatusOr<Applied> ApplySpecs(const CatalogState& before, const v1::ApplyRequest& request,
                                   const Catalog::Readers& training_sets) {
  return Applier(before, request, training_sets).Run();
}

}  // namespace fletch
