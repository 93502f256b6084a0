// SPDX-License-Identifier: Apache-2.0
#include "index/row_store.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <system_error>
#include <utility>

#include "base/strings.h"

namespace fletch {
namespace {

constexpr int kFirstBits = 6;               // 64 rows in the first chunk, then 128, 256, …
constexpr size_t kMaxChunkBytes = 8 << 20;  // up to about here: what may lie unused at the end
constexpr size_t kPage = 4096;

}  // namespace

size_t RowStore::RowBytes(size_t dimension) {
  const size_t used = dimension * sizeof(float) + sizeof(double);
  return (used + 31) / 32 * 32;
}

RowStore::RowStore(VectorMetric metric, size_t dimension, const std::string& folder, Saved saved)
    : metric_(metric),
      dimension_(dimension),
      row_bytes_(RowBytes(dimension)),
      chunk_bits_(std::max<int>(kFirstBits, std::bit_width(kMaxChunkBytes / row_bytes_) - 1)),
      saved_(std::move(saved)),
      row_count_(saved_.count) {
  file_bytes_ = saved_.count * row_bytes_;
  if (!folder.empty()) OpenFile(folder);
}

RowStore::~RowStore() {
  for (const Mapping& mapping : mappings_) munmap(mapping.at, mapping.size);
  if (file_ >= 0) close(file_);
}

// Chunk c holds 64·2^c rows until that is the most, and from then on as many each.
RowStore::Place RowStore::Find(uint32_t row) const {
  const uint64_t shifted = uint64_t{row} + (1u << kFirstBits);
  if (shifted < uint64_t{1} << chunk_bits_) {
    const int bits = std::bit_width(shifted) - 1;
    return {static_cast<uint32_t>(bits - kFirstBits),
            static_cast<uint32_t>(shifted - (uint64_t{1} << bits))};
  }
  return {static_cast<uint32_t>(chunk_bits_ - kFirstBits - 1 + (shifted >> chunk_bits_)),
          static_cast<uint32_t>(shifted & ((uint64_t{1} << chunk_bits_) - 1))};
}

uint32_t RowStore::ChunkRows(uint32_t chunk) const {
  return 1u << std::min<uint32_t>(kFirstBits + chunk, chunk_bits_);
}

void RowStore::OpenFile(const std::string& folder) {
  file_ = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file_ >= 0) return;
  // Not every file system can make a file that never had a name.
  std::string name = folder + "/rows-XXXXXX";
  file_ = mkostemp(name.data(), O_CLOEXEC);
  if (file_ < 0) return Warn(StrCat("cannot make a file in ", folder), errno);
  unlink(name.c_str());
}

void RowStore::Warn(const std::string& what, int error) {
  MutexLock lock(&mu_);
  warning_ = StrCat(what, " (", std::generic_category().message(error),
                    "): full-precision vectors are kept in memory instead");
}

std::string RowStore::warning() const {
  MutexLock lock(&mu_);
  return warning_;
}

char* RowStore::MapInFile(size_t size) {
  const auto end = static_cast<off_t>(file_size_);
  // Blocks are taken now: a page of a sparse file would be refused by a signal.
  if (const int error = posix_fallocate(file_, end, static_cast<off_t>(size)); error != 0) {
    Warn("the disk has no room for vectors", error);
    return nullptr;
  }
  void* const at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file_, end);
  if (at == MAP_FAILED) {
    Warn("vectors could not be mapped", errno);
    return nullptr;
  }
  file_size_ += size;
  file_bytes_.fetch_add(size, std::memory_order_relaxed);
  return static_cast<char*>(at);
}

char* RowStore::MapChunk(size_t size) {
  char* at = file_ >= 0 ? MapInFile(size) : nullptr;
  if (at == nullptr) {
    void* const anonymous =
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (anonymous == MAP_FAILED) throw std::bad_alloc();
    at = static_cast<char*>(anonymous);
    memory_bytes_.fetch_add(size, std::memory_order_relaxed);
  }
  mappings_.push_back({at, size});
  return at;
}

uint32_t RowStore::Add(absl::Span<const float> vector) {
  const uint32_t row = row_count_.load(std::memory_order_relaxed);
  const Place place = Find(row - saved_.count);
  if (place.row == 0) {
    const size_t size = ChunkRows(place.chunk) * row_bytes_;
    *chunks_.Grow(place.chunk) = MapChunk((size + kPage - 1) / kPage * kPage);
  }
  char* const at = RowAt(row);
  std::memcpy(at, vector.data(), dimension_ * sizeof(float));
  const double length = std::sqrt(DotDouble(vector.data(), vector.data(), dimension_));
  std::memcpy(at + row_bytes_ - sizeof(double), &length, sizeof(length));
  row_count_.store(row + 1, std::memory_order_release);
  return row;
}

void RowStore::Blank(uint32_t row) {
  char* const at = RowAt(row);
  const double length = 1;
  std::memset(at, 0, dimension_ * sizeof(float));
  std::memcpy(at + row_bytes_ - sizeof(double), &length, sizeof(length));
}

}  // namespace fletch
