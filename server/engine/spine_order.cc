// SPDX-License-Identifier: Apache-2.0
#include "server/engine/spine_order.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "storage/big_endian.h"
#include "storage/entity_key.h"

namespace fletch {
namespace {

constexpr size_t kSamplesPerPiece = 64;  // pieces then differ by a tenth or two

uint64_t PrefixOf(std::string_view key) {
  char bytes[sizeof(uint64_t)] = {};
  std::memcpy(bytes, key.data(), std::min(key.size(), sizeof(bytes)));
  return ReadU64(bytes);
}

}  // namespace

SpineOrder::SpineOrder(size_t row_count) {
  keys_.reserve(row_count * sizeof(uint64_t));
  key_ends_.reserve(row_count + 1);
  key_ends_.push_back(0);
  questions_.reserve(row_count);
}

void SpineOrder::Add(absl::Span<const Column* const> keys, absl::Span<const int64_t> times,
                     size_t begin, size_t end) {
  for (size_t row = begin; row < end; ++row) {
    const size_t from = keys_.size();
    AppendKey(keys, row, &keys_);
    short_keys_ = short_keys_ && keys_.size() - from <= sizeof(uint64_t);
    prefixes_are_keys_ = prefixes_are_keys_ && keys_.size() - from == sizeof(uint64_t);
    questions_.push_back({PrefixOf(std::string_view(keys_).substr(from)), times[row],
                          static_cast<uint32_t>(questions_.size())});
    key_ends_.push_back(keys_.size());
  }
}

std::string SpineOrder::Key(const SpineQuestion& question) const {
  if (!prefixes_are_keys_) return std::string(Stored(question));
  std::string key;
  AppendU64(question.key_prefix, &key);
  return key;
}

bool SpineOrder::BeforeByKey(const SpineQuestion& a, const SpineQuestion& b) const {
  const int keys = Stored(a).compare(Stored(b));
  return keys != 0 ? keys < 0 : a.as_of > b.as_of;
}

void SpineOrder::Sort(absl::Span<SpineQuestion> piece) const {
  std::sort(piece.begin(), piece.end(),
            [this](const SpineQuestion& a, const SpineQuestion& b) { return Before(a, b); });
}

std::vector<SpineQuestion> SpineOrder::Splitters(size_t pieces) const {
  std::vector<SpineQuestion> samples;
  const size_t count = pieces * kSamplesPerPiece;
  for (size_t i = 0; i < count; ++i) samples.push_back(questions_[i * questions_.size() / count]);
  Sort(absl::MakeSpan(samples));
  std::vector<SpineQuestion> splitters;
  for (size_t i = 1; i < pieces; ++i) splitters.push_back(samples[i * kSamplesPerPiece]);
  return splitters;
}

std::vector<absl::Span<SpineQuestion>> SpineOrder::Cut(size_t count) {
  std::vector<absl::Span<SpineQuestion>> pieces;
  if (count <= 1 || questions_.size() < count * kSamplesPerPiece) {
    pieces.push_back(absl::MakeSpan(questions_));
    return pieces;
  }
  const std::vector<SpineQuestion> splitters = Splitters(count);
  const auto before = [this](const SpineQuestion& a, const SpineQuestion& b) {
    return Before(a, b);
  };
  std::vector<uint16_t> piece_of(questions_.size());
  std::vector<size_t> ends(count + 1, 0);
  for (size_t i = 0; i < questions_.size(); ++i) {
    const auto at = std::upper_bound(splitters.begin(), splitters.end(), questions_[i], before);
    piece_of[i] = static_cast<uint16_t>(at - splitters.begin());
    ++ends[piece_of[i] + 1];
  }
  for (size_t p = 0; p < count; ++p) ends[p + 1] += ends[p];
  std::vector<size_t> next(ends.begin(), ends.end() - 1);
  std::vector<SpineQuestion> cut(questions_.size());
  for (size_t i = 0; i < questions_.size(); ++i) cut[next[piece_of[i]]++] = questions_[i];
  questions_ = std::move(cut);
  for (size_t p = 0; p < count; ++p) {
    if (ends[p] < ends[p + 1]) {
      pieces.push_back(absl::MakeSpan(questions_).subspan(ends[p], ends[p + 1] - ends[p]));
    }
  }
  return pieces;
}

}  // namespace fletch
