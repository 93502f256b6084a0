// SPDX-License-Identifier: Apache-2.0
// docs/index-files.md as numbers.
#ifndef FLETCH_INDEX_GRAPH_FILE_FORMAT_H_
#define FLETCH_INDEX_GRAPH_FILE_FORMAT_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace fletch::graph_file {

static_assert(std::endian::native == std::endian::little, "index files are little-endian");

inline constexpr char kMagic[8] = {'F', 'L', 'T', 'I', 'N', 'D', 'E', 'X'};
inline constexpr uint32_t kVersion = 1;
inline constexpr size_t kHeaderBytes = 4096;
inline constexpr size_t kBlockBytes = 1 << 20;  // that share a checksum
inline constexpr size_t kAlignment = 64;        // of sections

enum Section {
  kLow,
  kStep,
  kEffort,
  kNodes,
  kRowStart,
  kRows,
  kOrphans,
  kUpperStart,
  kUpperLinks,
  kVectors,
  kLabelEnds,
  kLabels,
  kSectionCount
};

struct Extent {
  uint64_t offset;  // from the file's begin
  uint64_t size;
};

struct Effort {
  double recall;
  uint64_t ef;
};

struct Header {
  char magic[8];
  uint32_t version;
  uint8_t metric;
  uint8_t code;
  uint16_t zero;
  uint32_t dimension;
  uint32_t m;
  uint32_t ef_construction;
  uint32_t row_limit;
  uint32_t entry;
  uint32_t top_level;
  uint64_t node_bytes;
  uint64_t commit_seq;
  uint64_t body_bytes;      // from kHeaderBytes on
  uint64_t table_checksum;  // of the table of block checksums, which ends the file
  Extent sections[kSectionCount];
  char zeros[kHeaderBytes - 8 - 72 - 16 * kSectionCount];
  uint64_t checksum;  // of all before it
};
static_assert(sizeof(Header) == kHeaderBytes && std::is_trivially_copyable_v<Header>);
static_assert(offsetof(Header, node_bytes) == 40 && offsetof(Header, sections) == 72);

}  // namespace fletch::graph_file

#endif  // FLETCH_INDEX_GRAPH_FILE_FORMAT_H_
