// SPDX-License-Identifier: Apache-2.0
// The index file of one vector collection: saved in the background, read at start, and gone at once
// when it holds what was erased.
#ifndef FLETCH_SERVER_ENGINE_SAVED_INDEX_H_
#define FLETCH_SERVER_ENGINE_SAVED_INDEX_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "index/graph_file.h"
#include "server/engine/vector_generation.h"

namespace fletch {

// Save belongs to one thread at a time, Open to the start; the rest is thread-safe.
class SavedIndex {
 public:
  // Makes the folder, which is this index's alone, and deletes what a crash left in it. Empty:
  // nothing is ever saved.
  explicit SavedIndex(std::string folder);

  // Empty: nothing is saved, and there is no place for files.
  const std::string& folder() const { return folder_; }

  // nullptr: there is no file, or none that is of use: that is logged, and it is deleted.
  // `newest_seq` is the newest commit that is stored: a file that knows of later ones is of another
  // store. The generation that begins with the file is number 0.
  std::shared_ptr<GraphFile> Open(const GraphFile::Wanted& wanted, uint64_t newest_seq);

  // Writes the generation's graph and its rows, and puts it in the old file's place. As
  // WriteGraphFile; CANCELLED also when an erasure came meanwhile. REQUIRES: folder().
  absl::Status Save(const VectorGeneration& generation, uint64_t generation_number,
                    absl::FunctionRef<bool()> cancelled);

  // These rows of the generation were erased: a file that may hold them is deleted, and one that is
  // being written is given up. UNAVAILABLE: it could not be deleted.
  absl::Status Erase(uint64_t generation_number, absl::Span<const RowId> rows);
  // The collection is no more: deletes all and saves nothing from now on.
  void Drop();

  // Of the newest file; all 0: there is none.
  struct File {
    uint64_t generation_number = 0;
    uint64_t bytes = 0;
    uint64_t commit_seq = 0;
    uint32_t row_limit = 0;
  };
  File file() const;

 private:
  std::string path() const { return folder_ + "/graph"; }
  std::string new_path() const { return folder_ + "/graph.new"; }

  const std::string folder_;
  // An erasure waits for a rename, never for a write: it must know which file there is.
  mutable Mutex mu_;
  File file_ ABSL_GUARDED_BY(mu_);
  bool dropped_ ABSL_GUARDED_BY(mu_) = false;
  std::atomic<bool> give_up_{false};  // the file that is being written
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_SAVED_INDEX_H_
