// SPDX-License-Identifier: Apache-2.0
// The events of asked entities within their longest windows, in memory, as trees that answer any
// window at (now, newest) in logarithmic time. Derived from the facts: what is not here is read.
#ifndef FLETCH_SERVER_ENGINE_EVENT_INDEX_H_
#define FLETCH_SERVER_ENGINE_EVENT_INDEX_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/metrics.h"
#include "server/engine/window_plan.h"
#include "storage/fact_key.h"
#include "storage/kv_store.h"

namespace fletch {

// One committed fact as the commit thread hands it on.
struct FactChange {
  ViewId view_id = 0;
  const Identity* identity = nullptr;
  FactForm form = FactForm::kRow;
  std::string_view row;  // kRow only
};

// Thread-safe: any number of readers; Apply, Refresh and Forget on one thread (the commit thread).
class EventIndex {
 public:
  // Least recently used entities leave when the trees outgrow the budget; one that would need about
  // a quarter of it is answered and not kept. `overflows` as in WindowReader. Pointers outlive the
  // index.
  EventIndex(const KvStore* store, uint64_t budget_bytes, Counter* overflows = nullptr);
  ~EventIndex();

  // The aggregation views that there are now. Entities of sources whose columns or longest window
  // grew, and of sources that went, are dropped; they are loaded again when asked.
  void Refresh(absl::Span<const std::shared_ptr<const AggregationView>> views);

  // Whether Apply wants this view's facts. Cheap.
  bool IsSource(ViewId view_id) const;

  // Call it for every commit, in commit order, after its facts are written to the store and before
  // it is published to readers; and once at start for the newest commit that is stored, without
  // facts: what is loaded holds all commits that were named here. Facts of other views than sources
  // are passed over. `commit_time` moves what is pruned.
  void Apply(uint64_t commit_seq, int64_t commit_time, absl::Span<const FactChange> facts);

  // Erased: drops the entity. Call it after its facts left the store.
  void Forget(ViewId view_id, std::string_view entity_key);

  // The row (of the aggregation view's layout) at (as_of, read_seq). nullopt: not from here (the
  // entity changed after read_seq, as_of is before what is kept, the view is not known yet; and
  // when !may_block, the entity is not loaded): then WindowReader knows. With may_block an entity
  // that is not loaded is read from the facts and kept. REQUIRES: commits up to read_seq are
  // applied. RESOURCE_EXHAUSTED as WindowReader;
  // DATA_LOSS on damaged bytes. `row` names the key's row in errors.
  absl::StatusOr<std::optional<std::string>> Evaluate(const WindowPlan& plan,
                                                      std::string_view entity_key, int64_t as_of,
                                                      uint64_t read_seq, size_t row,
                                                      bool may_block);

  // For metrics.
  uint64_t bytes() const;
  uint64_t entity_count() const;

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_EVENT_INDEX_H_
