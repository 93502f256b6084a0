// SPDX-License-Identifier: Apache-2.0
// The facts as of one (as_of, known_at): from memory where memory surely says the same, else from
// the fact store.
#ifndef FLETCH_SERVER_ENGINE_SNAPSHOT_H_
#define FLETCH_SERVER_ENGINE_SNAPSHOT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/engine/catalog.h"
#include "storage/fact_store.h"
#include "storage/kv_store.h"
#include "storage/online_table.h"
#include "storage/value.h"

namespace fletch {

// What a view says of an entity (semantics.md's table, before a field's null).
struct VisibleRow {
  CellStatus status = CellStatus::kNotFound;  // kPresent: there is a row
  int64_t event_time = kUnsetTime;
  std::string_view row;  // kPresent: valid until the next look-up
};

// ttl applied to what is visible at `as_of`: the one place that knows both bounds. `found` absent
// or a tombstone: NOT_FOUND.
VisibleRow ApplyTtl(const ViewSchema& schema, int64_t as_of, Latest::State state,
                    int64_t event_time, std::string_view row);

// As ApplyTtl, of FactReader's answer.
VisibleRow ToVisibleRow(const ViewSchema& schema, int64_t as_of, const Visible& found);

// Not thread-safe; holds an epoch guard, so keep it short-lived.
class Snapshot {
 public:
  Snapshot(const OnlineTable* online, const KvStore* store, int64_t as_of, uint64_t read_seq)
      : reader_(online), online_(online), store_(store), as_of_(as_of), read_seq_(read_seq) {}

  const OnlineRecord* FindRecord(EntityId entity_id, std::string_view entity_key) const {
    return reader_.Find(entity_id, entity_key);
  }

  // FindRecord of each key.
  std::vector<const OnlineRecord*> FindRecords(EntityId entity_id,
                                               absl::Span<const std::string> entity_keys) const {
    return reader_.FindMany(entity_id, entity_keys);
  }

  // What memory says; nullopt: it cannot. `record` as FindRecord gave it, nullptr too. The row is
  // without vectors.
  std::optional<VisibleRow> FromMemory(const View& view, const OnlineRecord* record) const;
  // What the facts say, the row whole. May block.
  absl::StatusOr<VisibleRow> FromFacts(const View& view, std::string_view entity_key);
  // Memory, else the facts. `vectors`: the row must be whole.
  absl::StatusOr<VisibleRow> Find(const View& view, const OnlineRecord* record,
                                  std::string_view entity_key, bool vectors);

  int64_t as_of() const { return as_of_; }
  uint64_t read_seq() const { return read_seq_; }

 private:
  const OnlineTable::Reader reader_;
  const OnlineTable* const online_;
  const KvStore* const store_;
  const int64_t as_of_;
  const uint64_t read_seq_;
  std::optional<FactReader> facts_;  // made at its first use
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_SNAPSHOT_H_
