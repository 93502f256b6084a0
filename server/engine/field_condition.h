// SPDX-License-Identifier: Apache-2.0
// One comparison of a filter as a test of an indexed field's words.
#ifndef FLETCH_SERVER_ENGINE_FIELD_CONDITION_H_
#define FLETCH_SERVER_ENGINE_FIELD_CONDITION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/engine/dictionary.h"
#include "server/engine/field_order.h"
#include "server/engine/filter_node.h"

namespace fletch {

// Equal to what Filter::Evaluate says of the same value. Immutable, thread-safe.
class FieldCondition {
 public:
  // `leaf` is a compare, in or between; outlives this. `texts`: the field's, nullptr unless it is a
  // STRING.
  FieldCondition(const FilterNode& leaf, const Dictionary* texts);

  // REQUIRES: the word of a value that is not null; of a text, one that was in `texts` already.
  bool Holds(uint64_t word) const;
  // The slices of `order` in which this holds (or, !holding, does not), ascending. nullopt: its
  // values do not stand together.
  std::optional<std::vector<FieldOrder::Slice>> Slices(const FieldOrder& order, bool holding) const;

 private:
  struct WordRange {  // both ends in it
    uint64_t first;
    uint64_t last;
  };
  struct TextRange {
    std::string_view low;
    std::optional<std::string_view> high;
    bool low_open = false;
    bool high_open = false;
    bool prefix = false;  // all texts that begin with low
    bool IsBefore(std::string_view text) const { return low_open ? text <= low : text < low; }
    bool IsThrough(std::string_view text) const;  // before it or in it
  };

  void AddNumbers();
  void AddNumberRange(std::optional<uint64_t> first, std::optional<uint64_t> after);
  std::optional<uint64_t> FirstWord(const Literal& literal, bool after) const;
  void AddTexts();
  void AddKnownTexts();
  bool HoldsOfText(std::string_view text) const;

  const FilterNode& leaf_;
  const Dictionary* const texts_;
  uint64_t min_word_ = 0;
  uint64_t max_word_ = UINT64_MAX;
  bool negated_ = false;                // NE
  std::vector<WordRange> words_;        // ascending, apart; of texts: those equal to a value
  std::vector<TextRange> text_ranges_;  // ascending, apart; none for CONTAINS
  bool by_text_ = false;                // words_ does not decide
  std::vector<bool> known_;             // then, for the first texts
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_FIELD_CONDITION_H_
