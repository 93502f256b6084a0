// SPDX-License-Identifier: Apache-2.0
// The entities that have a value of one field, in the order of the values.
#ifndef FLETCH_SERVER_ENGINE_FIELD_ORDER_H_
#define FLETCH_SERVER_ENGINE_FIELD_ORDER_H_

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "server/engine/dictionary.h"

namespace fletch {

// Immutable. 4 bytes an entity and 12 a distinct value.
class FieldOrder {
 public:
  struct Entry {
    uint64_t word;  // field_word.h
    Ordinal entity;
  };
  // Positions of entities, from begin to before end.
  struct Slice {
    uint32_t begin = 0;
    uint32_t end = 0;
    uint32_t size() const { return end - begin; }
  };

  // Nothing. `texts` (null: words are in order) outlives this; then words are its numbers and their
  // order is that of the texts' bytes.
  explicit FieldOrder(const Dictionary* texts) : texts_(texts) {}

  // This order without the entities of which `changed` is true, and with `fresh`. About 10 ns an
  // entity, more a fresh one.
  FieldOrder Merge(absl::FunctionRef<bool(Ordinal)> changed, std::vector<Entry> fresh) const;

  uint32_t size() const { return static_cast<uint32_t>(entities_.size()); }
  uint32_t distinct_words() const { return static_cast<uint32_t>(words_.size()); }
  // How many entities come first of whose words `before` is true. REQUIRES: true of all words up to
  // some place and of none after it.
  uint32_t CountWhile(absl::FunctionRef<bool(uint64_t word)> before) const;
  absl::Span<const Ordinal> entities(Slice slice) const {
    return absl::MakeSpan(entities_).subspan(slice.begin, slice.size());
  }
  uint64_t bytes() const;

 private:
  bool Less(uint64_t a, uint64_t b) const;
  void Append(uint64_t word, Ordinal entity);

  const Dictionary* texts_;
  std::vector<uint64_t> words_;   // distinct, in order
  std::vector<uint32_t> starts_;  // of words_[i]'s entities
  std::vector<Ordinal> entities_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_FIELD_ORDER_H_
