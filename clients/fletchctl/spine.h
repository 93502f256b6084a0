// SPDX-License-Identifier: Apache-2.0
// A spine file and what is to be joined with it: what `train` and `training-set create` share.
#ifndef FLETCH_CLIENTS_FLETCHCTL_SPINE_H_
#define FLETCH_CLIENTS_FLETCHCTL_SPINE_H_

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "batcher.h"
#include "command.h"
#include "records.h"
#include "schema.h"

namespace fletch::ctl {

struct SpineArgs {
  std::string file = {};
  std::string format = {};
  SelectionArgs selection = {};
  std::string timestamp_column = "event_timestamp";
  std::string known_at = {};
  bool as_served = false;
  std::string out_of_range = "fail";
  uint64_t batch_rows = 10'000;
};
void AddSpineOptions(CLI::App& command, SpineArgs& args);

absl::StatusOr<v1::HistoricalHeader> ToHeader(const SpineArgs& args);

// `status` of a read or a creation, with what to do next.
absl::Status SpineAdvice(absl::Status status);

// Some rows of a spine.
struct CutBatch {
  v1::SpineBatch message = {};
  std::vector<SpineRow> rows = {};
  // Of the file, up to the end of the batch; 0: not known.
  uint64_t bytes_read = 0;
};

// Cuts a spine file into batches. Errors are usage errors that name the file and the line. For one
// thread at a time.
class Spine {
 public:
  static absl::StatusOr<std::unique_ptr<Spine>> Open(const SpineArgs& args);

  // Finds the columns that the read takes. To be called once, before Next.
  absl::Status Begin(const ReadColumns& columns);

  // The names of the file's columns. REQUIRES: Begin.
  const std::vector<std::string>& names() const { return names_; }
  // Bytes of the file; 0: not known.
  uint64_t bytes() const { return file_.size(); }

  // nullopt at the end. REQUIRES: Begin.
  absl::StatusOr<std::optional<CutBatch>> Next();

 private:
  Spine(const SpineArgs& args, InputFile file) : args_(args), file_(std::move(file)) {}
  absl::StatusOr<std::optional<CutBatch>> Cut();
  v1::SpineBatch ToMessage(ColumnBatch batch) const;

  const SpineArgs args_;
  InputFile file_;
  std::unique_ptr<RecordReader> reader_;
  std::unique_ptr<Batcher> batcher_;
  ReadColumns columns_;
  std::vector<std::string> names_;
  bool more_ = false;
};

// Batches that were sent and are not answered yet; sent on one thread, answered on another.
class OpenBatches {
 public:
  void Push(CutBatch batch);
  // The oldest; nullopt: there is none.
  std::optional<CutBatch> Pop();

 private:
  std::mutex mutex_;
  std::deque<CutBatch> batches_;
};

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_SPINE_H_
