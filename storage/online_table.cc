// SPDX-License-Identifier: Apache-2.0
#include "storage/online_table.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <new>

#include "absl/hash/hash.h"
#include "base/strings.h"

namespace fletch {
namespace {

constexpr uint64_t kAllocatorBytes = 16;  // what malloc adds to a record, about
constexpr size_t kMinCapacity = 8;
constexpr size_t kFindAhead = 16;         // look-ups under way at once
constexpr size_t kPrefetchedBytes = 512;  // of a record: slots, key and first rows

}  // namespace

uint64_t OnlineRecord::Bytes(std::string_view entity_key, absl::Span<const OnlineSlot> slots) {
  uint64_t bytes = sizeof(OnlineRecord) + slots.size() * sizeof(PackedSlot) + entity_key.size();
  for (const OnlineSlot& slot : slots) bytes += slot.row.size();
  return bytes;
}

OnlineRecord* OnlineRecord::Make(uint64_t hash, EntityId entity_id, std::string_view entity_key,
                                 absl::Span<const OnlineSlot> slots) {
  const uint64_t bytes = Bytes(entity_key, slots);
  char* const base = static_cast<char*>(::operator new(bytes));
  OnlineRecord* const record = new (base) OnlineRecord();
  record->hash_ = hash;
  record->bytes_ = static_cast<uint32_t>(bytes);
  record->entity_id_ = entity_id;
  record->slot_count_ = static_cast<uint32_t>(slots.size());
  record->key_bytes_ = static_cast<uint32_t>(entity_key.size());
  PackedSlot* const packed = reinterpret_cast<PackedSlot*>(record + 1);
  char* out = reinterpret_cast<char*>(packed + slots.size());
  out = std::copy(entity_key.begin(), entity_key.end(), out);
  for (size_t i = 0; i < slots.size(); ++i) {
    const OnlineSlot& slot = slots[i];
    new (packed + i) PackedSlot{slot.event_time,
                                slot.commit_seq,
                                slot.changed_seq,
                                slot.view_id,
                                static_cast<uint32_t>(out - base),
                                static_cast<uint32_t>(slot.row.size()),
                                slot.state};
    out = std::copy(slot.row.begin(), slot.row.end(), out);
  }
  return record;
}

void OnlineRecord::Free(void* record) { ::operator delete(record); }

OnlineSlot OnlineRecord::Unpack(const PackedSlot& packed) const {
  const char* const base = reinterpret_cast<const char*>(this);
  return {packed.view_id,    packed.state,       packed.event_time,
          packed.commit_seq, packed.changed_seq, {base + packed.row_offset, packed.row_bytes}};
}

bool OnlineRecord::Find(ViewId view_id, OnlineSlot* slot) const {
  const PackedSlot* const all = slots();
  for (uint32_t i = 0; i < slot_count_; ++i) {
    if (all[i].view_id != view_id) continue;
    *slot = Unpack(all[i]);
    return true;
  }
  return false;
}

std::string_view OnlineRecord::entity_key() const {
  return {reinterpret_cast<const char*>(slots() + slot_count_), key_bytes_};
}

// `capacity` cells follow in the same allocation. At most half are used, so a probe ends soon, and
// always.
struct OnlineTable::Cells {
  using Cell = std::atomic<const OnlineRecord*>;

  static Cells* Make(size_t capacity) {
    Cells* const cells = new (::operator new(Bytes(capacity))) Cells{capacity};
    for (size_t i = 0; i < capacity; ++i) new (&cells->cell(i)) Cell(nullptr);
    return cells;
  }
  static void Free(void* cells) { ::operator delete(cells); }
  static uint64_t Bytes(size_t capacity) { return sizeof(Cells) + capacity * sizeof(Cell); }
  // Stands where a record was taken out: a probe must not end there.
  static const OnlineRecord* Removed() {
    static const OnlineRecord removed;
    return &removed;
  }

  Cell& cell(size_t i) const { return reinterpret_cast<Cell*>(const_cast<Cells*>(this) + 1)[i]; }
  size_t Next(size_t i) const { return (i + 1) & (capacity - 1); }

  const size_t capacity;  // a power of two
};

OnlineTable::OnlineTable(uint64_t budget_bytes) : budget_bytes_(budget_bytes) {}

OnlineTable::~OnlineTable() {
  for (Shard& shard : shards_) {
    Cells* const cells = shard.cells.load();
    if (cells == nullptr) continue;
    for (size_t i = 0; i < cells->capacity; ++i) {
      const OnlineRecord* const record = cells->cell(i).load();
      if (record == nullptr || record == Cells::Removed()) continue;
      OnlineRecord::Free(const_cast<OnlineRecord*>(record));
    }
    Cells::Free(cells);
  }
}

uint64_t OnlineTable::Hash(EntityId entity_id, std::string_view entity_key) {
  return absl::HashOf(entity_id, ToAbsl(entity_key));
}

const OnlineRecord* OnlineTable::FindIn(const Cells* cells, uint64_t hash, EntityId entity_id,
                                        std::string_view entity_key, size_t* cell) {
  if (cells == nullptr) return nullptr;
  for (size_t i = hash & (cells->capacity - 1);; i = cells->Next(i)) {
    const OnlineRecord* const record = cells->cell(i).load(std::memory_order_acquire);
    if (record == nullptr) return nullptr;
    if (record == Cells::Removed() || record->hash_ != hash) continue;
    if (record->entity_id_ != entity_id || record->entity_key() != entity_key) continue;
    *cell = i;
    return record;
  }
}

void OnlineTable::Set(EntityId entity_id, std::string_view entity_key, const OnlineSlot& slot) {
  const uint64_t hash = Hash(entity_id, entity_key);
  Shard& shard = shards_[ShardOf(hash)];
  size_t cell = 0;
  const OnlineRecord* const old =
      FindIn(shard.cells.load(std::memory_order_relaxed), hash, entity_id, entity_key, &cell);
  scratch_.clear();
  const bool present = old != nullptr && OtherSlots(*old, slot.view_id);
  scratch_.push_back(slot);

  const uint64_t bytes = OnlineRecord::Bytes(entity_key, scratch_);
  const size_t grown = old == nullptr ? GrownCapacity(shard) : 0;
  uint64_t after = this->bytes() + bytes + (grown == 0 ? 0 : Cells::Bytes(grown));
  after += old == nullptr ? kAllocatorBytes : 0;
  after -= old == nullptr ? 0 : old->bytes_;
  const Cells* const cells = shard.cells.load(std::memory_order_relaxed);
  if (grown != 0 && cells != nullptr) after -= Cells::Bytes(cells->capacity);

  if (after > budget_bytes_ || bytes > std::numeric_limits<uint32_t>::max()) {
    // complete() turns false first, so that no reader takes the gap for "there is nothing".
    complete_.store(false);
    if (!present) return;
    scratch_.pop_back();
    Replace(&shard, cell, old,
            scratch_.empty() ? nullptr : OnlineRecord::Make(hash, entity_id, entity_key, scratch_));
    return;
  }
  OnlineRecord* const record = OnlineRecord::Make(hash, entity_id, entity_key, scratch_);
  if (old != nullptr) {
    Replace(&shard, cell, old, record);
  } else {
    if (grown != 0) Grow(&shard, grown);
    Insert(&shard, record);
  }
}

void OnlineTable::Remove(EntityId entity_id, std::string_view entity_key) {
  const uint64_t hash = Hash(entity_id, entity_key);
  Shard& shard = shards_[ShardOf(hash)];
  size_t cell = 0;
  const OnlineRecord* const old =
      FindIn(shard.cells.load(std::memory_order_relaxed), hash, entity_id, entity_key, &cell);
  if (old != nullptr) Replace(&shard, cell, old, nullptr);
}

void OnlineTable::DropView(EntityId entity_id, ViewId view_id) {
  for (Shard& shard : shards_) {
    const Cells* const cells = shard.cells.load(std::memory_order_relaxed);
    if (cells == nullptr) continue;
    for (size_t i = 0; i < cells->capacity; ++i) {
      const OnlineRecord* const old = cells->cell(i).load(std::memory_order_relaxed);
      if (old == nullptr || old == Cells::Removed() || old->entity_id_ != entity_id) continue;
      if (!OtherSlots(*old, view_id)) continue;
      Replace(&shard, i, old,
              scratch_.empty()
                  ? nullptr
                  : OnlineRecord::Make(old->hash_, entity_id, old->entity_key(), scratch_));
    }
  }
}

bool OnlineTable::OtherSlots(const OnlineRecord& record, ViewId view_id) {
  scratch_.clear();
  for (uint32_t i = 0; i < record.slot_count_; ++i) {
    const OnlineRecord::PackedSlot& packed = record.slots()[i];
    if (packed.view_id != view_id) scratch_.push_back(record.Unpack(packed));
  }
  return scratch_.size() != record.slot_count_;
}

size_t OnlineTable::GrownCapacity(const Shard& shard) {
  const Cells* const cells = shard.cells.load(std::memory_order_relaxed);
  if (cells != nullptr && 2 * (shard.used + 1) <= cells->capacity) return 0;
  // A third full at most: the next growth is far even when this one only swept out removed cells.
  return std::max(kMinCapacity, std::bit_ceil(3 * (shard.live + 1)));
}

void OnlineTable::Grow(Shard* shard, size_t capacity) {
  Cells* const old = shard->cells.load(std::memory_order_relaxed);
  Cells* const cells = Cells::Make(capacity);
  if (old != nullptr) {
    for (size_t i = 0; i < old->capacity; ++i) {
      const OnlineRecord* const record = old->cell(i).load(std::memory_order_relaxed);
      if (record == nullptr || record == Cells::Removed()) continue;
      size_t at = record->hash_ & (capacity - 1);
      while (cells->cell(at).load(std::memory_order_relaxed) != nullptr) at = cells->Next(at);
      cells->cell(at).store(record, std::memory_order_relaxed);
    }
  }
  shard->used = shard->live;
  shard->cells.store(cells, std::memory_order_release);
  Account(Cells::Bytes(capacity), old == nullptr ? 0 : Cells::Bytes(old->capacity));
  if (old != nullptr) epochs_.Retire(old, &Cells::Free);
}

void OnlineTable::Insert(Shard* shard, OnlineRecord* record) {
  Cells* const cells = shard->cells.load(std::memory_order_relaxed);
  size_t at = record->hash_ & (cells->capacity - 1);
  const OnlineRecord* there = nullptr;
  while ((there = cells->cell(at).load(std::memory_order_relaxed)) != nullptr) {
    if (there == Cells::Removed()) break;
    at = cells->Next(at);
  }
  if (there == nullptr) ++shard->used;
  ++shard->live;
  cells->cell(at).store(record, std::memory_order_release);
  entity_count_.fetch_add(1, std::memory_order_relaxed);
  Account(record->bytes_ + kAllocatorBytes, 0);
}

void OnlineTable::Replace(Shard* shard, size_t cell, const OnlineRecord* old,
                          OnlineRecord* record) {
  Cells* const cells = shard->cells.load(std::memory_order_relaxed);
  cells->cell(cell).store(record == nullptr ? Cells::Removed() : record, std::memory_order_release);
  if (record == nullptr) {
    --shard->live;
    entity_count_.fetch_sub(1, std::memory_order_relaxed);
    Account(0, old->bytes_ + kAllocatorBytes);
  } else {
    Account(record->bytes_, old->bytes_);
  }
  epochs_.Retire(const_cast<OnlineRecord*>(old), &OnlineRecord::Free);
}

void OnlineTable::Account(uint64_t added, uint64_t removed) {
  bytes_.fetch_add(added - removed, std::memory_order_relaxed);  // wraps round to a subtraction
}

OnlineTable::Reader::Reader(const OnlineTable* table) : table_(table), guard_(&table->epochs_) {}

const OnlineRecord* OnlineTable::Reader::Find(EntityId entity_id,
                                              std::string_view entity_key) const {
  const uint64_t hash = Hash(entity_id, entity_key);
  size_t cell = 0;
  return FindIn(table_->shards_[ShardOf(hash)].cells.load(std::memory_order_acquire), hash,
                entity_id, entity_key, &cell);
}

std::vector<const OnlineRecord*> OnlineTable::Reader::FindMany(
    EntityId entity_id, absl::Span<const std::string> entity_keys) const {
  std::vector<const OnlineRecord*> records(entity_keys.size());
  std::array<uint64_t, kFindAhead> hashes;
  std::array<const Cells*, kFindAhead> tables;
  for (size_t begin = 0; begin < entity_keys.size(); begin += kFindAhead) {
    const size_t count = std::min(kFindAhead, entity_keys.size() - begin);
    auto first_cell = [&](size_t i) -> const Cells::Cell& {
      return tables[i]->cell(hashes[i] & (tables[i]->capacity - 1));
    };
    for (size_t i = 0; i < count; ++i) {
      hashes[i] = Hash(entity_id, entity_keys[begin + i]);
      tables[i] = table_->shards_[ShardOf(hashes[i])].cells.load(std::memory_order_acquire);
      if (tables[i] != nullptr) __builtin_prefetch(&first_cell(i));
    }
    for (size_t i = 0; i < count; ++i) {
      if (tables[i] == nullptr) continue;
      const auto* record =
          reinterpret_cast<const char*>(first_cell(i).load(std::memory_order_acquire));
      for (size_t line = 0; line < kPrefetchedBytes; line += 64) __builtin_prefetch(record + line);
    }
    for (size_t i = 0; i < count; ++i) {
      size_t cell = 0;
      records[begin + i] = FindIn(tables[i], hashes[i], entity_id, entity_keys[begin + i], &cell);
    }
  }
  return records;
}

void OnlineTable::Reader::ForEach(EntityId entity_id,
                                  const std::function<void(const OnlineRecord&)>& visit) const {
  for (const Shard& shard : table_->shards_) {
    const Cells* const cells = shard.cells.load(std::memory_order_acquire);
    if (cells == nullptr) continue;
    for (size_t i = 0; i < cells->capacity; ++i) {
      const OnlineRecord* const record = cells->cell(i).load(std::memory_order_acquire);
      if (record == nullptr || record == Cells::Removed()) continue;
      if (record->entity_id_ == entity_id) visit(*record);
    }
  }
}

bool OnlineTable::complete() const { return complete_.load(); }
uint64_t OnlineTable::entity_count() const { return entity_count_.load(std::memory_order_relaxed); }
uint64_t OnlineTable::bytes() const { return bytes_.load(std::memory_order_relaxed); }
uint64_t OnlineTable::budget_bytes() const { return budget_bytes_; }

}  // namespace fletch
