// SPDX-License-Identifier: Apache-2.0
#include "storage/fact_block.h"

#include "base/status.h"
#include "storage/big_endian.h"

namespace fletch {
namespace {

constexpr char kBlockVersion = 1;
constexpr size_t kHeaderBytes = 2 + sizeof(uint32_t);
constexpr size_t kFactBytes = sizeof(int64_t) + sizeof(uint64_t) + 1 + sizeof(uint32_t);
constexpr int kKindShift = 4;  // of a tag: form below, kind above
constexpr char kIdentities[] = {kTombstoneKind, kRowKind};

absl::Status Damaged(const char* what) {
  return DataLoss(std::string("a stored block of facts is damaged: ") + what);
}

template <typename T>
void AppendNative(T value, std::string* out) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

}  // namespace

absl::StatusOr<FactView> ReadFactRow(std::string_view suffix, std::string_view value) {
  const std::optional<FactSuffix> at = ParseFactSuffix(suffix);
  if (!at.has_value() || value.empty())
    return DataLoss("a stored fact's key or value is cut short");
  const FactForm form = static_cast<FactForm>(value[0]);
  const bool fits = form == FactForm::kRetraction
                        ? value.size() == 1
                        : form == (at->tombstone ? FactForm::kTombstone : FactForm::kRow);
  if (!fits) return DataLoss("a stored fact has a form that its key cannot have");
  return FactView{*at, form, value.substr(1)};
}

absl::StatusOr<FactBlock> FactBlock::Parse(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes || bytes[0] != kBlockVersion || (bytes[1] & ~1) != 0) {
    return Damaged("it has no header");
  }
  const bool event_keys = bytes[1] != 0;
  FactBlock block;
  block.count_ = Load<uint32_t>(bytes.data() + 2, 0);
  const size_t fact_bytes = kFactBytes + (event_keys ? sizeof(uint32_t) : 0);
  if (block.count_ == 0 || block.count_ > (bytes.size() - kHeaderBytes) / fact_bytes) {
    return Damaged("it is cut short");
  }
  block.times_ = bytes.data() + kHeaderBytes;
  block.commits_ = block.times_ + block.count_ * sizeof(int64_t);
  block.tags_ = block.commits_ + block.count_ * sizeof(uint64_t);
  const char* at = block.tags_ + block.count_;
  if (event_keys) {
    block.identity_ends_ = at;
    at += block.count_ * sizeof(uint32_t);
  }
  block.row_ends_ = at;
  at += block.count_ * sizeof(uint32_t);
  const std::string_view rest(at, static_cast<size_t>(bytes.data() + bytes.size() - at));
  const size_t identity_bytes =
      event_keys ? Load<uint32_t>(block.identity_ends_, block.count_ - 1) : 0;
  if (identity_bytes > rest.size() ||
      Load<uint32_t>(block.row_ends_, block.count_ - 1) != rest.size() - identity_bytes) {
    return Damaged("its parts do not add up");
  }
  block.identities_ = rest.substr(0, identity_bytes);
  block.rows_ = rest.substr(identity_bytes);
  return block;
}

size_t FactBlock::FindAtOrBefore(int64_t t, size_t from) const {
  size_t length = count_ - from;
  while (length > 0) {
    const size_t half = length / 2;
    if (event_time(from + half) <= t) {
      length = half;
    } else {
      from += half + 1;
      length -= half + 1;
    }
  }
  return from;
}

size_t FactBlock::FindKnown(uint64_t known_at, size_t from) const {
  while (from < count_ && Load<uint64_t>(commits_, from) > known_at) ++from;
  return from;
}

absl::StatusOr<FactView> FactBlock::Read(size_t i) const {
  const uint8_t tag = static_cast<uint8_t>(tags_[i]);
  const uint8_t kind = tag >> kKindShift;
  const FactForm form = static_cast<FactForm>(tag & ((1 << kKindShift) - 1));
  const uint32_t row_begin = i == 0 ? 0 : Load<uint32_t>(row_ends_, i - 1);
  const uint32_t row_end = Load<uint32_t>(row_ends_, i);
  if (kind > kRowKind || row_begin > row_end || row_end > rows_.size()) {
    return Damaged("a fact's row is out of bounds");
  }
  if (form != FactForm::kRetraction &&
      form != (kind == kRowKind ? FactForm::kRow : FactForm::kTombstone)) {
    return Damaged("a fact has a form that its identity cannot have");
  }
  if (form != FactForm::kRow && row_begin != row_end) {
    return Damaged("a fact that is no row has one");
  }
  std::string_view identity(&kIdentities[kind], 1);
  if (identity_ends_ != nullptr) {
    const uint32_t begin = i == 0 ? 0 : Load<uint32_t>(identity_ends_, i - 1);
    const uint32_t end = Load<uint32_t>(identity_ends_, i);
    if (begin >= end || end > identities_.size()) {
      return Damaged("a fact's event key is out of bounds");
    }
    identity = identities_.substr(begin, end - begin);
    if (identity[0] != static_cast<char>(kind) || (kind == kTombstoneKind && identity.size() > 1)) {
      return Damaged("a fact's event key is not of its identity");
    }
  }
  return FactView{{event_time(i), Load<uint64_t>(commits_, i), kind == kTombstoneKind,
                   identity.substr(1), identity},
                  form,
                  rows_.substr(row_begin, row_end - row_begin)};
}

absl::Status FactBlock::Check() const {
  FactSuffix before;
  for (size_t i = 0; i < count_; ++i) {
    ASSIGN_OR_RETURN(const FactView fact, Read(i));
    if (i > 0 && !StandsBefore(before, fact.at)) return Damaged("its facts are out of order");
    before = fact.at;
  }
  return absl::OkStatus();
}

void FactBlockBuilder::Add(const FactView& fact) {
  const uint8_t kind = static_cast<uint8_t>(fact.at.identity[0]);
  ++count_;
  event_keys_ = event_keys_ || fact.at.identity.size() > 1;
  AppendNative(fact.at.event_time, &times_);
  AppendNative(fact.at.commit_seq, &commits_);
  tags_.push_back(static_cast<char>(static_cast<uint8_t>(fact.form) | kind << kKindShift));
  identities_ += fact.at.identity;
  rows_ += fact.row;
  AppendNative(static_cast<uint32_t>(identities_.size()), &identity_ends_);
  AppendNative(static_cast<uint32_t>(rows_.size()), &row_ends_);
}

std::string FactBlockBuilder::Finish() {
  std::string out;
  out.reserve(kHeaderBytes + count_ * (kFactBytes + sizeof(uint32_t)) + identities_.size() +
              rows_.size());
  out.push_back(kBlockVersion);
  out.push_back(event_keys_ ? 1 : 0);
  AppendNative(static_cast<uint32_t>(count_), &out);
  for (const std::string* part : {&times_, &commits_, &tags_}) out += *part;
  if (event_keys_) out += identity_ends_;
  out += row_ends_;
  if (event_keys_) out += identities_;
  out += rows_;
  count_ = 0;
  event_keys_ = false;
  for (std::string* part :
       {&times_, &commits_, &tags_, &identity_ends_, &row_ends_, &identities_, &rows_}) {
    part->clear();
  }
  return out;
}

size_t BytesInBlock(const FactView& fact) {
  return kFactBytes + sizeof(uint32_t) + fact.at.identity.size() + fact.row.size();
}

std::string FactBlockKey(std::string_view prefix, int64_t oldest) {
  return FactSeekKey(prefix, oldest);
}

}  // namespace fletch
