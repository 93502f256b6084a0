// SPDX-License-Identifier: Apache-2.0
#include "index/graph_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <system_error>

#include "base/status.h"
#include "base/strings.h"
#include "index/graph_check.h"
#include "index/graph_file_format.h"

namespace fletch {
namespace {

using graph_file::Header;

absl::Status Unreadable(const std::string& path, int error) {
  return MakeError(
      error == ENOENT ? absl::StatusCode::kNotFound : absl::StatusCode::kUnavailable, "INDEX_FILE",
      StrCat("cannot read index file ", path, ": ", std::generic_category().message(error)));
}

absl::Status Damaged(const std::string& path, std::string_view what) {
  return DataLoss(StrCat("index file ", path, " is damaged: ", what));
}

absl::Status MadeForOther(const std::string& path, std::string_view what) {
  return FailedPrecondition("INDEX_FILE_OTHER",
                            StrCat("index file ", path, " was made for another ", what));
}

// A section as items, or nothing if it lies outside the body, is not aligned or has a broken item.
class Sections {
 public:
  Sections(char* data, const Header& header) : data_(data), header_(header) {}

  template <typename T>
  absl::Span<const T> Get(graph_file::Section section) {
    const graph_file::Extent extent = header_.sections[section];
    const uint64_t end = graph_file::kHeaderBytes + header_.body_bytes;
    if (extent.offset < graph_file::kHeaderBytes || extent.offset > end ||
        extent.size > end - extent.offset || extent.offset % graph_file::kAlignment != 0 ||
        extent.size % sizeof(T) != 0) {
      ok_ = false;
      return {};
    }
    return {reinterpret_cast<const T*>(data_ + extent.offset), extent.size / sizeof(T)};
  }
  bool ok() const { return ok_; }

 private:
  char* const data_;
  const Header& header_;
  bool ok_ = true;
};

// The file has the size its header says, and every byte is as it was written.
bool ChecksumsFit(const char* data, uint64_t size, const Header& header) {
  const uint64_t body = header.body_bytes;
  if (body > size) return false;
  const uint64_t blocks = (body + graph_file::kBlockBytes - 1) / graph_file::kBlockBytes;
  const uint64_t table_bytes = blocks * sizeof(uint64_t);
  if (size != graph_file::kHeaderBytes + body + table_bytes) return false;
  const char* const table = data + graph_file::kHeaderBytes + body;
  if (XXH3_64bits(table, table_bytes) != header.table_checksum) return false;
  for (uint64_t block = 0; block < blocks; ++block) {
    const uint64_t begin = block * graph_file::kBlockBytes;
    uint64_t wanted = 0;
    std::memcpy(&wanted, table + block * sizeof(wanted), sizeof(wanted));
    const uint64_t length = std::min<uint64_t>(graph_file::kBlockBytes, body - begin);
    if (XXH3_64bits(data + graph_file::kHeaderBytes + begin, length) != wanted) return false;
  }
  return true;
}

bool LabelsFit(absl::Span<const uint64_t> ends, size_t bytes) {
  return std::is_sorted(ends.begin(), ends.end()) && (ends.empty() ? 0 : ends.back()) == bytes;
}

absl::Status CheckMadeFor(const std::string& path, const Header& header,
                          const GraphFile::Wanted& wanted) {
  if (header.metric != static_cast<uint8_t>(wanted.metric)) return MadeForOther(path, "metric");
  if (header.dimension != wanted.dimension) return MadeForOther(path, "dimension");
  const GraphParameters parameters{header.m, header.ef_construction};
  if (parameters != wanted.parameters) return MadeForOther(path, "m or ef_construction");
  return absl::OkStatus();
}

}  // namespace

GraphFile::~GraphFile() { munmap(data_, size_); }

std::string_view GraphFile::label(uint32_t row) const {
  const uint64_t begin = row == 0 ? 0 : label_ends_[row - 1];
  return labels_.substr(begin, label_ends_[row] - begin);
}

absl::StatusOr<std::shared_ptr<GraphFile>> GraphFile::Open(const std::string& path,
                                                           const Wanted& wanted) {
  // For writing, as an erasure puts zeros over rows (once the file has lost its name).
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return Unreadable(path, errno);
  struct stat about = {};
  const int stat_error = fstat(file, &about) == 0 ? 0 : errno;
  const auto size = static_cast<uint64_t>(about.st_size);
  void* data = MAP_FAILED;
  int map_error = 0;
  if (stat_error == 0 && size >= graph_file::kHeaderBytes) {
    data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (data == MAP_FAILED) map_error = errno;
  }
  close(file);
  if (stat_error != 0) return Unreadable(path, stat_error);
  if (size < graph_file::kHeaderBytes) return Damaged(path, "it is cut off");
  if (data == MAP_FAILED) return Unreadable(path, map_error);
  madvise(data, size, MADV_WILLNEED);
  std::shared_ptr<GraphFile> opened(new GraphFile(static_cast<char*>(data), size));
  RETURN_IF_ERROR(opened->Parse(path, wanted));
  return opened;
}

absl::Status GraphFile::Parse(const std::string& path, const Wanted& wanted) {
  Header header;
  std::memcpy(&header, data_, sizeof(header));
  if (std::memcmp(header.magic, graph_file::kMagic, sizeof(header.magic)) != 0) {
    return Damaged(path, "it does not begin as an index file does");
  }
  if (header.version != graph_file::kVersion) return MadeForOther(path, "version of the daemon");
  if (XXH3_64bits(&header, offsetof(Header, checksum)) != header.checksum) {
    return Damaged(path, "its header's checksum does not fit");
  }
  RETURN_IF_ERROR(CheckMadeFor(path, header, wanted));
  if (!ChecksumsFit(data_, size_, header)) return Damaged(path, "a checksum does not fit");

  Sections sections(data_, header);
  const auto low = sections.Get<float>(graph_file::kLow);
  const auto step = sections.Get<float>(graph_file::kStep);
  const auto vectors = sections.Get<char>(graph_file::kVectors);
  const auto labels = sections.Get<char>(graph_file::kLabels);
  graph_.metric = wanted.metric;
  graph_.dimension = wanted.dimension;
  graph_.parameters = wanted.parameters;
  graph_.row_limit = header.row_limit;
  graph_.entry = header.entry;
  graph_.top_level = static_cast<int>(std::min<uint32_t>(header.top_level, kMaxGraphLevels));
  graph_.code = static_cast<CodeKind>(header.code);
  graph_.low.assign(low.begin(), low.end());
  graph_.step.assign(step.begin(), step.end());
  graph_.node_bytes = header.node_bytes;
  graph_.nodes = sections.Get<char>(graph_file::kNodes);
  graph_.row_start = sections.Get<uint32_t>(graph_file::kRowStart);
  graph_.rows = sections.Get<uint32_t>(graph_file::kRows);
  graph_.orphans = sections.Get<uint32_t>(graph_file::kOrphans);
  graph_.upper_start = sections.Get<uint32_t>(graph_file::kUpperStart);
  graph_.upper_links = sections.Get<uint32_t>(graph_file::kUpperLinks);
  for (const graph_file::Effort& e : sections.Get<graph_file::Effort>(graph_file::kEffort)) {
    graph_.effort.push_back({e.recall, static_cast<uint32_t>(e.ef)});
  }
  commit_seq_ = header.commit_seq;
  vectors_ = const_cast<char*>(vectors.data());
  label_ends_ = sections.Get<uint64_t>(graph_file::kLabelEnds);
  labels_ = {labels.data(), labels.size()};
  if (!sections.ok() || label_ends_.size() != header.row_limit ||
      vectors.size() != header.row_limit * RowStore::RowBytes(wanted.dimension) ||
      !LabelsFit(label_ends_, labels.size())) {
    return Damaged(path, "its sections do not fit together");
  }
  if (absl::Status status = CheckGraph(graph_); !status.ok()) {
    return Damaged(path, FromAbsl(status.message()));
  }
  return absl::OkStatus();
}

}  // namespace fletch
