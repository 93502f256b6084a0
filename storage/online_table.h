// SPDX-License-Identifier: Apache-2.0
// The latest row of every entity in memory: one record an entity across its views, vectors left
// out. Derived from the latest family; can be thrown away and loaded again.
#ifndef FLETCH_STORAGE_ONLINE_TABLE_H_
#define FLETCH_STORAGE_ONLINE_TABLE_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
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
  // Asks the memory for what Find and the rows will need, so that the misses of many records
  // overlap.
  void Prefetch() const {
    constexpr uint32_t kLine = 64, kMost = 4096;
    const char* const begin = reinterpret_cast<const char*>(this);
    for (uint32_t at = kLine; at < std::min(bytes_, kMost); at += kLine) {
      __builtin_prefetch(begin + at);
    }
  }

 private:
  friend class OnlineTable;
  // One allocation holds: this, slot_count_ PackedSlots, the entity key, the rows.
  struct PackedSlot {
    int64_t event_time;
    uint64_t commit_seq;
    uint64_t changed_seq;
    ViewId view_id;
    uint32_t row_offset;  // from `this`
    uint32_t row_bytes;
    Latest::State state;
  };
  OnlineRecord() = default;
  // Bytes of the allocation.
  static uint64_t Bytes(std::string_view entity_key, absl::Span<const OnlineSlot> slots);
  static OnlineRecord* Make(uint64_t hash, EntityId entity_id, std::string_view entity_key,
                            absl::Span<const OnlineSlot> slots);
  static void Free(void* record);
  const PackedSlot* slots() const { return reinterpret_cast<const PackedSlot*>(this + 1); }
  OnlineSlot Unpack(const PackedSlot& packed) const;

  uint64_t hash_ = 0;
  uint32_t bytes_ = 0;
  EntityId entity_id_ = 0;
  uint32_t slot_count_ = 0;
  uint32_t key_bytes_ = 0;
};

// One writer thread at a time; any number of readers, which never lock and never wait.
class OnlineTable {
 public:
  // Rows beyond `budget_bytes` are left out and complete() turns false. A slot that was there and
  // no longer fits is taken out: what a reader finds is never stale.
  explicit OnlineTable(uint64_t budget_bytes);
  ~OnlineTable();

  // Writer: sets one view's slot of an entity. `slot.row` must be without vectors.
  void Set(EntityId entity_id, std::string_view entity_key, const OnlineSlot& slot);
  // Writer: takes the entity's record out, all views of it. Nothing when there is none.
  void Remove(EntityId entity_id, std::string_view entity_key);
  // Writer: takes the view's slots out of all records of the entity. Walks the whole table.
  void DropView(EntityId entity_id, ViewId view_id);

  // What is found through a Reader stays valid until it goes.
  class Reader {
   public:
    explicit Reader(const OnlineTable* table);
    // nullptr: no record. About 100 ns in cache.
    const OnlineRecord* Find(EntityId entity_id, std::string_view entity_key) const;
    // Find of each key, their cache misses overlapped.
    std::vector<const OnlineRecord*> FindMany(EntityId entity_id,
                                              absl::Span<const std::string> entity_keys) const;
    // Every record of the entity, in no order; those set meanwhile may or may not come, those taken
    // out and set again meanwhile may come twice.
    void ForEach(EntityId entity_id, const std::function<void(const OnlineRecord&)>& visit) const;

   private:
    const OnlineTable* const table_;
    EpochDomain::Guard guard_;
  };

  // False: the budget was reached once, so a missing record or slot means "ask the facts".
  // Look after the Find that missed, not before.
  bool complete() const;
  uint64_t entity_count() const;
  // Records and the table itself; not what waits for readers to leave (at most about a hundred
  // records, unless a Reader lives long).
  uint64_t bytes() const;
  uint64_t budget_bytes() const;

 private:
  static constexpr int kShardBits =
      8;         // growing one copies 1/256 of the pointers: no long pause of the writer
  struct Cells;  // an open-addressing array of pointers to records
  struct Shard {
    std::atomic<Cells*> cells{nullptr};
    size_t live = 0;  // writer: records
    size_t used = 0;  // writer: cells that are not null
  };

  static uint64_t Hash(EntityId entity_id, std::string_view entity_key);
  static size_t ShardOf(uint64_t hash) { return hash >> (64 - kShardBits); }
  static const OnlineRecord* FindIn(const Cells* cells, uint64_t hash, EntityId entity_id,
                                    std::string_view entity_key, size_t* cell);
  // Cells the shard needs before one more record can come; 0: it has room.
  static size_t GrownCapacity(const Shard& shard);
  void Grow(Shard* shard, size_t capacity);
  void Insert(Shard* shard, OnlineRecord* record);
  // Puts `record` (nullptr: nothing) in the place of `old`, which stands in `cell`.
  void Replace(Shard* shard, size_t cell, const OnlineRecord* old, OnlineRecord* record);
  // scratch_ becomes the slots of `record` other than the view's. False when it has none of the
  // view.
  bool OtherSlots(const OnlineRecord& record, ViewId view_id);
  void Account(uint64_t added, uint64_t removed);

  const uint64_t budget_bytes_;
  std::atomic<bool> complete_{true};
  std::atomic<uint64_t> entity_count_{0};
  std::atomic<uint64_t> bytes_{0};
  Shard shards_[1 << kShardBits];
  std::vector<OnlineSlot> scratch_;  // writer
  mutable EpochDomain epochs_;
};

}  // namespace fletch

#endif  // FLETCH_STORAGE_ONLINE_TABLE_H_
