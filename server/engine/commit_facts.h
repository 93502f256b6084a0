// SPDX-License-Identifier: Apache-2.0
// What the stored facts make of new ones, on the commit thread: partial updates become whole rows,
// writes behind a horizon and retractions of nothing are refused, and the newest fact of each
// entity becomes its latest.
#ifndef FLETCH_SERVER_ENGINE_COMMIT_FACTS_H_
#define FLETCH_SERVER_ENGINE_COMMIT_FACTS_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/horizon.h"
#include "server/engine/write_encoder.h"
#include "storage/fact_store.h"
#include "storage/kv_store.h"
#include "storage/online_table.h"

namespace fletch {

// Entities whose latest fact a group of commits changes.
struct LatestChange {
  const View* view;
  Latest latest;
};
using LatestChanges = absl::flat_hash_map<std::pair<ViewId, std::string>, LatestChange>;

bool IsRetraction(const EncodedWrite& write);

// Of the commit thread alone. All pointers outlive it.
class CommitFacts {
 public:
  CommitFacts(const KvStore* store, const OnlineTable* online, const Horizons* horizons)
      : store_(store), online_(online), horizons_(horizons) {}

  // Checks the write against what is stored and makes its partial updates whole rows.
  // OUT_OF_RANGE: an event time before the view's horizon, or a merged row that is too large;
  // NOT_FOUND: nothing to retract; DATA_LOSS. REQUIRES: a retraction, or another write's fact of an
  // entity that this write updates in part, is not under way: what counts is in the store.
  absl::Status Settle(EncodedWrite* write) const;

  // Puts the write's facts into the batch and what they change into `changes`. REQUIRES: as Settle.
  absl::Status Add(const EncodedWrite& write, uint64_t seq, KvBatch* batch,
                   LatestChanges* changes) const;

 private:
  absl::Status CheckHorizons(const EncodedWrite& write) const;
  absl::Status CheckRetraction(const EncodedWrite& write) const;
  absl::Status CompleteRows(EncodedWrite* write) const;
  absl::Status AddFacts(const EncodedWrite& write, uint64_t seq, KvBatch* batch,
                        LatestChanges* changes) const;
  absl::Status AddRetraction(const EncodedWrite& write, uint64_t seq, KvBatch* batch,
                             LatestChanges* changes) const;
  absl::StatusOr<Latest> CurrentLatest(const View& view, const std::string& entity_key) const;

  const KvStore* const store_;
  const OnlineTable* const online_;
  const Horizons* const horizons_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_COMMIT_FACTS_H_
