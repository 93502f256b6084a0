// SPDX-License-Identifier: Apache-2.0
// Refs and bindings resolved to columns, once a plan: what online reads, training joins and
// hydration all run on.
#ifndef FLETCH_SERVER_ENGINE_FEATURE_PLAN_H_
#define FLETCH_SERVER_ENGINE_FEATURE_PLAN_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/engine/catalog.h"
#include "server/engine/types.h"

namespace fletch {

class WindowPlan;

// One field of one view that goes to one column of the answer.
struct PlanField {
  size_t field = 0;   // of the view
  size_t column = 0;  // of the answer
};

// A view read with one key: each of its fields that was asked for, or that an expression needs.
struct PlanView {
  std::shared_ptr<const View> view;                // stored rows; or
  std::shared_ptr<const AggregationView> windows;  // windows over events: exactly one is set
  std::vector<PlanField> fields;                   // of `windows`: field i is aggregation i
  std::shared_ptr<const WindowPlan> window_plan;   // of `windows`: the aggregations in `fields`
  bool reads_vectors = false;  // some field is a FLOAT_VECTOR: not in the online table

  const RowLayout& layout() const { return view != nullptr ? view->layout : windows->layout; }
};

// Views of one entity that take the same key columns: one look-up a row serves them all.
struct PlanGroup {
  EntityId entity_id = 0;
  std::vector<KeyFieldSchema> join_keys;  // the entity's
  std::vector<std::string> key_columns;   // parallel: the request's columns that supply them
  std::vector<size_t> key_slots;          // parallel: their places in FeaturePlan::key_columns
  std::vector<PlanView> views;
};

// An on-demand view in one role: which of its expressions, and where their inputs come from.
struct PlanExpressions {
  static constexpr size_t kUnused = SIZE_MAX;
  std::shared_ptr<const OnDemandView> view;
  std::vector<PlanField> fields;  // field: the expression
  std::vector<size_t> wanted;     // parallel to fields: the expressions
  // Parallel to the inputs of view->program. A column of the plan, or a slot of the request's
  // context; kUnused where neither.
  std::vector<size_t> input_columns;
  std::vector<size_t> input_slots;
};

struct PlanColumn {
  std::string ref;       // as asked
  std::string resolved;  // "view@v1:field"
  DataType type;
};

struct FeaturePlan {
  uint64_t catalog_revision = 0;
  std::vector<PlanColumn> columns;  // what was asked, in order
  // Columns columns.size() + i, read for expressions only and not answered.
  std::vector<PlanColumn> hidden;
  std::vector<PlanGroup> groups;
  std::vector<PlanExpressions> expressions;  // evaluated after the groups; none reads another
  std::vector<std::string> key_columns;      // all names the request must supply, each once
  std::vector<KeyFieldSchema> key_fields;    // parallel: with their types
  absl::flat_hash_map<std::string, size_t> key_slot_by_name;
  std::vector<FieldSchema> context;  // columns the request's context must supply, each once
  bool reads_vectors = false;
};

// NOT_FOUND names an unknown project, view, field or service. INVALID_ARGUMENT: no features, a ref
// that is not "view:field", a ref twice, both features and feature_service, a bad or repeated
// alias, an alias that equals a view's name, a join_key_map with a name that is no join key, one
// key column for an INT64 and a STRING key, an output column that equals a key column.
// OUT_OF_RANGE: more features or bindings than limits.h allows. Field paths: "features[i]",
// "bindings[i].alias", "feature_service".
absl::StatusOr<std::shared_ptr<const FeaturePlan>> MakeFeaturePlan(const CatalogSnapshot& catalog,
                                                                   std::string_view project,
                                                                   const Selection& selection);

// The plan of a service's selection, or of one that was pinned in the same way: views that came
// later and have the name of an alias do not break it. Errors as MakeFeaturePlan, field path
// `path`.
absl::StatusOr<std::shared_ptr<const FeaturePlan>> MakePinnedPlan(const CatalogSnapshot& catalog,
                                                                  std::string_view project,
                                                                  const Service& service,
                                                                  std::string_view path);

// The key columns of a request in the order of plan.groups[g].key_columns, checked (entity_key.h:
// CheckKeyColumn, with INT32 widened into `widened`). INVALID_ARGUMENT: a missing, unused or
// repeated name. Field path: `path`.NAME.
struct BoundKeys {
  std::vector<std::vector<const Column*>> groups;  // a group's columns, in join-key order
  std::vector<std::unique_ptr<Column>> widened;    // keeps them alive
};
absl::StatusOr<BoundKeys> BindKeys(const FeaturePlan& plan, absl::Span<const NamedColumn> keys,
                                   size_t row_count, std::string_view path);

// The context's columns in the order of plan.context, coerced to their types and checked; of
// row_count rows or of one. INVALID_ARGUMENT: a missing, unused or repeated name, or a column that
// does not fit its type. Field path: `path`.NAME.
struct BoundContext {
  std::vector<const Column*> columns;
  std::vector<std::unique_ptr<Column>> widened;  // keeps them alive
};
absl::StatusOr<BoundContext> BindContext(const FeaturePlan& plan,
                                         absl::Span<const NamedColumn> context, size_t row_count,
                                         std::string_view path);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_FEATURE_PLAN_H_
