// SPDX-License-Identifier: Apache-2.0
#include "server/engine/saved_index.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"

namespace fletch {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kNoGeneration = std::numeric_limits<uint64_t>::max();
constexpr SavedIndex::File kUnknown = {
    .generation_number = kNoGeneration, .bytes = 1, .commit_seq = 0, .row_limit = 0};

void WarnOf(const std::string& what, const std::string& path, std::string_view error) {
  Log(LogLevel::kWarning, what, {{"path", path}, {"error", std::string(error)}});
}

}  // namespace

SavedIndex::SavedIndex(std::string folder) : folder_(std::move(folder)) {
  if (folder_.empty()) return;
  std::error_code error;
  fs::create_directories(folder_, error);
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    if (it->path().string() != path()) fs::remove(it->path(), error);
  }
  if (error) WarnOf("the folder of an index is of no use", folder_, error.message());
}

std::shared_ptr<GraphFile> SavedIndex::Open(const GraphFile::Wanted& wanted, uint64_t newest_seq) {
  if (folder_.empty()) return nullptr;
  absl::StatusOr<std::shared_ptr<GraphFile>> opened = GraphFile::Open(path(), wanted);
  absl::Status status = opened.status();
  if (absl::IsNotFound(status)) return nullptr;
  if (status.ok() && (*opened)->commit_seq() > newest_seq) {
    status = FailedPrecondition("INDEX_FILE_OTHER",
                                StrCat("it knows of commit ", (*opened)->commit_seq(),
                                       ", but the newest that is stored is ", newest_seq));
  }
  if (!status.ok()) {
    WarnOf("an index file is of no use; the index is built anew from the facts", path(),
           FromAbsl(status.message()));
    const absl::Status deleted = DeleteGraphFile(path());
    if (!deleted.ok()) {
      WarnOf("and it could not be deleted", path(), FromAbsl(deleted.message()));
      MutexLock lock(&mu_);
      file_ = kUnknown;
    }
    return nullptr;
  }
  MutexLock lock(&mu_);
  file_ = {0, (*opened)->file_bytes(), (*opened)->commit_seq(), (*opened)->row_count()};
  return *opened;
}

absl::Status SavedIndex::Save(const VectorGeneration& generation, uint64_t generation_number,
                              absl::FunctionRef<bool()> cancelled) {
  {
    MutexLock lock(&mu_);
    if (dropped_) return absl::CancelledError("the index was deleted");
    // From here on: an erasure before this is seen in the rows.
    give_up_ = false;
  }
  File saved;
  saved.generation_number = generation_number;
  saved.row_limit = static_cast<uint32_t>(generation.index().graph_row_limit());
  for (RowId row = 0; row < saved.row_limit; ++row) {
    if (generation.DiedSeq(row) != kNever) continue;
    saved.commit_seq = std::max(saved.commit_seq, generation.born_seq(row));
  }
  RETURN_IF_ERROR(generation.index().Save(
      new_path(), saved.commit_seq, [&](RowId row) { return generation.Label(row); },
      [&] { return cancelled() || give_up_.load(); }));
  std::error_code error;
  saved.bytes = fs::file_size(new_path(), error);
  MutexLock lock(&mu_);
  if (give_up_ || dropped_ || error) {
    RETURN_IF_ERROR(DeleteGraphFile(new_path()));
    return absl::CancelledError("what was saved was erased meanwhile");
  }
  // Whether the old file or the new one is there after an error, it may hold what is erased later.
  file_ = kUnknown;
  RETURN_IF_ERROR(PublishGraphFile(new_path(), path()));
  file_ = saved;
  return absl::OkStatus();
}

absl::Status SavedIndex::Erase(uint64_t generation_number, absl::Span<const RowId> rows) {
  if (folder_.empty()) return absl::OkStatus();
  MutexLock lock(&mu_);
  give_up_ = true;
  RETURN_IF_ERROR(DeleteGraphFile(new_path()));
  if (file_.bytes == 0) return absl::OkStatus();
  const RowId row_limit = file_.row_limit;
  const bool holds =
      file_.generation_number != generation_number ||
      std::any_of(rows.begin(), rows.end(), [row_limit](RowId row) { return row < row_limit; });
  if (!holds) return absl::OkStatus();
  RETURN_IF_ERROR(DeleteGraphFile(path()));
  file_ = {};
  return absl::OkStatus();
}

void SavedIndex::Drop() {
  if (folder_.empty()) return;
  MutexLock lock(&mu_);
  give_up_ = true;
  dropped_ = true;
  file_ = {};
  std::error_code error;
  fs::remove_all(folder_, error);
  if (error) WarnOf("the files of a deleted index were not deleted", folder_, error.message());
}

SavedIndex::File SavedIndex::file() const {
  MutexLock lock(&mu_);
  return file_;
}

}  // namespace fletch
