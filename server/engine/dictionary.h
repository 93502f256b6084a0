// SPDX-License-Identifier: Apache-2.0
// Strings as small numbers: entity keys, and the texts of indexed fields.
#ifndef FLETCH_SERVER_ENGINE_DICTIONARY_H_
#define FLETCH_SERVER_ENGINE_DICTIONARY_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/epoch.h"
#include "index/chunked_rows.h"

namespace fletch {

// A string's number in its dictionary: 0, 1, 2, … in the order they came.
using Ordinal = uint32_t;

// Append-only. One thread at a time adds; any number look up, without a lock, and may use the
// ordinals that reached them by any release of the adder's. About 16 bytes a string beside its own
// bytes. What was added stays in memory until the dictionary goes.
class Dictionary {
 public:
  Dictionary() = default;
  ~Dictionary();
  Dictionary(const Dictionary&) = delete;
  Dictionary& operator=(const Dictionary&) = delete;

  // Writer: the string's number, a new one when it has none. REQUIRES: fewer than 2^32 - 1 strings.
  Ordinal Add(std::string_view text);
  std::optional<Ordinal> Find(std::string_view text) const;
  // Valid as long as the dictionary. REQUIRES: ordinal < size().
  std::string_view text(Ordinal ordinal) const;
  uint32_t size() const { return size_.load(std::memory_order_acquire); }
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  struct Table;  // open addressing: ordinals, by hash

  std::optional<Ordinal> FindIn(const Table& table, uint64_t hash, std::string_view text) const;
  void Grow();
  const char* Keep(std::string_view text);

  ChunkedRows<const char*> texts_;  // a u32 length, the bytes
  std::atomic<uint32_t> size_{0};
  std::atomic<uint64_t> bytes_{0};
  std::atomic<Table*> table_{nullptr};
  mutable EpochDomain epochs_;
  // The writer's.
  std::vector<std::unique_ptr<char[]>> blocks_;
  size_t block_left_ = 0;
  char* block_next_ = nullptr;
};

// The keys of one entity: shared by its vector collections and field indexes.
using EntityDictionary = Dictionary;

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_DICTIONARY_H_
