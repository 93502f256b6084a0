// SPDX-License-Identifier: Apache-2.0
// Takes everything that is stored of an entity away for good, and leaves a receipt.
#ifndef FLETCH_SERVER_ENGINE_ERASURE_H_
#define FLETCH_SERVER_ENGINE_ERASURE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/call.h"
#include "fletch/v1/ingest.pb.h"
#include "server/engine/catalog.h"
#include "server/engine/collections.h"
#include "server/engine/commit_pipeline.h"
#include "server/engine/erasure_ledger.h"
#include "server/engine/event_index.h"
#include "server/engine/field_indexes.h"
#include "server/engine/key_hash.h"
#include "server/engine/maintenance.h"
#include "server/engine/training_set_store.h"
#include "storage/kv_store.h"
#include "storage/online_table.h"

namespace fletch {

// Whose erasure it is. All outlive the erasures.
struct ErasureTargets {
  KvStore* store;
  const Catalog* catalog;
  const KeyHasher* hasher;
  TrainingSetStore* training_sets;
  OnlineTable* online;
  FieldIndexes* field_indexes;
  Collections* collections;
  EventIndex* events;
  Maintenance* maintenance;
  CommitPipeline* pipeline;
};

// Thread-safe.
//
// The order of one erasure, each step durable before the next: the key is noted as under way; rows
// of training sets' spines go; the receipt enters the ledger with its commit number; facts and
// latest rows go; the note goes. A stop in between is made good at the next open. A failure in
// between (a full disk) is made good before the next write: until then no write of the key can
// be taken for a new beginning, and maintenance rests. So after an error the key may be erased or
// not yet be, but it is never half there for good.
class Erasures {
 public:
  // Reads what is under way. Call FinishUnfinished before the first write.
  static absl::StatusOr<std::unique_ptr<Erasures>> Open(const ErasureTargets& targets);

  // One receipt a key, in order. `keys` are encoded. Each key is a commit of its own; on an error
  // (DEADLINE_EXCEEDED and CANCELLED between keys; as KvStore::Write) the keys before it are erased
  // and have their receipts in the ledger. Blocks.
  absl::StatusOr<v1::EraseResponse> Erase(const std::string& project, const std::string& entity,
                                          EntityId entity_id, const std::vector<std::string>& keys,
                                          const Call& call);

  // Makes good what failed or was cut off. Commit thread, or before it has work.
  absl::Status FinishUnfinished();
  // Whether there is such a thing. Cheap.
  bool unfinished() const { return unfinished_flag_.load(); }

 private:
  explicit Erasures(const ErasureTargets& targets) : to_(targets) {}
  absl::StatusOr<v1::EraseReceipt> EraseOne(PendingErasure pending);
  absl::Status Note(PendingErasure* pending);
  absl::Status EraseInSets(TrainingSetStore::Erasure* sets, PendingErasure* pending);
  absl::StatusOr<v1::EraseReceipt> Complete(const PendingErasure& pending);
  absl::Status EraseFacts(const PendingErasure& pending);
  std::vector<std::shared_ptr<const View>> ViewsOf(EntityId entity_id) const;

  const ErasureTargets to_;
  std::atomic<bool> unfinished_flag_{false};
  // Of the commit thread alone.
  std::vector<PendingErasure> unfinished_;
  uint64_t last_id_ = 0;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_ERASURE_H_
