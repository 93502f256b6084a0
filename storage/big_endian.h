// SPDX-License-Identifier: Apache-2.0
// Big-endian integers in keys and values (FORMAT.md).
#ifndef FLETCH_STORAGE_BIG_ENDIAN_H_
#define FLETCH_STORAGE_BIG_ENDIAN_H_

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>

namespace fletch {

static_assert(std::endian::native == std::endian::little,
              "the byte formats are written for little-endian machines");

inline void AppendU32(uint32_t value, std::string* out) {
  value = __builtin_bswap32(value);
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

inline void AppendU64(uint64_t value, std::string* out) {
  value = __builtin_bswap64(value);
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

// REQUIRES: 4 (8) bytes at `bytes`.
inline uint32_t ReadU32(const char* bytes) {
  uint32_t value;
  std::memcpy(&value, bytes, sizeof(value));
  return __builtin_bswap32(value);
}

inline uint64_t ReadU64(const char* bytes) {
  uint64_t value;
  std::memcpy(&value, bytes, sizeof(value));
  return __builtin_bswap64(value);
}

// flip64 of FORMAT.md, and back: the unsigned order of the results is the signed order of the
// arguments.
inline uint64_t OrderedFromInt64(int64_t value) {
  return static_cast<uint64_t>(value) ^ (1ull << 63);
}
inline int64_t Int64FromOrdered(uint64_t ordered) {
  return static_cast<int64_t>(ordered ^ (1ull << 63));
}

}  // namespace fletch

#endif  // FLETCH_STORAGE_BIG_ENDIAN_H_
