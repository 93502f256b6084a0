// SPDX-License-Identifier: Apache-2.0
// The catalog's contents at one revision: a value that Apply copies, changes and then publishes as
// a snapshot.
#ifndef FLETCH_SERVER_ENGINE_CATALOG_STATE_H_
#define FLETCH_SERVER_ENGINE_CATALOG_STATE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fletch/v1/catalog_record.pb.h"
#include "server/engine/catalog.h"

namespace fletch {

// Everything below is immutable once made and shared between states.
struct StoredEntity {
  EntityId id = 0;
  v1::Entity spec;
};
struct StoredView {
  v1::FeatureView spec;  // with its version
  std::shared_ptr<const View> view;
};
struct StoredAggregationView {
  v1::AggregationView spec;  // as ResolvedSpec gives it
  std::shared_ptr<const AggregationView> view;
};
struct StoredOnDemandView {
  v1::OnDemandFeatureView spec;      // with version and resolved_inputs
  std::vector<size_t> field_counts;  // of its inputs, what its expressions may name
  std::shared_ptr<const OnDemandView> view;
};
struct StoredService {
  v1::FeatureService spec;  // with resolved_features
  std::vector<v1::Binding> pinned_bindings;
  std::shared_ptr<const Service> service;
};

// By name; versions ascending, never empty.
template <typename Stored>
using Versions = std::map<std::string, std::vector<std::shared_ptr<const Stored>>, std::less<>>;

// All views and aggregation views that others hold are those of the same state.
struct ProjectState {
  v1::Project spec;
  std::map<std::string, std::shared_ptr<const StoredEntity>, std::less<>> entities;
  Versions<StoredView> views;
  Versions<StoredAggregationView> aggregation_views;
  Versions<StoredOnDemandView> on_demand_views;
  std::map<std::string, std::shared_ptr<const StoredService>, std::less<>> services;
};

struct CatalogState {
  uint64_t revision = 0;
  EntityId next_entity_id = 1;
  ViewId next_view_id = 1;
  std::map<std::string, ProjectState, std::less<>> projects;
};

// A view's checked spec as a version of it. REQUIRES: `schema` was made from `spec` over `entity`.
std::shared_ptr<const StoredView> MakeStoredView(std::string_view project,
                                                 const StoredEntity& entity, v1::FeatureView spec,
                                                 ViewSchema schema, ViewId view_id,
                                                 uint64_t version);
// A service's spec with resolved_features and pinned bindings.
std::shared_ptr<const StoredService> MakeStoredService(v1::FeatureService spec,
                                                       std::vector<v1::Binding> pinned_bindings);

// A checked aggregation view, or on-demand view, as a version of it.
std::shared_ptr<const StoredAggregationView> MakeStoredAggregationView(std::string_view project,
                                                                       v1::AggregationView spec,
                                                                       AggregationView view,
                                                                       uint64_t version);
std::shared_ptr<const StoredOnDemandView> MakeStoredOnDemandView(std::string_view project,
                                                                 v1::OnDemandFeatureView spec,
                                                                 std::vector<size_t> field_counts,
                                                                 OnDemandView view,
                                                                 uint64_t version);

// Of a project: "view" (newest version) or "view@v2", of any kind; nullopt: there is none.
std::optional<AnyView> FindVersion(const ProjectState& project, std::string_view view_ref);
// The kind of the view that has this name, in any version; OBJECT_KIND_UNSPECIFIED: none has.
v1::ObjectKind KindOfView(const ProjectState& project, std::string_view name);
// "feature view", "on-demand feature view".
std::string_view KindWords(v1::ObjectKind kind);

// Why a ref was not found: "project demo has no feature view "x"; x is an aggregation view", or the
// versions there are. `kind` unspecified: of any kind.
std::string DescribeMissing(const ProjectState& project, v1::ObjectKind kind,
                            std::string_view view_ref);

// Lets aggregation views hold their sources, and on-demand views their inputs, as they are now:
// a compatible change has made these anew.
void RenewSources(ProjectState* project);
void RenewInputs(ProjectState* project);

// What differs between two services, in sentences; empty: nothing.
std::vector<std::string> CompareServices(const StoredService& before, const StoredService& after);

v1::CatalogRecord ToRecord(const CatalogState& state);
// DATA_LOSS, saying what, when the record contradicts itself.
absl::StatusOr<CatalogState> FromRecord(const v1::CatalogRecord& record);

std::shared_ptr<const CatalogSnapshot> MakeSnapshot(CatalogState state);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_CATALOG_STATE_H_
