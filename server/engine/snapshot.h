// SPDX-License-Identifier: Apache-2.0
// The facts as of one (as_of, known_at): from memory where memory surely says the same, else from
// the fact store.
#ifndef FLETCH_SERVER_ENGINE_SNAPSHOT_H_
#define FLETCH_SERVER_ENGINE_SNAPSHOT_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/call.h"
#include "base/metrics.h"
#include "server/engine/event_index.h"
#include "server/engine/feature_plan.h"
#include "server/engine/horizon.h"
#include "server/engine/window_reader.h"
#include "storage/fact_store.h"
#include "storage/kv_store.h"
#include "storage/online_table.h"
#include "storage/row_columns.h"

namespace fletch {

// Where reads look. All of it outlives them.
struct ReadSources {
  const OnlineTable* online = nullptr;
  const KvStore* store = nullptr;
  const Horizons* horizons = nullptr;
  EventIndex* events = nullptr;
  Counter* overflows = nullptr;  // as WindowReader's; may be null
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
  Snapshot(const ReadSources& sources, int64_t as_of, uint64_t read_seq)
      : sources_(sources), reader_(sources.online), as_of_(as_of), read_seq_(read_seq) {}

  const OnlineRecord* FindRecord(EntityId entity_id, std::string_view entity_key) const {
    return reader_.Find(entity_id, entity_key);
  }

  // FindRecord of each key; their rows are on the way into the cache.
  std::vector<const OnlineRecord*> FindRecords(EntityId entity_id,
                                               absl::Span<const std::string> entity_keys) const {
    std::vector<const OnlineRecord*> records = reader_.FindMany(entity_id, entity_keys);
    for (const OnlineRecord* record : records) {
      if (record != nullptr) record->Prefetch();
    }
    return records;
  }

  // What memory says; nullopt: it cannot. `record` as FindRecord gave it, nullptr too. The row is
  // without vectors.
  std::optional<VisibleRow> FromMemory(const View& view, const OnlineRecord* record) const;
  // What the facts say, the row whole and valid until the next look-up. May block.
  absl::StatusOr<VisibleRow> FromFacts(const View& view, std::string_view entity_key);

  // What the view says of each key; `records` are FindRecords'. Rows are valid as long as the
  // snapshot. nullopt when !may_block and memory alone cannot say. May block otherwise. Errors as
  // FactReader's and WindowReader's.
  absl::StatusOr<std::optional<std::vector<VisibleRow>>> FindRows(
      const PlanView& view, absl::Span<const OnlineRecord* const> records,
      absl::Span<const std::string> entity_keys, bool may_block, const Call& call);

  // OUT_OF_RANGE (BEFORE_HORIZON) when (as_of, read_seq) lies before the view's history. Ask after
  // the view's last look-up: facts are dropped behind a raised horizon.
  absl::Status CheckHorizon(const ViewSchema& schema) const;
  absl::Status CheckHorizon(const PlanView& view) const;

  int64_t as_of() const { return as_of_; }
  uint64_t read_seq() const { return read_seq_; }

 private:
  std::string_view Keep(std::string_view row);
  absl::StatusOr<std::optional<VisibleRow>> FindWindows(const PlanView& view,
                                                        std::string_view entity_key, size_t row,
                                                        bool may_block, const Call& call);

  const ReadSources sources_;
  const OnlineTable::Reader reader_;
  const int64_t as_of_;
  const uint64_t read_seq_;
  std::optional<FactReader> facts_;  // made at their first use
  std::optional<WindowReader> windows_;
  std::deque<std::string> kept_;  // rows that stand in no table
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_SNAPSHOT_H_
