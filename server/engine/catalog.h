// SPDX-License-Identifier: Apache-2.0
// What is declared: projects, entities, views in their versions, services. Persisted as one record
// in the meta family; readers hold an immutable snapshot.
#ifndef FLETCH_SERVER_ENGINE_CATALOG_H_
#define FLETCH_SERVER_ENGINE_CATALOG_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "fletch/v1/registry.pb.h"
#include "server/engine/types.h"
#include "server/engine/view.h"
#include "storage/kv_store.h"

namespace fletch {

// A service: its selection with every view pinned to the version it was applied with. Immutable.
struct Service {
  std::string name;
  Selection pinned;               // features and bindings, "view@vN" everywhere
  std::vector<std::string> refs;  // as written, parallel to pinned.features
};

// Everything at one revision. Immutable, thread-safe.
class CatalogSnapshot {
 public:
  virtual ~CatalogSnapshot() = default;
  virtual uint64_t revision() const = 0;
  // "view" (newest version) or "view@v2". NOT_FOUND names the project or the view (and its versions
  // when it has others).
  virtual absl::StatusOr<std::shared_ptr<const View>> FindView(std::string_view project,
                                                               std::string_view view_ref) const = 0;
  // The same of all three kinds of views, which share their names.
  virtual absl::StatusOr<AnyView> FindAnyView(std::string_view project,
                                              std::string_view view_ref) const = 0;
  // nullptr: not (any more) there.
  virtual std::shared_ptr<const View> FindViewById(ViewId view_id) const = 0;
  virtual absl::StatusOr<std::shared_ptr<const Service>> FindService(
      std::string_view project, std::string_view name) const = 0;
  // OK, or NOT_FOUND naming the project.
  virtual absl::Status CheckProject(std::string_view project) const = 0;
  // Every version of every view.
  virtual std::vector<std::shared_ptr<const View>> AllViews() const = 0;
  // Every version of every aggregation view.
  virtual std::vector<std::shared_ptr<const AggregationView>> AllAggregationViews() const = 0;
  // NOT_FOUND names it.
  virtual absl::StatusOr<std::pair<EntityId, std::vector<KeyFieldSchema>>> FindEntity(
      std::string_view project, std::string_view name) const = 0;
  // What reads what, without training sets. upstream and downstream of the object.
  virtual absl::StatusOr<v1::GetLineageResponse> GetLineage(
      const v1::GetLineageRequest& request) const = 0;
  // Objects for the RPCs.
  virtual absl::StatusOr<v1::GetResponse> Get(const v1::GetRequest& request) const = 0;
  virtual absl::StatusOr<v1::ListResponse> List(const v1::ListRequest& request) const = 0;
};

// Thread-safe; Apply and Delete run one at a time.
class Catalog {
 public:
  // Reads the stored record; an empty store is an empty catalog. DATA_LOSS when it cannot be read.
  static absl::StatusOr<std::unique_ptr<Catalog>> Open(KvStore* store);
  virtual ~Catalog() = default;

  virtual std::shared_ptr<const CatalogSnapshot> Snapshot() const = 0;

  // Who else reads a view besides services: names of the training sets that read "view@vN" of a
  // project. Asked before a breaking change and a deletion.
  using Readers =
      std::function<std::vector<std::string>(std::string_view project, std::string_view view_ref)>;

  // As RegistryService.Apply. Checks all names, types and limits of the specs (field paths
  // "objects[i].feature_view.fields[j].type"). Persisted (synced) before the snapshot changes.
  virtual absl::StatusOr<v1::ApplyResponse> Apply(const v1::ApplyRequest& request,
                                                  const Readers& training_sets) = 0;

  // As RegistryService.Delete. A view's facts and latest rows go in the same store batch. Returns
  // its views.
  struct Deleted {
    uint64_t revision = 0;
    std::vector<std::shared_ptr<const View>> views;
  };
  // FAILED_PRECONDITION names services, views and training sets that read it.
  virtual absl::StatusOr<Deleted> Delete(const v1::DeleteObjectRequest& request,
                                         const Readers& training_sets) = 0;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_CATALOG_H_
