// SPDX-License-Identifier: Apache-2.0
// Many facts of one entity as one value of kBlocks (FORMAT.md, Fact blocks). Private to this room.
//
// Facts stand in the order of their keys, newest first. A block's key ends with its oldest event
// time, so that Seek(T) lands on the only block that can hold the newest fact at or before T.
#ifndef FLETCH_STORAGE_FACT_BLOCK_H_
#define FLETCH_STORAGE_FACT_BLOCK_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/fact_key.h"
#include "storage/fact_suffix.h"

namespace fletch {

// A fact of a known entity; views are valid as long as the bytes it was read from.
struct FactView {
  FactSuffix at;
  FactForm form = FactForm::kRow;
  std::string_view row;
};

// A fact of kFacts: the part of its key after "view | entity", and its value. DATA_LOSS when they
// are damaged.
absl::StatusOr<FactView> ReadFactRow(std::string_view suffix, std::string_view value);

// Whether `a` stands before `b` in the order of keys: newer first.
inline bool StandsBefore(const FactSuffix& a, const FactSuffix& b) {
  if (a.event_time != b.event_time) return a.event_time > b.event_time;
  if (a.commit_seq != b.commit_seq) return a.commit_seq > b.commit_seq;
  return a.identity < b.identity;
}

// A look into a block's bytes; does not own them. Copyable. Whatever the bytes are, nothing outside
// of them is read.
class FactBlock {
 public:
  FactBlock() = default;  // nothing may be asked of it
  // Costs the same however many facts there are. DATA_LOSS when the bytes cannot be a block.
  static absl::StatusOr<FactBlock> Parse(std::string_view bytes);
  // Reads all: that each fact is whole and they stand in order. DATA_LOSS when not.
  absl::Status Check() const;

  size_t count() const { return count_; }  // at least 1
  // REQUIRES: i < count().
  int64_t event_time(size_t i) const { return Load<int64_t>(times_, i); }
  int64_t newest() const { return event_time(0); }
  int64_t oldest() const { return event_time(count_ - 1); }
  // The first fact at or after `from` with event_time <= t; count() when there is none.
  size_t FindAtOrBefore(int64_t t, size_t from) const;
  // The first fact at or after `from` with commit <= known_at; count() when there is none. About a
  // quarter of a nanosecond a fact passed over.
  size_t FindKnown(uint64_t known_at, size_t from) const;
  // REQUIRES: i < count(). DATA_LOSS when the fact is damaged.
  absl::StatusOr<FactView> Read(size_t i) const;

 private:
  template <typename T>
  static T Load(const char* array, size_t i) {
    T value;
    std::memcpy(&value, array + i * sizeof(T), sizeof(T));
    return value;
  }

  size_t count_ = 0;
  const char* times_ = nullptr;
  const char* commits_ = nullptr;
  const char* tags_ = nullptr;
  const char* identity_ends_ = nullptr;  // nullptr: no fact has an event key
  const char* row_ends_ = nullptr;
  std::string_view identities_;
  std::string_view rows_;
};

// Makes one block after another. Thread-compatible.
class FactBlockBuilder {
 public:
  // REQUIRES: facts come in order; a block stays below 4 GiB.
  void Add(const FactView& fact);
  // The block of what was added since the last Finish. REQUIRES: something was.
  std::string Finish();

 private:
  size_t count_ = 0;
  bool event_keys_ = false;
  std::string times_, commits_, tags_, identity_ends_, row_ends_, identities_, rows_;
};

// The bytes that a fact adds to a block.
size_t BytesInBlock(const FactView& fact);

// "view | entity | oldest event time", from "view | entity".
std::string FactBlockKey(std::string_view prefix, int64_t oldest);

}  // namespace fletch

#endif  // FLETCH_STORAGE_FACT_BLOCK_H_
