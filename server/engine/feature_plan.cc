// SPDX-License-Identifier: Apache-2.0
#include "server/engine/feature_plan.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_join.h"
#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/catalog_spec.h"
#include "server/engine/window_plan.h"
#include "storage/entity_key.h"
#include "storage/row_codec.h"

namespace fletch {
namespace {

std::string ListNames(const std::vector<std::string>& names) {
  return names.empty() ? "none" : absl::StrJoin(names, ", ");
}

const std::vector<KeyFieldSchema>& JoinKeysOf(const AnyView& view) {
  if (const auto* on_demand = std::get_if<std::shared_ptr<const OnDemandView>>(&view))
    return (*on_demand)->join_keys;
  const auto* windows = std::get_if<std::shared_ptr<const AggregationView>>(&view);
  return windows != nullptr ? (*windows)->source->schema.join_keys
                            : std::get<std::shared_ptr<const View>>(view)->schema.join_keys;
}

// What may stand before the colon of a ref: a view with the columns that supply its join keys.
struct Role {
  explicit Role(AnyView read) : view(std::move(read)) {
    for (const KeyFieldSchema& key : JoinKeysOf(view)) {
      key_names.push_back(key.name);
      key_columns.push_back(key.name);
    }
  }

  AnyView view;
  std::vector<std::string> key_names;    // of an on-demand view: of all its inputs
  std::vector<std::string> key_columns;  // parallel
};

// A field of a view of any kind.
struct FoundField {
  size_t field = 0;
  DataType type;
};

absl::StatusOr<FoundField> FindField(const AnyView& view, std::string_view name,
                                     std::string_view path) {
  const auto input = InputOf(view);
  const auto* on_demand = std::get_if<std::shared_ptr<const OnDemandView>>(&view);
  const size_t count = on_demand != nullptr ? (*on_demand)->fields.size() : input->field_count();
  for (size_t i = 0; i < count; ++i) {
    const FieldSchema& field = on_demand != nullptr ? (*on_demand)->fields[i] : input->field(i);
    if (field.name == name) return FoundField{i, field.type};
  }
  constexpr std::string_view kKinds[] = {"feature view", "aggregation view",
                                         "on-demand feature view"};
  return NotFound(
      StrCat(kKinds[view.index()], " ", VersionedName(view), " has no field \"", name, "\""), path);
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
  absl::StatusOr<Role> FindRole(std::string_view name, std::string_view path) const;
  // The place where `input` is read with the role's keys; made when it is not there.
  absl::StatusOr<PlanView*> FindPlanView(const OnDemandView::Input& input, const Role& role,
                                         std::string_view path);
  absl::StatusOr<PlanGroup*> FindGroup(const OnDemandView::Input& input, const Role& role,
                                       std::string_view path);
  absl::StatusOr<size_t> FindKeySlot(const KeyFieldSchema& key, const std::string& column,
                                     std::string_view view, std::string_view path);
  absl::Status AddExpression(const std::shared_ptr<const OnDemandView>& view, const Role& role,
                             size_t field, std::string_view path);
  absl::Status AddContext(const OnDemandView& view, const FieldSchema& field,
                          std::string_view path);
  absl::Status FillInputs(const Role& role, PlanExpressions* expressions);
  size_t InputColumn(const OnDemandView::Input& input, size_t field, PlanView* view);

  const CatalogSnapshot& catalog_;
  const std::string_view project_;
  std::shared_ptr<FeaturePlan> plan_;
  absl::flat_hash_map<std::string, Role> aliases_;
  std::set<std::string, std::less<>> refs_;
  std::vector<Role> expression_roles_;       // parallel to plan_->expressions
  std::vector<std::string> context_owners_;  // parallel to plan_->context: who brought it in
};

absl::Status PlanBuilder::AddBinding(const BindingSpec& binding, bool check_alias,
                                     std::string_view path) {
  const std::string alias_path = StrCat(path, ".alias");
  RETURN_IF_ERROR(CheckName(binding.alias, alias_path));
  if (aliases_.contains(binding.alias)) {
    return InvalidArgument(StrCat("the alias \"", binding.alias, "\" is used twice"), alias_path);
  }
  if (check_alias && catalog_.FindAnyView(project_, binding.alias).ok()) {
    return InvalidArgument(
        StrCat("\"", binding.alias, "\" is the name of a view; choose another alias"), alias_path);
  }
  auto view = catalog_.FindAnyView(project_, binding.feature_view);
  if (!view.ok()) return NotFound(FromAbsl(view.status().message()), StrCat(path, ".feature_view"));
  Role role(*std::move(view));
  for (const auto& [key, column] : binding.join_key_map) {
    const std::string map_path = StrCat(path, ".join_key_map.", key);
    const auto found = std::find(role.key_names.begin(), role.key_names.end(), key);
    if (found == role.key_names.end()) {
      return InvalidArgument(StrCat("\"", key, "\" is no join key of ", VersionedName(role.view),
                                    "; it has ", ListNames(role.key_names)),
                             map_path);
    }
    if (column.empty()) return InvalidArgument("the key column's name is missing", map_path);
    role.key_columns[found - role.key_names.begin()] = column;
  }
  aliases_.emplace(binding.alias, std::move(role));
  return absl::OkStatus();
}

absl::StatusOr<Role> PlanBuilder::FindRole(std::string_view name, std::string_view path) const {
  const auto alias = aliases_.find(ToAbsl(name));
  if (alias != aliases_.end()) return alias->second;
  auto view = catalog_.FindAnyView(project_, name);
  if (view.ok()) return Role(*std::move(view));
  // Only a view has versions; what has none may be meant as a role.
  const char* hint = name.find('@') != std::string_view::npos
                         ? ""
                         : "; aliases belong to a feature service, or to bindings of the request";
  return NotFound(StrCat(FromAbsl(view.status().message()), hint), path);
}

absl::StatusOr<size_t> PlanBuilder::FindKeySlot(const KeyFieldSchema& key,
                                                const std::string& column, std::string_view view,
                                                std::string_view path) {
  const auto [found, is_new] =
      plan_->key_slot_by_name.try_emplace(column, plan_->key_columns.size());
  if (is_new) {
    plan_->key_columns.push_back(column);
    plan_->key_fields.push_back({column, key.type});
  } else if (plan_->key_fields[found->second].type != key.type) {
    return InvalidArgument(StrCat("key column \"", column, "\" would be ",
                                  ValueTypeName(plan_->key_fields[found->second].type),
                                  " for one view and ", ValueTypeName(key.type), " for ", view,
                                  "; give one of them another name with a binding's join_key_map"),
                           path);
  }
  return found->second;
}

absl::StatusOr<PlanGroup*> PlanBuilder::FindGroup(const OnDemandView::Input& input,
                                                  const Role& role, std::string_view path) {
  const ViewSchema& schema = input.schema();
  std::vector<std::string> key_columns;
  for (const KeyFieldSchema& key : schema.join_keys) {
    const auto found = std::find(role.key_names.begin(), role.key_names.end(), key.name);
    key_columns.push_back(role.key_columns[found - role.key_names.begin()]);
  }
  for (PlanGroup& group : plan_->groups) {
    if (group.entity_id == schema.entity_id && group.key_columns == key_columns) return &group;
  }
  PlanGroup group;
  group.entity_id = schema.entity_id;
  group.join_keys = schema.join_keys;
  for (size_t i = 0; i < key_columns.size(); ++i) {
    ASSIGN_OR_RETURN(const size_t slot, FindKeySlot(schema.join_keys[i], key_columns[i],
                                                    input.versioned_name(), path));
    group.key_slots.push_back(slot);
  }
  group.key_columns = std::move(key_columns);
  plan_->groups.push_back(std::move(group));
  return &plan_->groups.back();
}

absl::StatusOr<PlanView*> PlanBuilder::FindPlanView(const OnDemandView::Input& input,
                                                    const Role& role, std::string_view path) {
  ASSIGN_OR_RETURN(PlanGroup* const group, FindGroup(input, role, path));
  for (PlanView& view : group->views) {
    if (view.view == input.view && view.windows == input.windows) return &view;
  }
  PlanView& view = group->views.emplace_back();
  view.view = input.view;
  view.windows = input.windows;
  return &view;
}

absl::Status PlanBuilder::AddContext(const OnDemandView& view, const FieldSchema& field,
                                     std::string_view path) {
  for (size_t i = 0; i < plan_->context.size(); ++i) {
    const FieldSchema& other = plan_->context[i];
    if (other.name != field.name) continue;
    if (other.type == field.type) return absl::OkStatus();
    return InvalidArgument(
        StrCat("request column \"", field.name, "\" is ", DataTypeName(other.type), " for ",
               context_owners_[i], " and ", DataTypeName(field.type), " for ",
               view.versioned_name(), "; ask for them in two requests"),
        path);
  }
  plan_->context.push_back(field);
  context_owners_.push_back(view.versioned_name());
  return absl::OkStatus();
}

// Finds what the expression reads now, so that an error has the ref's path; the columns follow in
// FillInputs, when all that is asked for is known.
absl::Status PlanBuilder::AddExpression(const std::shared_ptr<const OnDemandView>& view,
                                        const Role& role, size_t field, std::string_view path) {
  size_t place = 0;
  while (place < plan_->expressions.size() &&
         (plan_->expressions[place].view != view ||
          expression_roles_[place].key_columns != role.key_columns)) {
    ++place;
  }
  if (place == plan_->expressions.size()) {
    plan_->expressions.emplace_back().view = view;
    expression_roles_.push_back(role);
  }
  PlanExpressions& expressions = plan_->expressions[place];
  expressions.fields.push_back({field, plan_->columns.size()});
  expressions.wanted.push_back(field);
  for (const size_t used : view->program->UsedInputs({field})) {
    const OnDemandView::Source& source = view->sources[used];
    if (source.input == OnDemandView::Source::kRequest) {
      RETURN_IF_ERROR(AddContext(*view, view->request[source.field], path));
    } else {
      RETURN_IF_ERROR(FindPlanView(view->inputs[source.input], role, path).status());
    }
  }
  return absl::OkStatus();
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
  ASSIGN_OR_RETURN(const Role role, FindRole(pinned.substr(0, colon), path));
  const std::string_view name = pinned.substr(colon + 1);
  ASSIGN_OR_RETURN(const FoundField found, FindField(role.view, name, path));
  if (const auto input = InputOf(role.view)) {
    ASSIGN_OR_RETURN(PlanView* const view, FindPlanView(*input, role, path));
    view->fields.push_back({found.field, plan_->columns.size()});
    view->reads_vectors = view->reads_vectors || found.type.is_vector();
    plan_->reads_vectors = plan_->reads_vectors || found.type.is_vector();
  } else {
    RETURN_IF_ERROR(AddExpression(std::get<std::shared_ptr<const OnDemandView>>(role.view), role,
                                  found.field, path));
  }
  plan_->columns.push_back({ref, StrCat(VersionedName(role.view), ":", name), found.type});
  return absl::OkStatus();
}

// The column that holds the field already, or a new hidden one.
size_t PlanBuilder::InputColumn(const OnDemandView::Input& input, size_t field, PlanView* view) {
  for (const PlanField& read : view->fields) {
    if (read.field == field) return read.column;
  }
  const size_t column = plan_->columns.size() + plan_->hidden.size();
  const FieldSchema& schema = input.field(field);
  const std::string resolved = StrCat(input.versioned_name(), ":", schema.name);
  plan_->hidden.push_back({resolved, resolved, schema.type});
  view->fields.push_back({field, column});
  return column;
}

absl::Status PlanBuilder::FillInputs(const Role& role, PlanExpressions* expressions) {
  const OnDemandView& view = *expressions->view;
  expressions->input_columns.assign(view.sources.size(), PlanExpressions::kUnused);
  expressions->input_slots.assign(view.sources.size(), PlanExpressions::kUnused);
  for (const size_t used : view.program->UsedInputs(expressions->wanted)) {
    const OnDemandView::Source& source = view.sources[used];
    if (source.input != OnDemandView::Source::kRequest) {
      const OnDemandView::Input& input = view.inputs[source.input];
      ASSIGN_OR_RETURN(PlanView* const read, FindPlanView(input, role, ""));
      expressions->input_columns[used] = InputColumn(input, source.field, read);
      continue;
    }
    const std::string& name = view.request[source.field].name;
    const auto slot = std::find_if(plan_->context.begin(), plan_->context.end(),
                                   [&](const FieldSchema& field) { return field.name == name; });
    expressions->input_slots[used] = slot - plan_->context.begin();
  }
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
  for (size_t i = 0; i < plan_->context.size(); ++i) {
    const std::string& name = plan_->context[i].name;
    if (!plan_->key_slot_by_name.contains(name)) continue;
    return InvalidArgument(
        StrCat("request column \"", name, "\" of ", context_owners_[i],
               " has the name of a key column; rename the key with a binding's join_key_map"),
        "bindings");
  }
  for (size_t i = 0; i < plan_->expressions.size(); ++i)
    RETURN_IF_ERROR(FillInputs(expression_roles_[i], &plan_->expressions[i]));
  for (PlanGroup& group : plan_->groups) {
    for (PlanView& view : group.views) {
      if (view.windows == nullptr) continue;
      std::set<size_t> wanted;
      for (const PlanField& field : view.fields) wanted.insert(field.field);
      view.window_plan = std::make_shared<const WindowPlan>(
          view.windows, std::vector<size_t>(wanted.begin(), wanted.end()));
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
  return MakePinnedPlan(catalog, project, **service, "feature_service");
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

absl::StatusOr<std::shared_ptr<const FeaturePlan>> MakePinnedPlan(const CatalogSnapshot& catalog,
                                                                  std::string_view project,
                                                                  const Service& service,
                                                                  std::string_view path) {
  PlanBuilder builder(catalog, project);
  for (const BindingSpec& binding : service.pinned.bindings) {
    RETURN_IF_ERROR(builder.AddBinding(binding, /*check_alias=*/false, path));
  }
  for (size_t i = 0; i < service.refs.size(); ++i) {
    RETURN_IF_ERROR(builder.AddFeature(service.pinned.features[i], service.refs[i], path));
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

absl::StatusOr<BoundContext> BindContext(const FeaturePlan& plan,
                                         absl::Span<const NamedColumn> context, size_t row_count,
                                         std::string_view path) {
  std::vector<std::string> names;
  for (const FieldSchema& field : plan.context) names.push_back(field.name);
  BoundContext bound;
  bound.columns.assign(names.size(), nullptr);
  for (const NamedColumn& given : context) {
    const std::string column_path = StrCat(path, ".", given.name);
    const size_t slot = std::find(names.begin(), names.end(), given.name) - names.begin();
    if (slot == names.size()) {
      return InvalidArgument(
          StrCat("\"", given.name, "\" is no request column of these features; they take ",
                 ListNames(names)),
          column_path);
    }
    const Column*& column = bound.columns[slot];
    if (column != nullptr)
      return InvalidArgument(StrCat("\"", given.name, "\" is given twice"), column_path);
    const FieldSchema& field = plan.context[slot];
    column = &given.column;
    if (given.column.type != field.type) {
      bound.widened.push_back(std::make_unique<Column>(given.column));
      CoerceColumn(field.type, bound.widened.back().get());
      column = bound.widened.back().get();
    }
    const size_t rows = given.column.row_count == 1 ? 1 : row_count;
    RETURN_IF_ERROR(CheckFieldColumn(field, *column, rows, column_path));
  }
  for (size_t i = 0; i < names.size(); ++i) {
    if (bound.columns[i] != nullptr) continue;
    return InvalidArgument(StrCat("request column \"", names[i],
                                  "\" is missing; these features take ", ListNames(names)),
                           StrCat(path, ".", names[i]));
  }
  return bound;
}

}  // namespace fletch
