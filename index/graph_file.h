// SPDX-License-Identifier: Apache-2.0
// A graph and its rows in a file (docs/index-files.md has the bytes): written whole, read by
// mapping, believed in nothing.
#ifndef FLETCH_INDEX_GRAPH_FILE_H_
#define FLETCH_INDEX_GRAPH_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "index/graph_data.h"
#include "index/row_store.h"

namespace fletch {

// What a file says of the rows before its graph's row_limit.
struct GraphFileRows {
  uint64_t commit_seq = 0;  // the newest commit that the rows know of
  // RowStore's bytes of the row; empty: the row is of no use any more, and zeros are written.
  absl::FunctionRef<absl::Span<const char>(uint32_t row)> bytes;
  // What the caller wants to know of the row when it reads the file. Asked after `bytes` was asked
  // of all rows; empty for those of no use.
  absl::FunctionRef<std::string(uint32_t row)> label;
};

// Writes and syncs the file at `path`, in the place of one that is there. On an error what was
// written is deleted: CANCELLED; RESOURCE_EXHAUSTED (DISK_FULL); UNAVAILABLE (INDEX_FILE).
// REQUIRES: graph has a node.
absl::Status WriteGraphFile(const std::string& path, const GraphData& graph,
                            const GraphFileRows& rows, absl::FunctionRef<bool()> cancelled);

// Renames a written file and syncs the folder. On an error `from` is deleted. UNAVAILABLE.
absl::Status PublishGraphFile(const std::string& from, const std::string& to);

// Deletes the file, if it is there, for good: the folder is synced. UNAVAILABLE.
absl::Status DeleteGraphFile(const std::string& path);

// An open file. Immutable but for the rows that a RowStore blanks; thread-safe.
class GraphFile {
 public:
  // What a file must have been made for.
  struct Wanted {
    VectorMetric metric;
    size_t dimension;
    GraphParameters parameters;
  };

  // Looks at every byte: whatever they are, nothing outside the file is read later on. NOT_FOUND:
  // no file. FAILED_PRECONDITION (INDEX_FILE_OTHER): of another version, or made for something
  // else. DATA_LOSS: damaged. UNAVAILABLE.
  static absl::StatusOr<std::shared_ptr<GraphFile>> Open(const std::string& path,
                                                         const Wanted& wanted);
  ~GraphFile();
  GraphFile(const GraphFile&) = delete;
  GraphFile& operator=(const GraphFile&) = delete;

  // Spans point into the file; no `owner`: the caller keeps the file.
  const GraphData& graph() const { return graph_; }
  uint64_t commit_seq() const { return commit_seq_; }
  uint32_t row_count() const { return graph_.row_limit; }
  // Without `owner`, too.
  RowStore::Saved rows() const { return {vectors_, row_count(), nullptr}; }
  // REQUIRES: row < row_count().
  std::string_view label(uint32_t row) const;
  uint64_t file_bytes() const { return size_; }

 private:
  GraphFile(char* data, uint64_t size) : data_(data), size_(size) {}
  absl::Status Parse(const std::string& path, const Wanted& wanted);

  char* const data_;
  const uint64_t size_;
  GraphData graph_;
  uint64_t commit_seq_ = 0;
  char* vectors_ = nullptr;
  absl::Span<const uint64_t> label_ends_;
  std::string_view labels_;
};

}  // namespace fletch

#endif  // FLETCH_INDEX_GRAPH_FILE_H_
