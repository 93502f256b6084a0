// SPDX-License-Identifier: Apache-2.0
// What happens to stored facts behind the readers: folding, retention, erasure. No answer changes
// but those that retention and erasure are about.
//
// Commits of new facts and any number of readers may run beside all of these. Callers see to it
// that no two of these run at the same time on one store. Each call ends soon and says where to go
// on, so that a caller can give way between calls; a crash in between leaves a store that answers
// as before, and doing it again does no harm.
#ifndef FLETCH_STORAGE_FACT_MAINTENANCE_H_
#define FLETCH_STORAGE_FACT_MAINTENANCE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/kv_store.h"
#include "storage/schema.h"

namespace fletch {

// What a call of FoldView did.
struct FoldResult {
  std::string resume_key;       // for the next call (bytes); empty: the end of the view was reached
  uint64_t rows_seen = 0;       // facts of kFacts that were looked at
  uint64_t rows_folded = 0;     // of these, moved into blocks
  uint64_t blocks_written = 0;  // new or anew
  uint64_t facts_rewritten = 0;  // that were in blocks before
};

// Moves facts of entities that have at least limits::kFoldRows of them out of kFacts into blocks
// (FORMAT.md, Fact blocks); of entities with few facts in all, kFoldFewRows do, once they are
// enough beside the block that they join. Goes on at `resume_key` (empty: at the first entity) and
// ends after about `row_budget` facts of kFacts. A fact committed meanwhile is left for the next
// pass, and so are instants too large for a block. Writes are not synced: a power loss takes a fold
// back as a whole (docs/decisions/0011). DATA_LOSS on damaged bytes; else as KvStore::Write. A pass
// that finds nothing costs its scan, about 0.3 µs a fact in kFacts: the rows a caller committed
// since the last pass say when the next is worth it. Deleted rows leave marks that readers of
// single entities step over (20 µs a question after a bulk load): when a pass has folded more rows
// than it left, KvStore::Compact of UnfoldedRange takes them out.
absl::StatusOr<FoldResult> FoldView(KvStore* store, const ViewSchema& schema,
                                    std::string_view resume_key, uint64_t row_budget);

// What a call of DropHistory did.
struct DropResult {
  std::string resume_key;  // as above
  uint64_t entities_seen = 0;
  uint64_t facts_dropped = 0;
};

// Removes the facts that no question with as_of >= horizon and known_at >= commit_floor can need.
// Facts at or after the horizon always stay; of those before it, whatever is visible at the horizon
// at some known_at >= commit_floor stays with all forms of its instant, now and after any
// retraction at or after the horizon. REQUIRES: writes, retractions and deletes before `horizon`
// are refused from before the call on. `entity_budget`: about how many entities a call looks at.
// Writes are not synced. docs/decisions/0012. DATA_LOSS on damaged bytes; else as KvStore::Write.
absl::StatusOr<DropResult> DropHistory(KvStore* store, const ViewSchema& schema, int64_t horizon,
                                       uint64_t commit_floor, std::string_view resume_key,
                                       uint64_t entity_budget);

// Deletes every fact of the entity in one synced batch and returns how many there were: rows,
// tombstones and retractions. REQUIRES: no fact of the entity is committed meanwhile. The bytes are
// gone from the disk after KvStore::Compact of EntityRanges; the latest family is the caller's. As
// KvStore::Write; DATA_LOSS on damaged bytes.
absl::StatusOr<uint64_t> EraseEntity(KvStore* store, const ViewSchema& schema,
                                     std::string_view entity_key);

// Where the entity's (the whole view's) facts and latest row stand, in every family: for
// KvStore::Compact.
std::vector<KeyRange> EntityRanges(const ViewSchema& schema, std::string_view entity_key);
std::vector<KeyRange> ViewRanges(const ViewSchema& schema);
// The view's facts that are not in blocks.
KeyRange UnfoldedRange(const ViewSchema& schema);

}  // namespace fletch

#endif  // FLETCH_STORAGE_FACT_MAINTENANCE_H_
