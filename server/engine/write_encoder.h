// SPDX-License-Identifier: Apache-2.0
// Checks a write whole and turns it into facts without a commit number yet.
#ifndef FLETCH_SERVER_ENGINE_WRITE_ENCODER_H_
#define FLETCH_SERVER_ENGINE_WRITE_ENCODER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/engine/catalog.h"
#include "server/engine/types.h"
#include "storage/fact_key.h"

namespace fletch {

// A fact that waits for its commit.
struct PendingFact {
  const View* view = nullptr;  // one of EncodedWrite::views
  Identity identity;
  FactForm form = FactForm::kRow;
  std::string row;         // kRow
  size_t request_row = 0;  // where it stood in the request, for messages
  uint32_t batch = 0;      // likewise: which batch of a write
  int32_t partial = -1;    // a partial update: which of EncodedWrite::partials; -1: a whole row
};

struct EncodedWrite {
  std::vector<std::shared_ptr<const View>> views;
  std::vector<PendingFact> facts;  // by (view, identity), so the last of an entity is its newest
  // Of each merging batch, which fields it gave; the others stand in the rows as their defaults
  // until the commit knows better (row_merge.h).
  std::vector<std::vector<bool>> partials;
  size_t bytes = 0;  // about what waits in memory
};

// Errors of the schema, of keys and of times as semantics.md's Writes says; `now` is the daemon's
// clock. Field paths "batches[i].…".
absl::StatusOr<EncodedWrite> EncodeWrite(const CatalogSnapshot& catalog, WriteRequest request,
                                         int64_t now);

// Tombstones (form kTombstone) or withdrawals (kRetraction) of request.keys. Field paths "keys.…".
absl::StatusOr<EncodedWrite> EncodeKeyed(const CatalogSnapshot& catalog, KeyedRequest request,
                                         FactForm form, int64_t now);

// The encoded keys of an erasure, in order; `join_keys` are the entity's. Field paths "keys.…".
absl::StatusOr<std::vector<std::string>> EncodeEntityKeys(
    const std::vector<KeyFieldSchema>& join_keys, EraseRequest request);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_WRITE_ENCODER_H_
