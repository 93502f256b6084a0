// SPDX-License-Identifier: Apache-2.0
// The latest row of every entity in memory: one record an entity across its views, vectors left out. Derived from the
// latest family; can be thrown away and loaded again.
#ifndef FLETCH_STORAGE_ONLINE_TABLE_H_
#define FLETCH_STORAGE_ONLINE_TABLE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/epoch.h"
#include "storage/fact_store.h"
#include "storage/schema.h"

namespace fletch {

// One view's part of a record. Views point into the record.
struct OnlineSlot {
  ViewId view_id = 0;
  Latest::State state = Latest::State::kAbsent;
  int64_t event_time = 0;
  uint64_t commit_seq = 0;
  uint64_t changed_seq = 0;
  std::string_view row;  // without vectors
};

// Immutable. Reached through OnlineTable::Reader and valid as long as it.
class OnlineRecord {
 public:
  // The view's slot; false when the view has none for this entity.
  bool Find(ViewId view_id, OnlineSlot* slot) const;
  std::string_view entity_key() const;
};

// One writer thread at a time; any number of readers, which never lock and never wait.
class OnlineTable {
 public:
  // Rows beyond `budget_bytes` are left out and complete() turns false.
  explicit OnlineTable(uint64_t budget_bytes);
  ~OnlineTable();

  // Writer: sets one view's slot of an entity. `slot.row` must be without vectors.
  void Set(EntityId entity_id, std::string_view entity_key, const OnlineSlot& slot);
  // Writer: takes the view's slots out of all records of the entity.
  void DropView(EntityId entity_id, ViewId view_id);

  // What is found through a Reader stays valid until it goes.
  class Reader {
   public:
    explicit Reader(const OnlineTable* table);
    // nullptr: no record. About 100 ns in cache.
    const OnlineRecord* Find(EntityId entity_id, std::string_view entity_key) const;
    // Every record of the entity, in no order; those set meanwhile may or may not come.
    void ForEach(EntityId entity_id, const std::function<void(const OnlineRecord&)>& visit) const;

   private:
    const OnlineTable* const table_;
    EpochDomain::Guard guard_;
  };

  // False: the budget was reached once, so a missing record or slot means "ask the facts".
  bool complete() const;
  uint64_t entity_count() const;
  uint64_t bytes() const;
  uint64_t budget_bytes() const;
};

}  // namespace fletch

#endif  // FLETCH_STORAGE_ONLINE_TABLE_H_
