// SPDX-License-Identifier: Apache-2.0
// The field indexes of all views, the dictionaries of their entities' keys, and the thread that
// keeps the orders.
#ifndef FLETCH_SERVER_ENGINE_FIELD_INDEXES_H_
#define FLETCH_SERVER_ENGINE_FIELD_INDEXES_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "server/engine/catalog.h"
#include "server/engine/dictionary.h"
#include "server/engine/field_index.h"
#include "storage/kv_store.h"
#include "storage/online_table.h"

namespace fletch {

// Find, Entities and bytes are thread-safe; Refresh, Apply and Erase belong to the commit thread
// (or to start, before there is one).
class FieldIndexes {
 public:
  // All outlive this.
  FieldIndexes(const KvStore* store, const OnlineTable* online, const Clock* clock)
      : store_(store), online_(online), clock_(clock) {}
  ~FieldIndexes() { StopMaintenance(); }

  // Makes what the catalog declares and is missing, filled from the latest rows (about 1 µs each
  // from the online table), and drops what it does not.
  absl::Status Refresh(const CatalogSnapshot& catalog);
  // An entity's latest changed; the online table has it already. `slot.row` may be without vectors.
  void Apply(const View& view, std::string_view entity_key, const OnlineSlot& slot);
  // An entity was erased: it passes for one that never was.
  void Erase(EntityId entity_id, std::string_view entity_key);

  // nullptr: the view has no indexed fields.
  std::shared_ptr<const FieldIndex> Find(ViewId view_id) const;
  // The entity's keys; made at the first call. Only the commit thread (or start) adds to it.
  std::shared_ptr<EntityDictionary> Entities(EntityId entity_id);
  // Of all indexes and dictionaries.
  uint64_t bytes() const;

  // Brings orders up to date. False: there was nothing to do.
  bool Maintain();
  // Starts the background thread.
  void StartMaintenance();
  // Ends it. Idempotent.
  void StopMaintenance();

 private:
  using Map = std::map<ViewId, std::shared_ptr<FieldIndex>>;
  absl::Status Fill(const View& view, EntityDictionary* entities, FieldIndex* index) const;
  absl::StatusOr<std::shared_ptr<FieldIndex>> Make(std::shared_ptr<const View> view,
                                                   std::vector<size_t> fields);
  void Renew(const FieldIndex& stale);
  std::shared_ptr<const Map> map() const;
  void Run();

  const KvStore* const store_;
  const OnlineTable* const online_;
  const Clock* const clock_;
  mutable Mutex mu_;
  CondVar wake_;
  std::shared_ptr<const Map> map_ ABSL_GUARDED_BY(mu_) = std::make_shared<Map>();
  std::map<EntityId, std::shared_ptr<EntityDictionary>> entities_ ABSL_GUARDED_BY(mu_);
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_FIELD_INDEXES_H_
