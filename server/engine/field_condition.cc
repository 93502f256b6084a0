// SPDX-License-Identifier: Apache-2.0
#include "server/engine/field_condition.h"

#include <algorithm>
#include <limits>
#include <variant>

#include "server/engine/field_word.h"

namespace fletch {
namespace {

using Kind = FilterSpec::Kind;
using Op = FilterSpec::Op;

// Texts judged before any entity is looked at, so that most look-ups are of one bit.
constexpr uint32_t kKnownTexts = 4096;

std::partial_ordering CompareWord(ValueType type, uint64_t word, const Literal& literal) {
  if (type == ValueType::kBool) return IntOfWord(word) <=> (std::get<bool>(literal) ? 1 : 0);
  if (IsReal(type)) return CompareReal(RealOfWord(word), literal);
  return CompareInt(IntOfWord(word), literal);
}

std::string_view TextOf(const Literal& literal) { return std::get<std::string>(literal); }

}  // namespace

bool FieldCondition::TextRange::IsThrough(std::string_view text) const {
  if (prefix) return text.substr(0, low.size()) <= low;
  if (!high.has_value()) return true;
  return high_open ? text < *high : text <= *high;
}

FieldCondition::FieldCondition(const FilterNode& leaf, const Dictionary* texts)
    : leaf_(leaf), texts_(texts), negated_(leaf.kind == Kind::kCompare && leaf.op == Op::kNe) {
  if (texts_ == nullptr) {
    AddNumbers();
  } else {
    AddTexts();
  }
}

// The first word whose value is not before the literal, or, with `after`, is after it.
std::optional<uint64_t> FieldCondition::FirstWord(const Literal& literal, bool after) const {
  const auto reached = [&](uint64_t word) {
    const std::partial_ordering order = CompareWord(leaf_.type, word, literal);
    return after ? order > 0 : order >= 0;
  };
  uint64_t low = min_word_;
  uint64_t high = max_word_;
  if (!reached(high)) return std::nullopt;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (reached(middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

void FieldCondition::AddNumberRange(std::optional<uint64_t> first, std::optional<uint64_t> after) {
  if (!first.has_value() || (after.has_value() && *after <= *first)) return;
  words_.push_back({*first, after.has_value() ? *after - 1 : max_word_});
}

void FieldCondition::AddNumbers() {
  if (IsReal(leaf_.type)) {
    min_word_ = WordOfReal(-std::numeric_limits<double>::infinity());
    max_word_ = WordOfReal(std::numeric_limits<double>::infinity());
  }
  const std::vector<Literal>& values = leaf_.values;
  if (leaf_.kind == Kind::kBetween) {
    return AddNumberRange(FirstWord(values[0], false), FirstWord(values[1], true));
  }
  if (leaf_.kind == Kind::kIn || leaf_.op == Op::kEq || leaf_.op == Op::kNe) {
    for (const Literal& value : values) {
      AddNumberRange(FirstWord(value, false), FirstWord(value, true));
    }
    std::sort(words_.begin(), words_.end(),
              [](const WordRange& a, const WordRange& b) { return a.first < b.first; });
    // Two values that are equal to the same words have the same range: 2 and 2.0.
    words_.erase(
        std::unique(words_.begin(), words_.end(),
                    [](const WordRange& a, const WordRange& b) { return a.first == b.first; }),
        words_.end());
    return;
  }
  const bool upwards = leaf_.op == Op::kGt || leaf_.op == Op::kGe;
  const bool after = leaf_.op == Op::kGt || leaf_.op == Op::kLe;
  const std::optional<uint64_t> border = FirstWord(values[0], after);
  if (upwards) {
    AddNumberRange(border, std::nullopt);
  } else {
    AddNumberRange(min_word_, border);
  }
}

void FieldCondition::AddTexts() {
  const std::vector<Literal>& values = leaf_.values;
  const bool is_compare = leaf_.kind == Kind::kCompare;
  if (leaf_.kind == Kind::kIn || (is_compare && (leaf_.op == Op::kEq || leaf_.op == Op::kNe))) {
    return AddKnownTexts();
  }
  by_text_ = true;
  const std::string_view value = TextOf(values[0]);
  if (leaf_.kind == Kind::kBetween) {
    if (value <= TextOf(values[1])) text_ranges_.push_back({value, TextOf(values[1])});
  } else if (leaf_.op == Op::kPrefix) {
    text_ranges_.push_back({.low = value, .high = {}, .prefix = true});
  } else if (leaf_.op == Op::kLt || leaf_.op == Op::kLe) {
    text_ranges_.push_back({.low = {}, .high = value, .high_open = leaf_.op == Op::kLt});
  } else if (leaf_.op == Op::kGt || leaf_.op == Op::kGe) {
    text_ranges_.push_back({.low = value, .high = {}, .low_open = leaf_.op == Op::kGt});
  }
  const uint32_t known = texts_->size();
  if (known > kKnownTexts) return;
  for (Ordinal text = 0; text < known; ++text) known_.push_back(HoldsOfText(texts_->text(text)));
}

// Equality: words decide.
void FieldCondition::AddKnownTexts() {
  std::vector<std::string_view> values;
  for (const Literal& value : leaf_.values) values.push_back(TextOf(value));
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  for (const std::string_view value : values) {
    const std::optional<Ordinal> word = texts_->Find(value);
    if (!word.has_value()) continue;
    words_.push_back({*word, *word});
    text_ranges_.push_back({.low = value, .high = value});
  }
  std::sort(words_.begin(), words_.end(),
            [](const WordRange& a, const WordRange& b) { return a.first < b.first; });
}

bool FieldCondition::HoldsOfText(std::string_view text) const {
  if (text_ranges_.empty()) {
    return leaf_.kind == Kind::kCompare && leaf_.op == Op::kContains &&
           HoldsText(Op::kContains, text, TextOf(leaf_.values[0]));
  }
  return !text_ranges_[0].IsBefore(text) && text_ranges_[0].IsThrough(text);
}

bool FieldCondition::Holds(uint64_t word) const {
  if (by_text_) {
    if (word < known_.size()) return known_[word];
    return HoldsOfText(texts_->text(static_cast<Ordinal>(word)));
  }
  const auto after =
      words_.size() == 1
          ? words_.begin() + (words_[0].first <= word ? 1 : 0)
          : std::upper_bound(words_.begin(), words_.end(), word,
                             [](uint64_t w, const WordRange& range) { return w < range.first; });
  const bool found = after != words_.begin() && word <= std::prev(after)->last;
  return found != negated_;
}

std::optional<std::vector<FieldOrder::Slice>> FieldCondition::Slices(const FieldOrder& order,
                                                                     bool holding) const {
  if (by_text_ && leaf_.kind == Kind::kCompare && leaf_.op == Op::kContains) return std::nullopt;
  std::vector<FieldOrder::Slice> slices;
  const auto add = [&](uint32_t begin, uint32_t end) {
    if (begin < end) slices.push_back({begin, end});
  };
  if (texts_ == nullptr) {
    for (const WordRange& range : words_) {
      add(order.CountWhile([&](uint64_t word) { return word < range.first; }),
          order.CountWhile([&](uint64_t word) { return word <= range.last; }));
    }
  } else {
    const auto text = [this](uint64_t word) { return texts_->text(static_cast<Ordinal>(word)); };
    for (const TextRange& range : text_ranges_) {
      add(order.CountWhile([&](uint64_t word) { return range.IsBefore(text(word)); }),
          order.CountWhile([&](uint64_t word) { return range.IsThrough(text(word)); }));
    }
  }
  if (holding != negated_) return slices;
  std::vector<FieldOrder::Slice> held;
  held.swap(slices);
  uint32_t begin = 0;
  for (const FieldOrder::Slice& slice : held) {
    add(begin, slice.begin);
    begin = slice.end;
  }
  add(begin, order.size());
  return slices;
}

}  // namespace fletch
