// SPDX-License-Identifier: Apache-2.0
// One walk over an entity's stored facts, single ones (kFacts) and those in blocks (kBlocks), in
// the order of their keys. Private to this room.
#ifndef FLETCH_STORAGE_FACT_CURSOR_H_
#define FLETCH_STORAGE_FACT_CURSOR_H_

#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/fact_block.h"
#include "storage/fact_store.h"

namespace fletch {

// An iterator that knows what lies behind it, so that seeks to where it stands or near by are
// cheap.
class NearSeeker {
 public:
  // At most `most_steps` are tried before a seek: as many as cost about as much as one. Fewer where
  // the last ones led nowhere.
  explicit NearSeeker(int most_steps) : most_steps_(most_steps), steps_(most_steps) {}
  void Reset(std::unique_ptr<KvIterator> iterator) { iterator_ = std::move(iterator); }

  // Moves to the first key >= `key`.
  void Seek(std::string_view key);
  // REQUIRES: the last IsWithin was true.
  void Next();
  // Whether it stands at a key that begins with `prefix`. DATA_LOSS when a fault ended the walk.
  absl::StatusOr<bool> IsWithin(std::string_view prefix) const {
    if (valid_) return key_.starts_with(prefix);
    return AtEnd();
  }
  // REQUIRES: the last IsWithin was true.
  std::string_view key() const { return key_; }
  std::string_view value() const { return iterator_->value(); }

 private:
  void Look();
  absl::StatusOr<bool> AtEnd() const;

  const int most_steps_;
  int steps_;      // to try next time
  int seeks_ = 0;  // since steps led somewhere
  std::unique_ptr<KvIterator> iterator_;
  bool valid_ = false;    // the iterator is, and its key is
  std::string_view key_;  // this
  // No key lies between this and the iterator's (this itself may be a key only when it was passed).
  std::string behind_;
  bool behind_is_key_ = false;
  bool positioned_ = false;
};

// Not thread-safe. Sees exactly the facts written before its first Seek.
class FactCursor {
 public:
  // `sweep`: as KvStore::NewSweep.
  explicit FactCursor(const KvStore* store, bool sweep = false) : store_(store), sweep_(sweep) {}

  // "view | entity" of the first entity of `schema` with facts at or after `from` ("view", "view |
  // entity" or FactPrefixEnd of one) that begins with `range`; empty: there is none. The fact is
  // lost. DATA_LOSS on damaged bytes, as all that follow.
  absl::StatusOr<std::string> FindEntity(const ViewSchema& schema, std::string_view from,
                                         std::string_view range);
  // Moves to the newest fact of the entity ("view | entity") with event_time <= t, of those with
  // commit <= known_at; others are passed over here and by Next. Where t and known_at fall from
  // call to call, each fact of an entity is passed over once.
  absl::Status Seek(std::string_view prefix, int64_t t, uint64_t known_at = UINT64_MAX);
  // Moves to the next older fact. REQUIRES: fact() is not null.
  absl::Status Next();
  // The fact here; nullptr: the entity has no more. Valid until it moves.
  const FactView* fact() const { return fact_; }

 private:
  void Open();
  absl::Status SeekRow(int64_t t);
  absl::Status SeekBlock(int64_t t);
  void MakeSeekKey(int64_t t);
  // Looks at the bytes where the side stands; goes on to what was known.
  absl::Status TakeRow();
  absl::Status TakeBlock();
  absl::Status TakeFactOfBlock(size_t i);
  // Picks the side whose fact comes first.
  void Settle();

  const KvStore* const store_;
  const bool sweep_;
  bool open_ = false;
  NearSeeker rows_{/*most_steps=*/16};
  NearSeeker blocks_{/*most_steps=*/1};
  std::string prefix_;    // of the entity
  std::string seek_key_;  // prefix_ and a time
  uint64_t known_at_ = 0;
  // Of the entity's facts known at known_at_ up to this time, the side's fact is the newest.
  static constexpr int64_t kNowhere = INT64_MIN;
  int64_t row_upto_ = kNowhere;
  int64_t block_fact_upto_ = kNowhere;
  bool on_row_ = false;
  bool on_block_ = false;
  bool same_ = false;  // both sides hold the same fact
  FactView row_fact_;
  FactView block_fact_;
  const FactView* fact_ = nullptr;
  // The block where blocks_ stands, when block_loaded_: of the entity, and the only one that can
  // answer for block_.oldest() <= t <= block_upto_.
  FactBlock block_;
  int64_t block_upto_ = 0;
  size_t block_index_ = 0;
  bool block_loaded_ = false;
};

// Tells the current forms at K from older ones. Fed with the facts of an entity with commit <= K,
// in the order of their keys.
class CurrentForms {
 public:
  // Whether `at` is the first of its identity, and so its current form.
  bool IsCurrent(const FactSuffix& at);

 private:
  bool any_ = false;
  int64_t instant_ = 0;
  std::string first_;                       // identity first met at the instant
  std::set<std::string, std::less<>> met_;  // all of them, once there are two
};

// What a caller sees of `fact`.
FactRef ToFactRef(const FactView& fact, std::string_view entity_key);

}  // namespace fletch

#endif  // FLETCH_STORAGE_FACT_CURSOR_H_
