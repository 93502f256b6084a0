// SPDX-License-Identifier: Apache-2.0
// FoldView of fact_maintenance.h.
#include <algorithm>
#include <optional>
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "storage/entity_key.h"
#include "storage/fact_block.h"
#include "storage/fact_maintenance.h"

namespace fletch {
namespace {

constexpr size_t kChunkRows = 32 * limits::kFactsPerBlock;  // of one entity, merged at once
constexpr size_t kChunkBytes = 2u << 20;
constexpr size_t kBatchBytes = 512u << 10;  // commits wait behind a batch: some milliseconds
// A block with less room than a fold needs at the least is left as it is by newer facts.
constexpr size_t kRoomyFacts = limits::kFactsPerBlock - limits::kFoldRows;
constexpr size_t kRoomyBytes = limits::kFactBlockBytes * 3 / 4;

// Rows of one entity, newest first, copied out of kFacts.
class Chunk {
 public:
  void Clear(std::string_view prefix) {
    prefix_ = prefix;
    spans_.clear();
    bytes_.clear();
  }
  void Add(std::string_view key, std::string_view value) {
    const std::string_view suffix = key.substr(prefix_.size());
    spans_.push_back({bytes_.size(), suffix.size(), value.size()});
    bytes_.append(suffix).append(value);
  }
  void Truncate(size_t size) {
    if (size == spans_.size()) return;
    bytes_.resize(spans_[size].begin);
    spans_.resize(size);
  }
  const std::string& prefix() const { return prefix_; }
  size_t size() const { return spans_.size(); }
  size_t bytes() const { return bytes_.size(); }
  std::string Key(size_t i) const { return prefix_ + std::string(Suffix(i)); }
  // Valid until the chunk changes.
  absl::StatusOr<FactView> Read(size_t i) const { return ReadFactRow(Suffix(i), Value(i)); }

 private:
  struct Span {
    size_t begin;
    size_t suffix_size;
    size_t value_size;
  };
  std::string_view Suffix(size_t i) const {
    return std::string_view(bytes_).substr(spans_[i].begin, spans_[i].suffix_size);
  }
  std::string_view Value(size_t i) const {
    return std::string_view(bytes_).substr(spans_[i].begin + spans_[i].suffix_size,
                                           spans_[i].value_size);
  }

  std::string prefix_;
  std::vector<Span> spans_;
  std::string bytes_;
};

// A stored block beside the facts that are to join it.
struct Owner {
  std::string key;
  std::string value;
  FactBlock block;  // of `value`

  bool IsRoomy() const { return block.count() <= kRoomyFacts && value.size() <= kRoomyBytes; }
};

class Folder {
 public:
  Folder(KvStore* store, const ViewSchema& schema, uint64_t row_budget)
      : store_(store),
        schema_(schema),
        view_prefix_(ViewPrefix(schema.view_id)),
        row_budget_(row_budget) {}

  absl::StatusOr<FoldResult> Run(std::string_view resume_key) {
    OpenAt(resume_key.empty() ? view_prefix_ : resume_key);
    while (true) {
      ASSIGN_OR_RETURN(const bool within, IsWithin(rows_.get(), view_prefix_));
      if (!within) break;
      if (result_.rows_seen >= row_budget_) {
        result_.resume_key = rows_->key();
        break;
      }
      RETURN_IF_ERROR(FoldNext());
    }
    RETURN_IF_ERROR(Flush());
    return std::move(result_);
  }

 private:
  static absl::StatusOr<bool> IsWithin(KvIterator* iterator, std::string_view prefix) {
    if (iterator->Valid()) return iterator->key().starts_with(prefix);
    RETURN_IF_ERROR(iterator->status());
    return false;
  }
  void OpenAt(std::string_view key) {
    auto iterators = store_->NewIterators({Family::kFacts, Family::kBlocks});
    rows_ = std::move(iterators[0]);
    blocks_ = std::move(iterators[1]);
    rows_->Seek(key);
  }

  // Folds the entity where rows_ stands, or its next chunk.
  absl::Status FoldNext() {
    const std::string_view key = rows_->key();
    ASSIGN_OR_RETURN(const size_t length,
                     KeyLength(schema_.join_keys, key.substr(view_prefix_.size())));
    chunk_.Clear(key.substr(0, view_prefix_.size() + length));
    ASSIGN_OR_RETURN(const bool more, Collect());
    ASSIGN_OR_RETURN(const bool worth, IsWorthFolding());
    if (worth) RETURN_IF_ERROR(FoldChunk());
    if (more) {  // the next chunk must see the blocks of this one
      const std::string next(rows_->key());
      RETURN_IF_ERROR(Flush());
      OpenAt(next);
    } else if (batch_.bytes() >= kBatchBytes) {
      RETURN_IF_ERROR(Flush());
    }
    return absl::OkStatus();
  }

  // Copies rows of the entity, whole instants, without those too large for a block. True: the
  // entity has more.
  absl::StatusOr<bool> Collect() {
    size_t instant_begin = 0;
    size_t instant_bytes = 0;
    std::optional<int64_t> instant;
    while (true) {
      ASSIGN_OR_RETURN(const bool within, IsWithin(rows_.get(), chunk_.prefix()));
      if (!within) return false;
      const std::string_view suffix = rows_->key().substr(chunk_.prefix().size());
      ASSIGN_OR_RETURN(const FactView fact, ReadFactRow(suffix, rows_->value()));
      if (fact.at.event_time != instant) {
        if (chunk_.size() >= kChunkRows || chunk_.bytes() >= kChunkBytes) return true;
        instant = fact.at.event_time;
        instant_begin = chunk_.size();
        instant_bytes = 0;
      }
      ++result_.rows_seen;
      instant_bytes += BytesInBlock(fact);
      if (instant_bytes > limits::kMaxFactBlockBytes) {
        chunk_.Truncate(instant_begin);
        rows_->Seek(FactPrefixEnd(FactSeekKey(chunk_.prefix(), *instant)));
      } else {
        chunk_.Add(rows_->key(), rows_->value());
        rows_->Next();
      }
    }
  }

  // Many rows; or some of an entity of which at most one block is there, not much larger than they.
  absl::StatusOr<bool> IsWorthFolding() {
    if (chunk_.size() >= limits::kFoldRows) return true;
    if (chunk_.size() < limits::kFoldFewRows) return false;
    blocks_->Seek(chunk_.prefix());
    ASSIGN_OR_RETURN(const bool any, IsWithin(blocks_.get(), chunk_.prefix()));
    if (!any) return true;
    ASSIGN_OR_RETURN(const FactBlock block, FactBlock::Parse(blocks_->value()));
    if (block.count() > limits::kFoldRewrites * chunk_.size()) return false;
    blocks_->Next();
    ASSIGN_OR_RETURN(const bool more, IsWithin(blocks_.get(), chunk_.prefix()));
    return !more;
  }

  absl::Status FoldChunk() {
    rows_of_chunk_.clear();
    for (size_t i = 0; i < chunk_.size(); ++i) {
      ASSIGN_OR_RETURN(FactView fact, chunk_.Read(i));
      rows_of_chunk_.push_back(fact);
    }
    blocks_->Seek(chunk_.prefix());
    ASSIGN_OR_RETURN(const bool any, IsWithin(blocks_.get(), chunk_.prefix()));
    const std::string newest_block(any ? blocks_->key() : std::string_view());
    std::string last_owner;  // of the rows before
    for (size_t begin = 0, end; begin < chunk_.size(); begin = end) {
      const int64_t newest = rows_of_chunk_[begin].at.event_time;
      ASSIGN_OR_RETURN(std::optional<Owner> owner, FindOwner(newest));
      end = begin + 1;
      const int64_t oldest = owner.has_value() ? owner->block.oldest() : newest;
      while (end < chunk_.size() &&
             (!owner.has_value() || rows_of_chunk_[end].at.event_time >= oldest)) {
        ++end;
      }
      const bool fill = any ? owner.has_value() && owner->key == newest_block : true;
      if (!owner.has_value() && any) {
        ASSIGN_OR_RETURN(owner, FindOldest(newest));
        if (owner.has_value() && (owner->key == last_owner || !owner->IsRoomy())) owner.reset();
      }
      if (owner.has_value()) last_owner = owner->key;
      Merge(begin, end, std::move(owner), fill);
    }
    return absl::OkStatus();
  }

  // The newest block with a fact at or before `t`.
  absl::StatusOr<std::optional<Owner>> FindOwner(int64_t t) {
    blocks_->Seek(FactSeekKey(chunk_.prefix(), t));
    return TakeOwner();
  }
  // The oldest block. REQUIRES: none is older than `t`.
  absl::StatusOr<std::optional<Owner>> FindOldest(int64_t t) {
    blocks_->SeekForPrev(FactSeekKey(chunk_.prefix(), t));
    return TakeOwner();
  }
  absl::StatusOr<std::optional<Owner>> TakeOwner() {
    ASSIGN_OR_RETURN(const bool within, IsWithin(blocks_.get(), chunk_.prefix()));
    if (!within) return std::optional<Owner>();
    Owner owner{std::string(blocks_->key()), std::string(blocks_->value()), {}};
    ASSIGN_OR_RETURN(owner.block, FactBlock::Parse(owner.value));
    RETURN_IF_ERROR(owner.block.Check());
    return std::optional<Owner>(std::move(owner));
  }

  // Makes blocks of rows [begin, end) and, where they belong together, the owner's facts.
  void Merge(size_t begin, size_t end, std::optional<Owner> owner, bool fill) {
    if (owner.has_value()) {
      size_t above = begin;  // rows newer than all of the owner's
      while (above < end && rows_of_chunk_[above].at.event_time > owner->block.newest()) ++above;
      const bool apart = above == end && !owner->IsRoomy();
      if (owner->value.size() > limits::kMaxFactBlockBytes) end = above;  // it is large enough
      if (apart || owner->value.size() > limits::kMaxFactBlockBytes) owner.reset();
    }
    facts_.clear();
    size_t row = begin;
    const size_t stored = owner.has_value() ? owner->block.count() : 0;
    for (size_t i = 0; i < stored; ++i) {
      const FactView fact = *owner->block.Read(i);  // was checked
      while (row < end && StandsBefore(rows_of_chunk_[row].at, fact.at)) {
        facts_.push_back(rows_of_chunk_[row++]);
      }
      if (row < end && !StandsBefore(fact.at, rows_of_chunk_[row].at)) ++row;  // the same fact
      facts_.push_back(fact);
    }
    facts_.insert(facts_.end(), rows_of_chunk_.begin() + static_cast<ptrdiff_t>(row),
                  rows_of_chunk_.begin() + static_cast<ptrdiff_t>(end));
    if (owner.has_value()) batch_.Delete(Family::kBlocks, owner->key);
    for (size_t i = begin; i < end; ++i) batch_.Delete(Family::kFacts, chunk_.Key(i));
    AddBlocks(fill);
    result_.rows_folded += end - begin;
    result_.facts_rewritten += stored;
  }

  // Cuts facts_ into blocks, from the oldest on. `fill`: full ones and a rest, which newer facts
  // will join; else even ones.
  void AddBlocks(bool fill) {
    size_t most = limits::kFactsPerBlock;
    if (!fill) {
      const size_t count = (facts_.size() + most - 1) / most;
      most = count == 0 ? most : (facts_.size() + count - 1) / count;
    }
    size_t begin;
    for (size_t end = facts_.size(); end > 0; end = begin) {
      size_t bytes = 0;
      begin = end;
      while (begin > 0) {
        const auto [instant, instant_bytes] = InstantBefore(begin);
        const bool full = end - instant > most || bytes + instant_bytes > limits::kFactBlockBytes;
        if (begin != end && full) break;
        begin = instant;
        bytes += instant_bytes;
      }
      for (size_t i = begin; i < end; ++i) builder_.Add(facts_[i]);
      batch_.Put(Family::kBlocks, FactBlockKey(chunk_.prefix(), facts_[end - 1].at.event_time),
                 builder_.Finish());
      ++result_.blocks_written;
    }
  }
  // Where the instant that ends before `end` begins in facts_, and its bytes.
  std::pair<size_t, size_t> InstantBefore(size_t end) const {
    size_t begin = end;
    size_t bytes = 0;
    do {
      bytes += BytesInBlock(facts_[--begin]);
    } while (begin > 0 && facts_[begin - 1].at.event_time == facts_[begin].at.event_time);
    return {begin, bytes};
  }

  absl::Status Flush() {
    if (batch_.empty()) return absl::OkStatus();
    RETURN_IF_ERROR(store_->Write(batch_, /*sync=*/false));
    batch_.Clear();
    return absl::OkStatus();
  }

  KvStore* const store_;
  const ViewSchema& schema_;
  const std::string view_prefix_;
  const uint64_t row_budget_;
  std::unique_ptr<KvIterator> rows_;
  std::unique_ptr<KvIterator> blocks_;
  Chunk chunk_;
  std::vector<FactView> rows_of_chunk_;  // views into chunk_
  std::vector<FactView> facts_;          // views into chunk_ and an owner
  FactBlockBuilder builder_;
  KvBatch batch_;
  FoldResult result_;
};

}  // namespace

absl::StatusOr<FoldResult> FoldView(KvStore* store, const ViewSchema& schema,
                                    std::string_view resume_key, uint64_t row_budget) {
  return Folder(store, schema, row_budget).Run(resume_key);
}

}  // namespace fletch
