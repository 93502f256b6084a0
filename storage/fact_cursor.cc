// SPDX-License-Identifier: Apache-2.0
#include "storage/fact_cursor.h"

#include <algorithm>

#include "base/status.h"
#include "storage/big_endian.h"
#include "storage/entity_key.h"

namespace fletch {
namespace {

constexpr int kSeeksBeforeSteps = 8;  // in vain: then steps are tried again

}  // namespace

void NearSeeker::Seek(std::string_view key) {
  const bool ahead = positioned_ && (behind_is_key_ ? behind_ < key : behind_ <= key);
  if (ahead) {
    for (int steps = 0;; ++steps) {
      if (!valid_ || key_ >= key) {
        if (steps > 0) {
          steps_ = std::min(2 * steps_, most_steps_);
          seeks_ = 0;
        }
        return;
      }
      if (steps == steps_) break;
      Next();
    }
    steps_ /= 2;
    if (++seeks_ % kSeeksBeforeSteps == 0) steps_ = most_steps_;
  }
  iterator_->Seek(key);
  behind_.assign(key);
  behind_is_key_ = false;
  positioned_ = true;
  Look();
}

void NearSeeker::Next() {
  behind_.assign(key_);
  behind_is_key_ = true;
  iterator_->Next();
  Look();
}

void NearSeeker::Look() {
  valid_ = iterator_->Valid();
  if (valid_) key_ = iterator_->key();
}

absl::StatusOr<bool> NearSeeker::AtEnd() const {
  RETURN_IF_ERROR(iterator_->status());
  return false;
}

void FactCursor::Open() {
  if (open_) return;
  const std::initializer_list<Family> families = {Family::kFacts, Family::kBlocks};
  auto iterators = sweep_ ? store_->NewSweep(families) : store_->NewIterators(families);
  rows_.Reset(std::move(iterators[0]));
  blocks_.Reset(std::move(iterators[1]));
  open_ = true;
}

absl::StatusOr<std::string> FactCursor::FindEntity(const ViewSchema& schema, std::string_view from,
                                                   std::string_view range) {
  Open();
  fact_ = nullptr;
  on_row_ = on_block_ = block_loaded_ = false;
  row_upto_ = block_fact_upto_ = kNowhere;
  std::string first;
  for (NearSeeker* const side : {&rows_, &blocks_}) {
    side->Seek(from);
    ASSIGN_OR_RETURN(const bool within, side->IsWithin(range));
    if (!within) continue;
    const std::string_view key = side->key();
    ASSIGN_OR_RETURN(const size_t length, KeyLength(schema.join_keys, key.substr(sizeof(ViewId))));
    const std::string_view prefix = key.substr(0, sizeof(ViewId) + length);
    if (first.empty() || prefix < first) first.assign(prefix);
  }
  return first;
}

absl::Status FactCursor::Seek(std::string_view prefix, int64_t t, uint64_t known_at) {
  Open();
  if (prefix_ != prefix) {
    prefix_.assign(prefix);
    seek_key_.assign(prefix);
    block_loaded_ = false;
    row_upto_ = block_fact_upto_ = kNowhere;
  } else if (known_at > known_at_) {
    row_upto_ = block_fact_upto_ = kNowhere;
  }
  known_at_ = known_at;
  RETURN_IF_ERROR(SeekBlock(t));
  RETURN_IF_ERROR(SeekRow(t));
  Settle();
  return absl::OkStatus();
}

void FactCursor::MakeSeekKey(int64_t t) {
  seek_key_.resize(prefix_.size());
  AppendU64(~OrderedFromInt64(t), &seek_key_);
}

absl::Status FactCursor::SeekRow(int64_t t) {
  const bool stands = t <= row_upto_ && (!on_row_ || row_fact_.at.event_time <= t);
  row_upto_ = kNowhere;
  if (!stands) {
    MakeSeekKey(t);
    rows_.Seek(seek_key_);
    RETURN_IF_ERROR(TakeRow());
  } else if (on_row_ && row_fact_.at.commit_seq > known_at_) {
    RETURN_IF_ERROR(TakeRow());
  }
  row_upto_ = t;
  return absl::OkStatus();
}

absl::Status FactCursor::SeekBlock(int64_t t) {
  const bool stands = t <= block_fact_upto_ && (!on_block_ || block_fact_.at.event_time <= t);
  block_fact_upto_ = kNowhere;
  if (stands) {
    if (on_block_) RETURN_IF_ERROR(TakeFactOfBlock(block_index_));
  } else if (block_loaded_ && t <= block_upto_ && t >= block_.oldest()) {
    on_block_ = true;
    const size_t from = t < block_.event_time(block_index_) ? block_index_ : 0;
    RETURN_IF_ERROR(TakeFactOfBlock(block_.FindAtOrBefore(t, from)));
  } else {
    MakeSeekKey(t);
    blocks_.Seek(seek_key_);
    RETURN_IF_ERROR(TakeBlock());
    block_upto_ = t;
    if (on_block_) RETURN_IF_ERROR(TakeFactOfBlock(block_.FindAtOrBefore(t, 0)));
  }
  block_fact_upto_ = t;
  return absl::OkStatus();
}

absl::Status FactCursor::TakeRow() {
  for (;; rows_.Next()) {
    ASSIGN_OR_RETURN(on_row_, rows_.IsWithin(prefix_));
    if (!on_row_) return absl::OkStatus();
    ASSIGN_OR_RETURN(row_fact_, ReadFactRow(rows_.key().substr(prefix_.size()), rows_.value()));
    if (row_fact_.at.commit_seq <= known_at_) return absl::OkStatus();
  }
}

absl::Status FactCursor::TakeBlock() {
  block_loaded_ = false;
  ASSIGN_OR_RETURN(on_block_, blocks_.IsWithin(prefix_));
  if (!on_block_) return absl::OkStatus();
  ASSIGN_OR_RETURN(block_, FactBlock::Parse(blocks_.value()));
  const std::string_view time = blocks_.key().substr(prefix_.size());
  if (time.size() != sizeof(int64_t) ||
      Int64FromOrdered(~ReadU64(time.data())) != block_.oldest()) {
    return DataLoss("a stored block of facts is not what its key says");
  }
  block_loaded_ = true;
  block_index_ = 0;
  return absl::OkStatus();
}

absl::Status FactCursor::TakeFactOfBlock(size_t i) {
  i = block_.FindKnown(known_at_, i);
  while (i == block_.count()) {
    const int64_t upto = block_.oldest() - 1;
    blocks_.Next();
    RETURN_IF_ERROR(TakeBlock());
    if (!on_block_) return absl::OkStatus();
    block_upto_ = upto;
    i = block_.FindKnown(known_at_, 0);
  }
  block_index_ = i;
  ASSIGN_OR_RETURN(block_fact_, block_.Read(i));
  return absl::OkStatus();
}

absl::Status FactCursor::Next() {
  const int64_t upto = fact_->at.event_time - 1;
  const bool row_moves = fact_ == &row_fact_ || same_;
  const bool block_moves = fact_ == &block_fact_;
  fact_ = nullptr;
  if (row_moves) {
    row_upto_ = kNowhere;
    rows_.Next();
    RETURN_IF_ERROR(TakeRow());
    row_upto_ = upto;
  }
  if (block_moves) {
    block_fact_upto_ = kNowhere;
    RETURN_IF_ERROR(TakeFactOfBlock(block_index_ + 1));
    block_fact_upto_ = upto;
  }
  Settle();
  return absl::OkStatus();
}

void FactCursor::Settle() {
  same_ = false;
  if (!on_row_ || !on_block_) {
    fact_ = on_row_ ? &row_fact_ : on_block_ ? &block_fact_ : nullptr;
  } else if (StandsBefore(row_fact_.at, block_fact_.at)) {
    fact_ = &row_fact_;
  } else {
    fact_ = &block_fact_;
    same_ = !StandsBefore(block_fact_.at, row_fact_.at);
  }
}

bool CurrentForms::IsCurrent(const FactSuffix& at) {
  if (!any_ || at.event_time != instant_) {
    any_ = true;
    instant_ = at.event_time;
    first_.assign(at.identity);
    if (!met_.empty()) met_.clear();
    return true;
  }
  if (met_.empty()) {
    if (at.identity == first_) return false;
    met_.insert(first_);
  }
  if (met_.contains(at.identity)) return false;
  met_.emplace(at.identity);
  return true;
}

FactRef ToFactRef(const FactView& fact, std::string_view entity_key) {
  return FactRef{fact.form,  fact.at.event_time, fact.at.commit_seq,
                 entity_key, fact.at.tombstone,  Complement(fact.at.event_key_complement),
                 fact.row};
}

}  // namespace fletch
