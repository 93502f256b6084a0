// SPDX-License-Identifier: Apache-2.0
// The vector collections of all searchable fields, and the thread that keeps their graphs.
#ifndef FLETCH_SERVER_ENGINE_COLLECTIONS_H_
#define FLETCH_SERVER_ENGINE_COLLECTIONS_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "server/engine/catalog.h"
#include "server/engine/vector_collection.h"
#include "storage/fact_store.h"
#include "storage/kv_store.h"

namespace fletch {

// Find and All are thread-safe; Refresh, Apply and Erase belong to the commit thread (or to start,
// before there is one).
class Collections {
 public:
  Collections(const KvStore* store, const Clock* clock) : store_(store), clock_(clock) {}
  ~Collections() { StopMaintenance(); }

  // Makes what the catalog declares and is missing, filled from the latest rows, and drops what it
  // does not.
  absl::Status Refresh(const CatalogSnapshot& catalog);
  // An entity's latest changed.
  void Apply(const View& view, std::string_view entity_key, const Latest& latest);
  // An entity was erased: no search finds it any more.
  void Erase(EntityId entity_id, std::string_view entity_key);

  // nullptr: the field is not searchable, or was only just deleted.
  std::shared_ptr<VectorCollection> Find(ViewId view_id, size_t field) const;
  std::vector<std::shared_ptr<VectorCollection>> All() const;

  // Starts the background thread. `applied_seq` is asked from it.
  void StartMaintenance(std::function<uint64_t()> applied_seq);
  // Ends it. Idempotent.
  void StopMaintenance();

 private:
  using Map = std::map<std::pair<ViewId, size_t>, std::shared_ptr<VectorCollection>>;
  absl::Status Fill(const View& view, VectorCollection* collection) const;
  void Maintain(const std::function<uint64_t()>& applied_seq);
  std::shared_ptr<const Map> map() const;

  const KvStore* const store_;
  const Clock* const clock_;
  mutable Mutex mu_;
  CondVar wake_;
  std::shared_ptr<const Map> map_ ABSL_GUARDED_BY(mu_) = std::make_shared<Map>();
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_COLLECTIONS_H_
