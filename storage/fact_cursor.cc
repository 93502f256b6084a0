// SPDX-License-Identifier: Apache-2.0
#include "storage/fact_cursor.h"

#include "base/status.h"

namespace fletch {
namespace {

// A step costs about a tenth of a seek in RocksDB. Where steps did not lead there the next question
// is likely far too.
constexpr int kStepsWhenNear = 6;
constexpr int kStepsWhenFar = 1;

}  // namespace

void FactCursor::Seek(std::string_view key) {
  if (iterator_ == nullptr) {
    iterator_ = store_->NewIterator(Family::kFacts);
  } else if (iterator_->Valid() && (behind_is_key_ ? behind_ < key : behind_ <= key)) {
    for (int steps = 0; iterator_->Valid(); ++steps) {
      if (iterator_->key() >= key) {
        near_ = true;
        return;
      }
      if (steps == (near_ ? kStepsWhenNear : kStepsWhenFar)) break;
      Next();
    }
    near_ = false;
  }
  iterator_->Seek(key);
  behind_.assign(key);
  behind_is_key_ = false;
}

void FactCursor::Next() {
  behind_.assign(iterator_->key());
  behind_is_key_ = true;
  iterator_->Next();
}

absl::StatusOr<bool> FactCursor::IsWithin(std::string_view prefix) const {
  if (!iterator_->Valid()) {
    RETURN_IF_ERROR(iterator_->status());
    return false;
  }
  return iterator_->key().starts_with(prefix);
}

absl::StatusOr<FactView> FactCursor::Read(std::string_view prefix) const {
  const std::optional<FactSuffix> suffix = ParseFactSuffix(iterator_->key().substr(prefix.size()));
  const std::string_view value = iterator_->value();
  if (!suffix.has_value() || value.empty())
    return DataLoss("a stored fact's key or value is cut short");
  const FactForm form = static_cast<FactForm>(value[0]);
  const bool fits = form == FactForm::kRetraction
                        ? value.size() == 1
                        : form == (suffix->tombstone ? FactForm::kTombstone : FactForm::kRow);
  if (!fits) return DataLoss("a stored fact has a form that its key cannot have");
  return FactView{*suffix, form, value.substr(1)};
}

FactRef ToFactRef(const FactView& fact, std::string_view entity_key) {
  return FactRef{fact.form,  fact.at.event_time, fact.at.commit_seq,
                 entity_key, fact.at.tombstone,  Complement(fact.at.event_key_complement),
                 fact.row};
}

}  // namespace fletch
