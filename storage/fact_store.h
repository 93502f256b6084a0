// SPDX-License-Identifier: Apache-2.0
// Facts and their visibility: the one definition of semantics.md's `visible`, used by every path.
#ifndef FLETCH_STORAGE_FACT_STORE_H_
#define FLETCH_STORAGE_FACT_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/fact_key.h"
#include "storage/kv_store.h"
#include "storage/schema.h"

namespace fletch {

// One fact, owned.
struct Fact {
  FactKey key;
  FactForm form = FactForm::kRow;
  std::string row;  // kRow only; encoded by row_codec
};

// Puts the fact into the batch (FORMAT.md: u8 form, row).
void AddFact(const Fact& fact, KvBatch* batch);

// Found by a reader; views are valid until its next call.
struct FactRef {
  FactForm form = FactForm::kRow;
  int64_t event_time = 0;
  uint64_t commit_seq = 0;
  std::string_view entity_key;
  bool tombstone_identity = false;
  std::string event_key;  // encoded
  std::string_view row;   // kRow only
};

// What the newest fact of an entity says at (as_of, known_at), before ttl.
//   nullopt: no such fact. form kTombstone: deleted. form kRow: its row. Never kRetraction.
using Visible = std::optional<FactRef>;

// What a join needs of it: one that is kTombstone or kRow.
struct VisibleFact {
  FactForm form = FactForm::kRow;
  int64_t event_time = 0;
  std::string_view row;  // kRow only; valid until the reader's next call
};

class FactCursor;

// Looks facts up, folded or not; keeps one cursor, so questions in the order (view, entity key,
// event time newest first) are cheapest. Sees exactly the facts written before its first question.
// Not thread-safe; make one a thread and request, and let it go soon: it keeps old files on disk.
class FactReader {
 public:
  enum class Use {
    kLookups,
    kSweep,  // many questions in that order, as KvStore::NewSweep
  };
  explicit FactReader(const KvStore* store, Use use = Use::kLookups);
  ~FactReader();

  // semantics.md's visible(view, entity, T, K). Identities in `excluding` count as retracted
  // (those of other entities are passed over, at a cost).
  // DATA_LOSS on damaged bytes.
  absl::StatusOr<Visible> FindVisible(const ViewSchema& schema, std::string_view entity_key,
                                      int64_t as_of, uint64_t known_at,
                                      absl::Span<const Identity> excluding = {});

  // The same of one entity after another: first the entity, then what is asked of it. Where as_of
  // and known_at fall together, facts that came too late for them are passed over once.
  void SetEntity(const ViewSchema& schema, std::string_view entity_key);
  absl::StatusOr<std::optional<VisibleFact>> FindVisible(int64_t as_of, uint64_t known_at);

  // Calls `emit` with visible(view, e, T, K) of every entity e that has one, in key order;
  // tombstones are left out. `emit` returns a status; the first that is not OK ends the scan and is
  // returned.
  absl::Status ScanVisible(const ViewSchema& schema, int64_t as_of, uint64_t known_at,
                           const std::function<absl::Status(const FactRef&)>& emit);

  // Calls `emit`, newest first, with facts of the entity with start <= event_time <= end and
  // commit_seq <= known_at: the current form at known_at of each identity that counts (rows and
  // tombstones); with `all_forms` every stored fact. `emit` as above. DATA_LOSS on damaged bytes.
  absl::Status ReadEntity(const ViewSchema& schema, std::string_view entity_key, int64_t start,
                          int64_t end, uint64_t known_at, bool all_forms,
                          const std::function<absl::Status(const FactRef&)>& emit);

  // True when any fact of this identity is stored with a commit <= known_at whose current form is
  // not a retraction.
  absl::StatusOr<bool> IdentityCounts(const ViewSchema& schema, const Identity& identity,
                                      uint64_t known_at);

 private:
  using Excluded = std::set<std::pair<int64_t, std::string>>;
  // Moves the cursor to the fact that answers; it has none when nothing does.
  absl::Status WalkToVisible(int64_t as_of, uint64_t known_at, const Excluded* excluded);
  absl::StatusOr<Visible> VisibleHere() const;

  std::string_view EntityKey() const;

  std::unique_ptr<FactCursor> cursor_;
  std::string prefix_;  // "view | entity" of the question
};

struct HistoryQuery {
  std::string entity_key = {};  // encoded; empty: every entity
  int64_t start = 0;            // event times, inclusive
  int64_t end = 0;
  uint64_t last_k = 0;  // newest so many of each entity; 0: all
  uint64_t known_at = 0;
  bool all_forms = false;  // every stored fact; else the current form of identities that count
                           // (rows, tombstones)
};

// Pages through facts by (entity key, newest first), with all_forms and without it only those with
// commit_seq <= known_at. Calls `emit` for at most `limit` facts and returns where to go on: a
// token for `resume_token` (bytes, not text), empty when the end was reached. INVALID_ARGUMENT for
// a token that is not ours or belongs to another query; DATA_LOSS on damaged bytes. REQUIRES: limit
// >= 1.
absl::StatusOr<std::string> ReadHistory(const KvStore& store, const ViewSchema& schema,
                                        const HistoryQuery& query, std::string_view resume_token,
                                        size_t limit,
                                        const std::function<absl::Status(const FactRef&)>& emit);

// The newest identity of a (view, entity) that counts, whatever its event time: visible at T = end
// of time. What the latest family and the online table hold.
struct Latest {
  enum class State : uint8_t { kAbsent = 0, kRow = 1, kTombstone = 2 } state = State::kAbsent;
  int64_t event_time = 0;   // of kRow and kTombstone
  uint64_t commit_seq = 0;  // of that fact
  uint64_t changed_seq =
      0;  // the commit that made this the latest; a reader at S < changed_seq must ask the facts
  std::string row;  // kRow: with vectors
};

std::string LatestKey(ViewId view_id, std::string_view entity_key);
std::string EncodeLatest(const Latest& latest);
// DATA_LOSS on damaged bytes.
absl::StatusOr<Latest> DecodeLatest(std::string_view bytes);

}  // namespace fletch

#endif  // FLETCH_STORAGE_FACT_STORE_H_
