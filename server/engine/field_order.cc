// SPDX-License-Identifier: Apache-2.0
#include "server/engine/field_order.h"

#include <algorithm>

namespace fletch {

bool FieldOrder::Less(uint64_t a, uint64_t b) const {
  if (texts_ == nullptr || a == b) return a < b;
  return texts_->text(static_cast<Ordinal>(a)) < texts_->text(static_cast<Ordinal>(b));
}

void FieldOrder::Append(uint64_t word, Ordinal entity) {
  if (words_.empty() || words_.back() != word) {
    words_.push_back(word);
    starts_.push_back(size());
  }
  entities_.push_back(entity);
}

FieldOrder FieldOrder::Merge(absl::FunctionRef<bool(Ordinal)> changed,
                             std::vector<Entry> fresh) const {
  std::sort(fresh.begin(), fresh.end(), [this](const Entry& a, const Entry& b) {
    return a.word == b.word ? a.entity < b.entity : Less(a.word, b.word);
  });
  FieldOrder merged(texts_);
  merged.entities_.reserve(entities_.size() + fresh.size());
  auto next = fresh.begin();
  for (size_t i = 0; i < words_.size(); ++i) {
    for (; next != fresh.end() && Less(next->word, words_[i]); ++next) {
      merged.Append(next->word, next->entity);
    }
    const uint32_t end = i + 1 < starts_.size() ? starts_[i + 1] : size();
    for (uint32_t at = starts_[i]; at < end; ++at) {
      if (!changed(entities_[at])) merged.Append(words_[i], entities_[at]);
    }
  }
  for (; next != fresh.end(); ++next) merged.Append(next->word, next->entity);
  merged.entities_.shrink_to_fit();
  merged.words_.shrink_to_fit();
  merged.starts_.shrink_to_fit();
  return merged;
}

uint32_t FieldOrder::CountWhile(absl::FunctionRef<bool(uint64_t)> before) const {
  const auto place = std::partition_point(words_.begin(), words_.end(), before);
  return place == words_.end() ? size() : starts_[place - words_.begin()];
}

uint64_t FieldOrder::bytes() const {
  return words_.capacity() * sizeof(uint64_t) + starts_.capacity() * sizeof(uint32_t) +
         entities_.capacity() * sizeof(Ordinal);
}

}  // namespace fletch
