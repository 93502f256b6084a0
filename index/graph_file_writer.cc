// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

#include "base/status.h"
#include "base/strings.h"
#include "index/graph_file.h"
#include "index/graph_file_format.h"

namespace fletch {
namespace {

using graph_file::Header;

constexpr size_t kBlocksPerSync = 16;  // so that the disk is never kept from others for long

absl::Status FileError(const std::string& path, std::string_view what, int error) {
  const std::string detail =
      StrCat("index file ", path, ": ", what, ": ", std::generic_category().message(error));
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
    return MakeError(absl::StatusCode::kResourceExhausted, "DISK_FULL", detail);
  }
  return MakeError(absl::StatusCode::kUnavailable, "INDEX_FILE", detail);
}

class Writer {
 public:
  Writer(std::string path, absl::FunctionRef<bool()> cancelled)
      : path_(std::move(path)), cancelled_(cancelled) {
    block_.reserve(graph_file::kBlockBytes);
  }
  ~Writer() {
    if (file_ >= 0) close(file_);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  absl::Status Create() {
    file_ = open(path_.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (file_ < 0) return FileError(path_, "create", errno);
    const std::vector<char> header(graph_file::kHeaderBytes);
    return WriteAll(header.data(), header.size());
  }

  absl::Status Append(const void* data, size_t size) {
    const char* from = static_cast<const char*>(data);
    while (size > 0) {
      const size_t part = std::min(size, graph_file::kBlockBytes - block_.size());
      block_.insert(block_.end(), from, from + part);
      from += part;
      size -= part;
      if (block_.size() == graph_file::kBlockBytes) RETURN_IF_ERROR(EndBlock());
    }
    return absl::OkStatus();
  }
  void BeginSection(graph_file::Section section) { header_.sections[section].offset = Position(); }
  absl::Status EndSection(graph_file::Section section) {
    graph_file::Extent& extent = header_.sections[section];
    extent.size = Position() - extent.offset;
    static constexpr char kZeros[graph_file::kAlignment] = {};
    return Append(kZeros, -Position() % graph_file::kAlignment);
  }
  template <typename T>
  absl::Status AddSection(graph_file::Section section, absl::Span<const T> items) {
    BeginSection(section);
    RETURN_IF_ERROR(Append(items.data(), items.size() * sizeof(T)));
    return EndSection(section);
  }

  Header& header() { return header_; }

  // The header comes last: a file that was cut off has none.
  absl::Status Finish() {
    header_.body_bytes = Position() - graph_file::kHeaderBytes;
    if (!block_.empty()) RETURN_IF_ERROR(EndBlock());
    const size_t table_bytes = table_.size() * sizeof(uint64_t);
    header_.table_checksum = XXH3_64bits(table_.data(), table_bytes);
    header_.checksum = XXH3_64bits(&header_, offsetof(Header, checksum));
    RETURN_IF_ERROR(WriteAll(table_.data(), table_bytes));
    if (lseek(file_, 0, SEEK_SET) != 0) return FileError(path_, "seek", errno);
    RETURN_IF_ERROR(WriteAll(&header_, sizeof(header_)));
    if (fsync(file_) != 0) return FileError(path_, "sync", errno);
    return absl::OkStatus();
  }

 private:
  uint64_t Position() const {
    return graph_file::kHeaderBytes + table_.size() * graph_file::kBlockBytes + block_.size();
  }
  absl::Status EndBlock() {
    if (cancelled_()) return absl::CancelledError("the index file's writing was cancelled");
    RETURN_IF_ERROR(WriteAll(block_.data(), block_.size()));
    table_.push_back(XXH3_64bits(block_.data(), block_.size()));
    block_.clear();
    if (table_.size() % kBlocksPerSync == 0 && fdatasync(file_) != 0) {
      return FileError(path_, "sync", errno);
    }
    return absl::OkStatus();
  }
  absl::Status WriteAll(const void* data, size_t size) {
    const char* from = static_cast<const char*>(data);
    while (size > 0) {
      const ssize_t written = write(file_, from, size);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return FileError(path_, "write", errno);
      if (written == 0) return FileError(path_, "write", ENOSPC);
      from += written;
      size -= static_cast<size_t>(written);
    }
    return absl::OkStatus();
  }

  const std::string path_;
  const absl::FunctionRef<bool()> cancelled_;
  int file_ = -1;
  Header header_ = {};
  std::vector<char> block_;
  std::vector<uint64_t> table_;
};

void FillHeader(const GraphData& graph, uint64_t commit_seq, Header* header) {
  std::memcpy(header->magic, graph_file::kMagic, sizeof(header->magic));
  header->version = graph_file::kVersion;
  header->metric = static_cast<uint8_t>(graph.metric);
  header->code = static_cast<uint8_t>(graph.code);
  header->dimension = static_cast<uint32_t>(graph.dimension);
  header->m = static_cast<uint32_t>(graph.parameters.m);
  header->ef_construction = static_cast<uint32_t>(graph.parameters.ef_construction);
  header->row_limit = graph.row_limit;
  header->entry = graph.entry;
  header->top_level = static_cast<uint32_t>(graph.top_level);
  header->node_bytes = graph.node_bytes;
  header->commit_seq = commit_seq;
}

absl::Status AddGraph(const GraphData& graph, Writer* writer) {
  std::vector<graph_file::Effort> effort;
  for (const EffortPoint& point : graph.effort) effort.push_back({point.recall, point.ef});
  RETURN_IF_ERROR(writer->AddSection<float>(graph_file::kLow, graph.low));
  RETURN_IF_ERROR(writer->AddSection<float>(graph_file::kStep, graph.step));
  RETURN_IF_ERROR(writer->AddSection<graph_file::Effort>(graph_file::kEffort, effort));
  RETURN_IF_ERROR(writer->AddSection(graph_file::kNodes, graph.nodes));
  RETURN_IF_ERROR(writer->AddSection(graph_file::kRowStart, graph.row_start));
  RETURN_IF_ERROR(writer->AddSection(graph_file::kRows, graph.rows));
  RETURN_IF_ERROR(writer->AddSection(graph_file::kOrphans, graph.orphans));
  RETURN_IF_ERROR(writer->AddSection(graph_file::kUpperStart, graph.upper_start));
  return writer->AddSection(graph_file::kUpperLinks, graph.upper_links);
}

absl::Status AddRows(const GraphData& graph, const GraphFileRows& rows, Writer* writer) {
  std::vector<char> blank(RowStore::RowBytes(graph.dimension));
  const double length = 1;
  std::memcpy(blank.data() + blank.size() - sizeof(length), &length, sizeof(length));
  writer->BeginSection(graph_file::kVectors);
  for (uint32_t row = 0; row < graph.row_limit; ++row) {
    absl::Span<const char> bytes = rows.bytes(row);
    if (bytes.empty()) bytes = blank;
    RETURN_IF_ERROR(writer->Append(bytes.data(), bytes.size()));
  }
  RETURN_IF_ERROR(writer->EndSection(graph_file::kVectors));
  std::vector<uint64_t> ends;
  std::string labels;
  for (uint32_t row = 0; row < graph.row_limit; ++row) {
    labels += rows.label(row);
    ends.push_back(labels.size());
  }
  RETURN_IF_ERROR(writer->AddSection<uint64_t>(graph_file::kLabelEnds, ends));
  return writer->AddSection<char>(graph_file::kLabels, labels);
}

absl::Status WriteFile(const std::string& path, const GraphData& graph, const GraphFileRows& rows,
                       absl::FunctionRef<bool()> cancelled) {
  Writer writer(path, cancelled);
  RETURN_IF_ERROR(writer.Create());
  FillHeader(graph, rows.commit_seq, &writer.header());
  RETURN_IF_ERROR(AddGraph(graph, &writer));
  RETURN_IF_ERROR(AddRows(graph, rows, &writer));
  return writer.Finish();
}

absl::Status SyncFolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const int file = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return FileError(folder, "open", errno);
  const bool synced = fsync(file) == 0;
  const int error = errno;
  close(file);
  return synced ? absl::OkStatus() : FileError(folder, "sync", error);
}

}  // namespace

absl::Status WriteGraphFile(const std::string& path, const GraphData& graph,
                            const GraphFileRows& rows, absl::FunctionRef<bool()> cancelled) {
  absl::Status status = WriteFile(path, graph, rows, cancelled);
  if (!status.ok()) unlink(path.c_str());
  return status;
}

absl::Status PublishGraphFile(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) != 0) {
    const int error = errno;
    unlink(from.c_str());
    return FileError(to, "rename", error);
  }
  return SyncFolderOf(to);
}

absl::Status DeleteGraphFile(const std::string& path) {
  if (unlink(path.c_str()) != 0) {
    return errno == ENOENT ? absl::OkStatus() : FileError(path, "delete", errno);
  }
  return SyncFolderOf(path);
}

}  // namespace fletch
