// SPDX-License-Identifier: Apache-2.0
// The questions of a spine in the order in which facts lie: by entity key, then newest first.
#ifndef FLETCH_SERVER_ENGINE_SPINE_ORDER_H_
#define FLETCH_SERVER_ENGINE_SPINE_ORDER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "storage/value.h"

namespace fletch {

// One spine row.
struct SpineQuestion {
  uint64_t key_prefix = 0;  // the key's first 8 bytes, as a number that sorts like them
  int64_t as_of = 0;
  uint32_t row = 0;  // in the order in which rows were added
};

// Rows are added first, then cut into pieces, which may be sorted and read by several threads.
class SpineOrder {
 public:
  // REQUIRES: fewer than 2^32 rows.
  explicit SpineOrder(size_t row_count);

  // Adds rows [begin, end) of checked key columns and their instants.
  void Add(absl::Span<const Column* const> keys, absl::Span<const int64_t> times, size_t begin,
           size_t end);

  // Cuts the rows into at most `count` pieces of about one size, all of a piece before those of the
  // next. A hot entity may lie in several. Call it once.
  std::vector<absl::Span<SpineQuestion>> Cut(size_t count);
  // Sorts a piece. Several threads may, each its own.
  void Sort(absl::Span<SpineQuestion> piece) const;

  std::string Key(const SpineQuestion& question) const;
  bool SameKey(const SpineQuestion& a, const SpineQuestion& b) const {
    return a.key_prefix == b.key_prefix && (short_keys_ || Stored(a) == Stored(b));
  }

 private:
  // Where it lies is a cache miss.
  std::string_view Stored(const SpineQuestion& question) const {
    const size_t begin = key_ends_[question.row];
    return std::string_view(keys_).substr(begin, key_ends_[question.row + 1] - begin);
  }
  bool Before(const SpineQuestion& a, const SpineQuestion& b) const {
    if (a.key_prefix != b.key_prefix) return a.key_prefix < b.key_prefix;
    return short_keys_ ? a.as_of > b.as_of : BeforeByKey(a, b);
  }
  bool BeforeByKey(const SpineQuestion& a, const SpineQuestion& b) const;
  std::vector<SpineQuestion> Splitters(size_t pieces) const;

  std::string keys_;
  std::vector<size_t> key_ends_;
  std::vector<SpineQuestion> questions_;
  // Keys are self-delimiting, so two with equal prefixes of which one ends within it are equal.
  bool short_keys_ = true;
  bool prefixes_are_keys_ = true;  // all keys have 8 bytes
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_SPINE_ORDER_H_
