// SPDX-License-Identifier: Apache-2.0
#include "server/engine/feature_plan.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_join.h"
#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/catalog_spec.h"
#include "storage/entity_key.h"

namespace fletch {
namespace {

// What may stand before the colon of a ref, other than a view's own name.
struct BoundView {
  std::shared_ptr<const View> view;
  std::vector<std::string> key_columns;  // in join-key order
};

std::string ListNames(const std::vector<std::string>& names) { return absl::StrJoin(names, ", "); }

std::vector<std::string> JoinKeyNames(const View& view) {
  std::vector<std::string> names;
  for (const KeyFieldSchema& key : view.schema.join_keys) names.push_back(key.name);
  return names;
}

class PlanBuilder {
 public:
  PlanBuilder(const CatalogSnapshot& catalog, std::string_view project)
      : catalog_(catalog), project_(project), plan_(std::make_shared<FeaturePlan>()) {
    plan_->catalog_revision = catalog.revision();
  }

  // `check_alias`: refuse an alias that a view has; a service's were checked when it was applied,
  // and a view that came later must not break it.
  absl::Status AddBinding(const BindingSpec& binding, bool check_alias, std::string_view path);
  absl::Status AddFeature(std::string_view pinned, const std::string& ref, std::string_view path);
  absl::StatusOr<std::shared_ptr<const FeaturePlan>> Finish() &&;

 private:
  absl::StatusOr<BoundView> FindBound(std::string_view name, std::string_view path) const;
  absl::StatusOr<PlanGroup*> FindGroup(const BoundView& bound, std::string_view path);
  absl::StatusOr<size_t> FindKeySlot(const KeyFieldSchema& key, const std::string& column,
                                     const View& view, std::string_view path);

  const CatalogSnapshot& catalog_;
  const std::string_view project_;
  std::shared_ptr<FeaturePlan> plan_;
  absl::flat_hash_map<std::string, BoundView> aliases_;
  std::set<std::string, std::less<>> refs_;
};

absl::Status PlanBuilder::AddBinding(const BindingSpec& binding, bool check_alias,
                                     std::string_view path) {
  const std::string alias_path = StrCat(path, ".alias");
  RETURN_IF_ERROR(CheckName(binding.alias, alias_path));
  if (aliases_.contains(binding.alias)) {
    return InvalidArgument(StrCat("the alias \"", binding.alias, "\" is used twice"), alias_path);
  }
  if (check_alias && catalog_.FindView(project_, binding.alias).ok()) {
    return InvalidArgument(
        StrCat("\"", binding.alias, "\" is the name of a feature view; choose another alias"),
        alias_path);
  }
  auto view = catalog_.FindView(project_, binding.feature_view);
  if (!view.ok()) return NotFound(FromAbsl(view.status().message()), StrCat(path, ".feature_view"));
  BoundView bound{*view, JoinKeyNames(**view)};
  for (const auto& [key, column] : binding.join_key_map) {
    const std::string map_path = StrCat(path, ".join_key_map.", key);
    const std::vector<std::string> names = JoinKeyNames(**view);
    const auto found = std::find(names.begin(), names.end(), key);
    if (found == names.end()) {
      return InvalidArgument(StrCat("\"", key, "\" is no join key of ", (*view)->schema.entity,
                                    "; it has ", ListNames(names)),
                             map_path);
    }
    if (column.empty()) return InvalidArgument("the key column's name is missing", map_path);
    bound.key_columns[found - names.begin()] = column;
  }
  aliases_.emplace(binding.alias, std::move(bound));
  return absl::OkStatus();
}

absl::StatusOr<BoundView> PlanBuilder::FindBound(std::string_view name,
                                                 std::string_view path) const {
  const auto alias = aliases_.find(ToAbsl(name));
  if (alias != aliases_.end()) return alias->second;
  auto view = catalog_.FindView(project_, name);
  if (view.ok()) return BoundView{*view, JoinKeyNames(**view)};
  // Only a view has versions; what has none may be meant as a role.
  const char* hint = name.find('@') != std::string_view::npos
                         ? ""
                         : "; aliases belong to a feature service, or to bindings of the request";
  return NotFound(StrCat(FromAbsl(view.status().message()), hint), path);
}

absl::StatusOr<size_t> PlanBuilder::FindKeySlot(const KeyFieldSchema& key,
                                                const std::string& column, const View& view,
                                                std::string_view path) {
  const auto [found, is_new] =
      plan_->key_slot_by_name.try_emplace(column, plan_->key_columns.size());
  if (is_new) {
    plan_->key_columns.push_back(column);
    plan_->key_fields.push_back({column, key.type});
  } else if (plan_->key_fields[found->second].type != key.type) {
    return InvalidArgument(
        StrCat("key column \"", column, "\" would be ",
               ValueTypeName(plan_->key_fields[found->second].type), " for one view and ",
               ValueTypeName(key.type), " for ", view.schema.versioned_name(),
               "; give one of them another name with a binding's join_key_map"),
        path);
  }
  return found->second;
}

absl::StatusOr<PlanGroup*> PlanBuilder::FindGroup(const BoundView& bound, std::string_view path) {
  const ViewSchema& schema = bound.view->schema;
  for (PlanGroup& group : plan_->groups) {
    if (group.entity_id == schema.entity_id && group.key_columns == bound.key_columns)
      return &group;
  }
  PlanGroup group;
  group.entity_id = schema.entity_id;
  group.join_keys = schema.join_keys;
  group.key_columns = bound.key_columns;
  for (size_t i = 0; i < bound.key_columns.size(); ++i) {
    ASSIGN_OR_RETURN(const size_t slot,
                     FindKeySlot(schema.join_keys[i], bound.key_columns[i], *bound.view, path));
    group.key_slots.push_back(slot);
  }
  plan_->groups.push_back(std::move(group));
  return &plan_->groups.back();
}

absl::Status PlanBuilder::AddFeature(std::string_view pinned, const std::string& ref,
                                     std::string_view path) {
  const size_t colon = pinned.find(':');
  if (colon == 0 || colon == std::string_view::npos || colon + 1 == pinned.size() ||
      pinned.find(':', colon + 1) != std::string_view::npos) {
    return InvalidArgument(
        StrCat("\"", ref, "\" is no feature ref; write view:field, view@v2:field or alias:field"),
        path);
  }
  if (!refs_.insert(ref).second)
    return InvalidArgument(StrCat("\"", ref, "\" is asked for twice"), path);
  ASSIGN_OR_RETURN(const BoundView bound, FindBound(pinned.substr(0, colon), path));
  const ViewSchema& schema = bound.view->schema;
  const std::string_view name = pinned.substr(colon + 1);
  const auto field =
      std::find_if(schema.fields.begin(), schema.fields.end(),
                   [&](const FieldSchema& candidate) { return candidate.name == name; });
  if (field == schema.fields.end()) {
    return NotFound(
        StrCat("feature view ", schema.versioned_name(), " has no field \"", name, "\""), path);
  }
  ASSIGN_OR_RETURN(PlanGroup* const group, FindGroup(bound, path));
  auto view = std::find_if(
      group->views.begin(), group->views.end(),
      [&](const PlanView& candidate) { return candidate.view->schema.view_id == schema.view_id; });
  if (view == group->views.end()) view = group->views.insert(view, PlanView{bound.view, {}, false});
  view->fields.push_back(
      {static_cast<size_t>(field - schema.fields.begin()), plan_->columns.size()});
  view->reads_vectors = view->reads_vectors || field->type.is_vector();
  plan_->reads_vectors = plan_->reads_vectors || field->type.is_vector();
  plan_->columns.push_back({ref, StrCat(schema.versioned_name(), ":", name), field->type});
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const FeaturePlan>> PlanBuilder::Finish() && {
  for (const std::string& key : plan_->key_columns) {
    if (refs_.contains(key)) {
      return InvalidArgument(
          StrCat("key column \"", key, "\" has the name of an output column; rename it"),
          "bindings");
    }
  }
  return std::shared_ptr<const FeaturePlan>(std::move(plan_));
}

absl::StatusOr<std::shared_ptr<const FeaturePlan>> PlanService(const CatalogSnapshot& catalog,
                                                               std::string_view project,
                                                               const Selection& selection) {
  if (!selection.features.empty()) {
    return InvalidArgument("features and feature_service are both given; use one of them",
                           "features");
  }
  if (!selection.bindings.empty()) {
    return InvalidArgument("a feature_service has its own bindings; leave these out", "bindings");
  }
  auto service = catalog.FindService(project, selection.feature_service);
  if (!service.ok()) return NotFound(FromAbsl(service.status().message()), "feature_service");
  PlanBuilder builder(catalog, project);
  const Selection& pinned = (*service)->pinned;
  for (const BindingSpec& binding : pinned.bindings) {
    RETURN_IF_ERROR(builder.AddBinding(binding, /*check_alias=*/false, "feature_service"));
  }
  for (size_t i = 0; i < pinned.features.size(); ++i) {
    RETURN_IF_ERROR(builder.AddFeature(pinned.features[i], (*service)->refs[i], "feature_service"));
  }
  return std::move(builder).Finish();
}

absl::Status CheckListSize(size_t size, size_t max, std::string_view path) {
  if (size <= max) return absl::OkStatus();
  return OutOfRange(StrCat("has ", size, " entries; at most ", max, " are allowed"), path);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const FeaturePlan>> MakeFeaturePlan(const CatalogSnapshot& catalog,
                                                                   std::string_view project,
                                                                   const Selection& selection) {
  RETURN_IF_ERROR(catalog.CheckProject(project));
  if (!selection.feature_service.empty()) return PlanService(catalog, project, selection);
  if (selection.features.empty()) {
    return InvalidArgument("is empty; name at least one feature, or a feature service", "features");
  }
  RETURN_IF_ERROR(
      CheckListSize(selection.features.size(), limits::kMaxFeaturesPerRequest, "features"));
  RETURN_IF_ERROR(CheckListSize(selection.bindings.size(), limits::kMaxBindings, "bindings"));
  PlanBuilder builder(catalog, project);
  for (size_t i = 0; i < selection.bindings.size(); ++i) {
    RETURN_IF_ERROR(builder.AddBinding(selection.bindings[i], /*check_alias=*/true,
                                       StrCat("bindings[", i, "]")));
  }
  for (size_t i = 0; i < selection.features.size(); ++i) {
    RETURN_IF_ERROR(builder.AddFeature(selection.features[i], selection.features[i],
                                       StrCat("features[", i, "]")));
  }
  return std::move(builder).Finish();
}

absl::StatusOr<BoundKeys> BindKeys(const FeaturePlan& plan, absl::Span<const NamedColumn> keys,
                                   size_t row_count, std::string_view path) {
  BoundKeys bound;
  std::vector<const Column*> slots(plan.key_columns.size(), nullptr);
  for (const NamedColumn& key : keys) {
    const std::string key_path = StrCat(path, ".", key.name);
    const auto found = plan.key_slot_by_name.find(key.name);
    if (found == plan.key_slot_by_name.end()) {
      return InvalidArgument(StrCat("\"", key.name, "\" is no key of these features; they take ",
                                    ListNames(plan.key_columns)),
                             key_path);
    }
    const Column*& slot = slots[found->second];
    if (slot != nullptr)
      return InvalidArgument(StrCat("\"", key.name, "\" is given twice"), key_path);
    slot = &key.column;
    const KeyFieldSchema& field = plan.key_fields[found->second];
    if (field.type == ValueType::kInt64 && key.column.type == DataType{.type = ValueType::kInt32}) {
      bound.widened.push_back(std::make_unique<Column>(key.column));
      CoerceColumn({.type = ValueType::kInt64}, bound.widened.back().get());
      slot = bound.widened.back().get();
    }
    RETURN_IF_ERROR(CheckKeyColumn(field, *slot, row_count, key_path));
  }
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i] != nullptr) continue;
    return InvalidArgument(
        StrCat("key column \"", plan.key_columns[i], "\" is missing; these features take ",
               ListNames(plan.key_columns)),
        StrCat(path, ".", plan.key_columns[i]));
  }
  for (const PlanGroup& group : plan.groups) {
    std::vector<const Column*>& columns = bound.groups.emplace_back();
    for (const size_t slot : group.key_slots) columns.push_back(slots[slot]);
  }
  return bound;
}

}  // namespace fletch
