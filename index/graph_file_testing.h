// SPDX-License-Identifier: Apache-2.0
// Small index files for tests and the fuzzer.
#ifndef FLETCH_INDEX_GRAPH_FILE_TESTING_H_
#define FLETCH_INDEX_GRAPH_FILE_TESTING_H_

#include <xxhash.h>

#include <cstring>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "index/graph.h"
#include "index/graph_file.h"
#include "index/graph_file_format.h"
#include "index/index_test_util.h"

namespace fletch {

inline std::string ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

inline void WriteBytes(const std::string& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// A saved index of `count` clustered vectors at `path`; label i is "row i", every tenth is empty.
inline void SaveSmallIndex(const std::string& path, const IndexOptions& options, size_t count) {
  std::mt19937_64 random(7);
  VectorIndex index(options);
  for (const auto& v : ClusteredVectors(count, options.dimension, 5, &random)) index.Add(v);
  const auto never = [] { return false; };
  if (!index.ExtendGraph([](RowId) { return true; }, never, [](double) {}).ok()) std::abort();
  const auto label = [](RowId row) {
    return row % 10 == 9 ? std::string() : "row " + std::to_string(row);
  };
  if (!index.Save(path, 41, label, never).ok()) std::abort();
}

// Makes checksums fit that a change of the bytes broke, so that what lies behind them is reached.
inline void MendChecksums(std::string* bytes) {
  using graph_file::Header;
  Header header;
  if (bytes->size() < sizeof(header)) return;
  std::memcpy(&header, bytes->data(), sizeof(header));
  const uint64_t room = bytes->size() - sizeof(header);
  const uint64_t blocks =
      (header.body_bytes + graph_file::kBlockBytes - 1) / graph_file::kBlockBytes;
  if (header.body_bytes > room || blocks * sizeof(uint64_t) != room - header.body_bytes) return;
  char* const body = bytes->data() + sizeof(header);
  char* const table = body + header.body_bytes;
  for (uint64_t block = 0; block < blocks; ++block) {
    const uint64_t begin = block * graph_file::kBlockBytes;
    const uint64_t sum = XXH3_64bits(
        body + begin, std::min<uint64_t>(graph_file::kBlockBytes, header.body_bytes - begin));
    std::memcpy(table + block * sizeof(sum), &sum, sizeof(sum));
  }
  header.table_checksum = XXH3_64bits(table, blocks * sizeof(uint64_t));
  header.checksum = XXH3_64bits(&header, offsetof(Header, checksum));
  std::memcpy(bytes->data(), &header, sizeof(header));
}

// Opens the file and, if that goes well, looks at all that it holds and searches it.
inline absl::Status OpenAndSearch(const std::string& path, const IndexOptions& options) {
  auto file = GraphFile::Open(path, {options.metric, options.dimension, options.parameters});
  if (!file.ok()) return file.status();
  size_t label_bytes = 0;
  for (uint32_t row = 0; row < (*file)->row_count(); ++row)
    label_bytes += (*file)->label(row).size();
  VectorIndex index(options, *file);
  std::vector<float> query(options.dimension, 0.5f);
  query[0] = static_cast<float>(label_bytes % 7);
  for (const bool exact : {false, true}) {
    Ask ask;
    ask.exact = exact;
    const auto answer = SearchIndex(index, query, ask);
    if (!answer.ok()) return answer.status();
  }
  if (index.CountUnreachable([](RowId) { return true; }) > index.row_count()) std::abort();
  // And it goes on growing.
  for (size_t i = 0; i < 3; ++i) index.Add(query);
  return index.ExtendGraph([](RowId) { return true; }, [] { return false; }, [](double) {});
}

}  // namespace fletch

#endif  // FLETCH_INDEX_GRAPH_FILE_TESTING_H_
