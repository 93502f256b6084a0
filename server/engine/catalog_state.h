// SPDX-License-Identifier: Apache-2.0
// The catalog's contents at one revision: a value that Apply copies, changes and then publishes as
// a snapshot.
#ifndef FLETCH_SERVER_ENGINE_CATALOG_STATE_H_
#define FLETCH_SERVER_ENGINE_CATALOG_STATE_H_

#include <cstdint>
#include <map>
#include <memory>
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
struct StoredService {
  v1::FeatureService spec;  // with resolved_features
  std::vector<v1::Binding> pinned_bindings;
  std::shared_ptr<const Service> service;
};

struct ProjectState {
  v1::Project spec;
  std::map<std::string, std::shared_ptr<const StoredEntity>, std::less<>> entities;
  // Versions ascending; never empty.
  std::map<std::string, std::vector<std::shared_ptr<const StoredView>>, std::less<>> views;
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

// The names of the services that read `view`: in any version, or only in versions below
// `below_version` when it is not 0.
std::vector<std::string> ServicesReading(const ProjectState& project, std::string_view view,
                                         uint64_t below_version);

v1::CatalogRecord ToRecord(const CatalogState& state);
// DATA_LOSS, saying what, when the record contradicts itself.
absl::StatusOr<CatalogState> FromRecord(const v1::CatalogRecord& record);

std::shared_ptr<const CatalogSnapshot> MakeSnapshot(CatalogState state);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_CATALOG_STATE_H_
