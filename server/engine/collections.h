// SPDX-License-Identifier: Apache-2.0
// The vector collections of all searchable fields, and the thread that keeps their graphs.
#ifndef FLETCH_SERVER_ENGINE_COLLECTIONS_H_
#define FLETCH_SERVER_ENGINE_COLLECTIONS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "server/engine/catalog.h"
#include "server/engine/dictionary.h"
#include "server/engine/vector_collection.h"
#include "storage/fact_store.h"
#include "storage/kv_store.h"

namespace fletch {

struct CollectionsOptions {
  // The dictionary of an entity's keys, which the commit thread alone adds to.
  std::function<std::shared_ptr<EntityDictionary>(EntityId)> entities;
  std::string folder = {};  // of rows and index files; empty: all is in memory, nothing is kept
  uint64_t newest_seq = std::numeric_limits<uint64_t>::max();  // the newest commit that is stored
  uint64_t budget_bytes = 4ull << 30;                          // of each, see CheckRoom
};

// Find and All are thread-safe; the others belong to the commit thread (or to start, before there
// is one).
class Collections {
 public:
  // `store` and `clock` outlive this.
  Collections(const KvStore* store, const Clock* clock, CollectionsOptions options)
      : store_(store), clock_(clock), options_(std::move(options)) {}
  ~Collections() { StopMaintenance(); }

  // At start: makes what the catalog declares, with what index files hold; files of others go.
  // Afterwards every latest row is to be applied.
  void Load(const CatalogSnapshot& catalog);
  // Makes what the catalog declares and is missing, filled from the latest rows, and drops what it
  // does not.
  absl::Status Refresh(const CatalogSnapshot& catalog);
  // An entity's latest changed.
  void Apply(const View& view, std::string_view entity_key, const Latest& latest);
  // An entity was erased: no search finds it any more, and no file holds it. UNAVAILABLE: a file
  // could not be deleted.
  absl::Status Erase(EntityId entity_id, std::string_view entity_key);
  // Whether vectors of these entities of the view may be applied: as VectorCollection.
  absl::Status CheckRoom(ViewId view_id, absl::Span<const std::string_view> entity_keys) const;
  bool IsSearchable(ViewId view_id) const;

  // nullptr: the field is not searchable, or was only just deleted.
  std::shared_ptr<VectorCollection> Find(ViewId view_id, size_t field) const;
  std::vector<std::shared_ptr<VectorCollection>> All() const;
  uint64_t file_bytes() const;  // of all index files

  // Starts the background thread. `applied_seq` is asked from it.
  void StartMaintenance(std::function<uint64_t()> applied_seq);
  // Ends it, after a last save of what is small. Idempotent.
  void StopMaintenance();

 private:
  using Map = std::map<std::pair<ViewId, size_t>, std::shared_ptr<VectorCollection>>;
  std::shared_ptr<VectorCollection> Make(const std::shared_ptr<const View>& view,
                                         size_t field) const;
  absl::Status Fill(const View& view, VectorCollection* collection) const;
  std::string FolderOf(ViewId view_id, size_t field) const;
  void DeleteOtherFolders(const Map& map) const;
  void Maintain(const std::function<uint64_t()>& applied_seq);
  std::shared_ptr<const Map> map() const;

  const KvStore* const store_;
  const Clock* const clock_;
  const CollectionsOptions options_;
  mutable Mutex mu_;
  CondVar wake_;
  std::shared_ptr<const Map> map_ ABSL_GUARDED_BY(mu_) = std::make_shared<Map>();
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_COLLECTIONS_H_
