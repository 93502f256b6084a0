// SPDX-License-Identifier: Apache-2.0
// An array that grows without ever moving what it holds, so that readers need no lock.
#ifndef FLETCH_INDEX_CHUNKED_ROWS_H_
#define FLETCH_INDEX_CHUNKED_ROWS_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace fletch {

// Rows of `width` elements of T each, in chunks of 64, 128, 256, … rows. One writer grows it;
// readers may read the rows whose number reached them by a release of the writer's. Elements begin
// default-initialised.
template <typename T>
class ChunkedRows {
 public:
  explicit ChunkedRows(size_t width = 1) : width_(width) {}

  // Writer: makes room for `row` and all before it. REQUIRES: called with 0, 1, 2, …
  T* Grow(uint32_t row) {
    const Place place = Find(row);
    if (!chunks_[place.chunk]) chunks_[place.chunk].reset(new T[(kFirst << place.chunk) * width_]);
    return (*this)[row];
  }

  T* operator[](uint32_t row) const {
    const Place place = Find(row);
    return chunks_[place.chunk].get() + place.offset * width_;
  }

 private:
  static constexpr uint64_t kFirst = 64;
  static constexpr int kFirstBits = 6;
  struct Place {
    int chunk;
    uint64_t offset;
  };
  // Chunk c holds the rows from 64·(2^c - 1) on.
  static Place Find(uint32_t row) {
    const uint64_t shifted = uint64_t{row} + kFirst;
    const int chunk = std::bit_width(shifted) - 1 - kFirstBits;
    return {chunk, shifted - (kFirst << chunk)};
  }

  const size_t width_;
  std::unique_ptr<T[]> chunks_[33 - kFirstBits];  // 2^32 rows and a bit
};

}  // namespace fletch

#endif  // FLETCH_INDEX_CHUNKED_ROWS_H_
