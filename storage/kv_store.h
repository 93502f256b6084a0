// SPDX-License-Identifier: Apache-2.0
// An ordered store of bytes in families: the only way the house reaches a disk for facts. Two
// implementations (rocksdb_kv_store, memory_kv_store) run one conformance suite.
#ifndef FLETCH_STORAGE_KV_STORE_H_
#define FLETCH_STORAGE_KV_STORE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace fletch {

// Key spaces; FORMAT.md says what each holds. Keys are ordered as unsigned bytes.
enum class Family : uint8_t {
  kMeta = 0,          // catalog, commit reservations, lost ranges
  kFacts = 1,         // facts, one a key: those that were not folded yet
  kLatest = 2,        // the newest row of each (view, entity)
  kRequests = 3,      // request ids -> commit
  kCommits = 4,       // commit times
  kBlocks = 5,        // facts, many of one entity a key
  kTrainingSets = 6,  // spines and recipes of training sets
};
inline constexpr int kFamilyCount = 7;

// Changes applied together, in order. Not thread-safe.
class KvBatch {
 public:
  struct Op {
    enum class Kind : uint8_t { kPut, kDelete, kDeleteRange } kind;
    Family family;
    std::string key;
    std::string value;  // kDeleteRange: the end, exclusive
  };
  void Put(Family family, std::string key, std::string value);
  void Delete(Family family, std::string key);
  // Keys in [begin, end).
  void DeleteRange(Family family, std::string begin, std::string end);
  void Clear();

  const std::vector<Op>& ops() const { return ops_; }
  // Bytes of keys and values.
  size_t bytes() const { return bytes_; }
  bool empty() const { return ops_.empty(); }

 private:
  std::vector<Op> ops_;
  size_t bytes_ = 0;
};

// A cursor over one family at the moment it was made or later (it may or may not see newer writes).
// Not thread-safe. key() and value() are valid until the next move.
class KvIterator {
 public:
  virtual ~KvIterator() = default;
  virtual bool Valid() const = 0;
  virtual void Seek(std::string_view key) = 0;         // first key >= `key`
  virtual void SeekForPrev(std::string_view key) = 0;  // last key <= `key`
  virtual void Next() = 0;                             // REQUIRES: Valid()
  virtual void Prev() = 0;                             // REQUIRES: Valid()
  virtual std::string_view key() const = 0;            // REQUIRES: Valid()
  virtual std::string_view value() const = 0;          // REQUIRES: Valid()
  // Not OK (DATA_LOSS, naming the file): the end was not reached but a fault. Look when Valid()
  // turns false.
  virtual absl::Status status() const = 0;
};

// Keys of one family in [begin, end).
struct KeyRange {
  Family family = Family::kMeta;
  std::string begin;
  std::string end;
};

// Thread-safe.
class KvStore {
 public:
  virtual ~KvStore() = default;
  // All of `batch` or nothing. With `sync` it is on disk when this returns; without, it survives a
  // crash of the process only. RESOURCE_EXHAUSTED (reason DISK_FULL), DATA_LOSS, or UNAVAILABLE
  // (reason STORE_READ_ONLY).
  virtual absl::Status Write(const KvBatch& batch, bool sync) = 0;
  // nullopt: no such key.
  virtual absl::StatusOr<std::optional<std::string>> Get(Family family,
                                                         std::string_view key) const = 0;
  virtual std::unique_ptr<KvIterator> NewIterator(Family family) const = 0;
  // One iterator each of `families`, all of one state frozen now: of a batch written meanwhile they
  // see all or nothing, and newer writes are never seen. They keep what they can see on disk until
  // they go.
  virtual std::vector<std::unique_ptr<KvIterator>> NewIterators(
      absl::Span<const Family> families) const = 0;
  // Rewrites `ranges`, so that afterwards no file holds a key or value there that was deleted or
  // overwritten before the call: no table, no write-ahead log, no manifest; unless an iterator made
  // before still lives, then when the next Compact after its end returns. Reads and writes go on
  // beside. Takes as long as it takes to read and write the tables that touch the ranges.
  // UNAVAILABLE (reason STORE_READ_ONLY), RESOURCE_EXHAUSTED (DISK_FULL) or DATA_LOSS as Write.
  virtual absl::Status Compact(absl::Span<const KeyRange> ranges) = 0;
  // Bytes of all files; 0 in memory.
  virtual uint64_t DiskBytes() const = 0;
  // As NewIterators, for whoever reads much of them once and in order: what is read does not push
  // out of the store's cache what others read often.
  virtual std::vector<std::unique_ptr<KvIterator>> NewSweep(
      absl::Span<const Family> families) const {
    return NewIterators(families);
  }
};

}  // namespace fletch

#endif  // FLETCH_STORAGE_KV_STORE_H_
