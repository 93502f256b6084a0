// SPDX-License-Identifier: Apache-2.0
// All rows' vectors at full precision, each with its length, in memory that never moves.
#ifndef FLETCH_INDEX_ROW_STORE_H_
#define FLETCH_INDEX_ROW_STORE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "base/mutex.h"
#include "index/chunked_rows.h"
#include "index/distance.h"

namespace fletch {

// One thread adds and blanks, any number read without a lock. Rows lie in a mapped file without a
// name in `folder`, so that the kernel may keep them on disk; where that fails (a full disk: found
// when the file grows, never by SIGBUS) and without a folder they lie in anonymous memory.
class RowStore {
 public:
  // Rows that a saved index file holds: the first ones of the store. Private to the store, which
  // blanks them there.
  struct Saved {
    char* rows = nullptr;
    uint32_t count = 0;
    std::shared_ptr<void> owner;
  };

  // `folder` empty: none. REQUIRES: it is there, if named.
  RowStore(VectorMetric metric, size_t dimension, const std::string& folder, Saved saved);
  RowStore(VectorMetric metric, size_t dimension, const std::string& folder)
      : RowStore(metric, dimension, folder, Saved()) {}
  ~RowStore();
  RowStore(const RowStore&) = delete;
  RowStore& operator=(const RowStore&) = delete;

  // Of one row, here and in index files: the floats, zeros, and in the last 8 bytes the length, a
  // double: sqrt(DotDouble(v, v)). A multiple of 32.
  static size_t RowBytes(size_t dimension);

  // REQUIRES: vector.size() == dimension; fewer than 2^32 rows.
  uint32_t Add(absl::Span<const float> vector);
  // Puts zeros for the row's floats, and 1 for its length. REQUIRES: nobody reads the row any more.
  void Blank(uint32_t row);

  // Rows that can be read.
  uint32_t row_count() const { return row_count_.load(std::memory_order_acquire); }
  // REQUIRES: row < row_count(), here and below.
  absl::Span<const float> vector(uint32_t row) const {
    return {reinterpret_cast<const float*>(RowAt(row)), dimension_};
  }
  double length(uint32_t row) const { return LengthAt(RowAt(row)); }
  // `scorer`'s Score of the row.
  float Score(const Scorer& scorer, uint32_t row) const {
    const char* const at = RowAt(row);
    return scorer.Score(reinterpret_cast<const float*>(at),
                        metric_ == VectorMetric::kCosine ? LengthAt(at) : 1.0);
  }
  absl::Span<const char> bytes(uint32_t row) const { return {RowAt(row), row_bytes_}; }
  // Begins to bring the row's first `size` bytes, at most all, into the cache.
  void Prefetch(uint32_t row, size_t size) const {
    const char* const at = RowAt(row);
    for (size_t i = 0; i < size && i < row_bytes_; i += 64) __builtin_prefetch(at + i);
  }

  // Bytes held in files, and in anonymous memory.
  size_t file_bytes() const { return file_bytes_.load(std::memory_order_relaxed); }
  size_t memory_bytes() const { return memory_bytes_.load(std::memory_order_relaxed); }
  // Why rows are in anonymous memory although there is a folder, for people. Empty: they are not.
  std::string warning() const;

 private:
  struct Mapping {
    char* at;
    size_t size;
  };
  struct Place {
    uint32_t chunk;
    uint32_t row;
  };

  char* RowAt(uint32_t row) const {
    if (row < saved_.count) return saved_.rows + size_t{row} * row_bytes_;
    const Place place = Find(row - saved_.count);
    return *chunks_[place.chunk] + size_t{place.row} * row_bytes_;
  }
  double LengthAt(const char* row) const {
    return *reinterpret_cast<const double*>(row + row_bytes_ - sizeof(double));
  }
  Place Find(uint32_t row) const;
  uint32_t ChunkRows(uint32_t chunk) const;
  void OpenFile(const std::string& folder);
  char* MapInFile(size_t size);
  char* MapChunk(size_t size);
  void Warn(const std::string& what, int error);

  const VectorMetric metric_;
  const size_t dimension_;
  const size_t row_bytes_;
  const int chunk_bits_;  // the largest chunks have 2^chunk_bits_ rows
  Saved saved_;
  ChunkedRows<char*> chunks_;
  std::atomic<uint32_t> row_count_;
  std::atomic<size_t> file_bytes_{0};
  std::atomic<size_t> memory_bytes_{0};
  // The writer's.
  int file_ = -1;
  size_t file_size_ = 0;
  std::vector<Mapping> mappings_;
  mutable Mutex mu_;
  std::string warning_ ABSL_GUARDED_BY(mu_);
};

}  // namespace fletch

#endif  // FLETCH_INDEX_ROW_STORE_H_
