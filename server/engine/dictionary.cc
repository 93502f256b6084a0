// SPDX-License-Identifier: Apache-2.0
#include "server/engine/dictionary.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "absl/hash/hash.h"
#include "base/strings.h"

namespace fletch {
namespace {

constexpr size_t kMinCapacity = 64;
constexpr size_t kBlockBytes = 64 << 10;
constexpr uint32_t kEmpty = UINT32_MAX;

uint64_t HashOf(std::string_view text) { return absl::HashOf(ToAbsl(text)); }

}  // namespace

// `capacity` cells follow in the same allocation; at most two thirds are used, so a probe ends.
struct Dictionary::Table {
  using Cell = std::atomic<uint32_t>;

  static uint64_t Bytes(size_t capacity) { return sizeof(Table) + capacity * sizeof(Cell); }
  static Table* Make(size_t capacity) {
    Table* const table = new (::operator new(Bytes(capacity))) Table{capacity};
    for (size_t i = 0; i < capacity; ++i) new (&table->cell(i)) Cell(kEmpty);
    return table;
  }
  static void Free(void* table) { ::operator delete(table); }
  Cell& cell(size_t i) const { return reinterpret_cast<Cell*>(const_cast<Table*>(this) + 1)[i]; }
  void Put(uint64_t hash, Ordinal ordinal) {
    size_t i = hash & (capacity - 1);
    while (cell(i).load(std::memory_order_relaxed) != kEmpty) i = (i + 1) & (capacity - 1);
    cell(i).store(ordinal, std::memory_order_release);
  }

  const size_t capacity;  // a power of two
};

Dictionary::~Dictionary() { Table::Free(table_.load()); }

std::string_view Dictionary::text(Ordinal ordinal) const {
  const char* const kept = *texts_[ordinal];
  uint32_t length = 0;
  std::memcpy(&length, kept, sizeof(length));
  return {kept + sizeof(length), length};
}

std::optional<Ordinal> Dictionary::FindIn(const Table& table, uint64_t hash,
                                          std::string_view text) const {
  for (size_t i = hash & (table.capacity - 1);; i = (i + 1) & (table.capacity - 1)) {
    const Ordinal ordinal = table.cell(i).load(std::memory_order_acquire);
    if (ordinal == kEmpty) return std::nullopt;
    if (this->text(ordinal) == text) return ordinal;
  }
}

std::optional<Ordinal> Dictionary::Find(std::string_view text) const {
  const EpochDomain::Guard guard(&epochs_);
  const Table* const table = table_.load(std::memory_order_acquire);
  if (table == nullptr) return std::nullopt;
  return FindIn(*table, HashOf(text), text);
}

const char* Dictionary::Keep(std::string_view text) {
  const auto length = static_cast<uint32_t>(text.size());
  const size_t needed = sizeof(length) + text.size();
  if (needed > block_left_) {
    const size_t size = std::max(kBlockBytes, needed);
    blocks_.emplace_back(new char[size]);
    block_next_ = blocks_.back().get();
    block_left_ = size;
    bytes_.fetch_add(size, std::memory_order_relaxed);
  }
  char* const kept = block_next_;
  std::memcpy(kept, &length, sizeof(length));
  std::copy(text.begin(), text.end(), kept + sizeof(length));
  block_next_ += needed;
  block_left_ -= needed;
  return kept;
}

void Dictionary::Grow() {
  Table* const old = table_.load(std::memory_order_relaxed);
  const size_t capacity = old == nullptr ? kMinCapacity : 2 * old->capacity;
  Table* const table = Table::Make(capacity);
  const uint32_t count = size();
  for (Ordinal i = 0; i < count; ++i) table->Put(HashOf(text(i)), i);
  table_.store(table, std::memory_order_release);
  bytes_.fetch_add(Table::Bytes(capacity) - (old == nullptr ? 0 : Table::Bytes(old->capacity)),
                   std::memory_order_relaxed);
  if (old == nullptr) return;
  epochs_.Retire(old, &Table::Free);
  epochs_.Collect();
}

Ordinal Dictionary::Add(std::string_view text) {
  const uint64_t hash = HashOf(text);
  Table* table = table_.load(std::memory_order_relaxed);
  if (table != nullptr) {
    const std::optional<Ordinal> known = FindIn(*table, hash, text);
    if (known.has_value()) return *known;
  }
  const uint32_t ordinal = size_.load(std::memory_order_relaxed);
  if (table == nullptr || 3 * (uint64_t{ordinal} + 1) > 2 * table->capacity) Grow();
  *texts_.Grow(ordinal) = Keep(text);
  bytes_.fetch_add(sizeof(char*), std::memory_order_relaxed);
  // The text before its number can be seen.
  size_.store(ordinal + 1, std::memory_order_release);
  table_.load(std::memory_order_relaxed)->Put(hash, ordinal);
  return ordinal;
}

}  // namespace fletch
