// SPDX-License-Identifier: Apache-2.0
// Erasures as stored in the meta family (storage/FORMAT.md, Meta): the receipts, kept for ever and
// without the keys, and the erasures that are under way, with theirs.
#ifndef FLETCH_SERVER_ENGINE_ERASURE_LEDGER_H_
#define FLETCH_SERVER_ENGINE_ERASURE_LEDGER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "fletch/v1/admin.pb.h"
#include "fletch/v1/ingest.pb.h"
#include "storage/kv_store.h"
#include "storage/schema.h"

namespace fletch {

// An erasure under way: what a restart needs to finish it.
struct PendingErasure {
  EntityId entity_id = 0;
  std::string entity_key;    // encoded
  v1::EraseReceipt receipt;  // as far as it is known
};

void AddPendingErasure(const PendingErasure& pending, KvBatch* batch);
void RemovePendingErasure(uint64_t id, KvBatch* batch);
// Oldest first. DATA_LOSS when one cannot be read.
absl::StatusOr<std::vector<PendingErasure>> ReadPendingErasures(const KvStore& store);

void AddReceipt(const v1::EraseReceipt& receipt, KvBatch* batch);
absl::StatusOr<std::optional<v1::EraseReceipt>> FindReceipt(const KvStore& store, uint64_t id);
// The greatest id of any erasure, done or under way; 0: none.
absl::StatusOr<uint64_t> LastErasureId(const KvStore& store);

// As AdminService.ListErasures. REQUIRES: page_size >= 1. INVALID_ARGUMENT: not a token of ours.
absl::StatusOr<v1::ListErasuresResponse> ListReceipts(const KvStore& store,
                                                      const std::string& project, size_t page_size,
                                                      const std::string& page_token);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_ERASURE_LEDGER_H_
