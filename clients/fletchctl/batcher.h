// SPDX-License-Identifier: Apache-2.0
// From records to the batches of a write or of a spine.
#ifndef FLETCH_CLIENTS_FLETCHCTL_BATCHER_H_
#define FLETCH_CLIENTS_FLETCHCTL_BATCHER_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "cells.h"
#include "fletch/v1/data.pb.h"
#include "records.h"

namespace fletch::ctl {

// Columns of a number of records.
struct ColumnBatch {
  uint64_t row_count = 0;
  uint64_t first_line = 0;
  uint64_t last_line = 0;
  std::vector<std::pair<std::string, v1::Column>> columns = {};
  v1::TimestampColumn timestamps = {};
};

struct BatcherOptions {
  // Columns and their types.
  std::vector<std::pair<std::string, CellType>> columns = {};
  // Of those, the ones that every record must have, never null.
  std::vector<std::string> keys = {};
  // The column of times; never null.
  std::string timestamp_column = {};
  // Records may have other columns, which are left out. Otherwise they are an error.
  bool ignore_others = false;
  uint64_t rows_max = 10'000;
  // About: well below the daemon's limit of 64 MiB a message.
  size_t bytes_max = 8u << 20;
};

// A batch holds records of one shape: a field that a record leaves out takes its default, which a
// null would not.
class Batcher {
 public:
  explicit Batcher(BatcherOptions options) : options_(std::move(options)) {}

  // The reader's record does not fit into the present batch: take that first.
  bool MustTakeBefore(const RecordReader& reader) const;

  // Adds the reader's record. A usage error names the line and the column; the batch is not to be
  // used then.
  absl::Status Add(const RecordReader& reader);

  uint64_t row_count() const { return batch_.row_count; }
  ColumnBatch Take();

 private:
  absl::Status Reshape(const RecordReader& reader);

  const BatcherOptions options_;
  bool shaped_ = false;
  uint64_t shape_ = 0;
  std::vector<ColumnBuilder> builders_;
  // For each cell of a record: its builder, or -1.
  std::vector<int> builder_of_cell_;
  std::vector<bool> is_required_;
  std::vector<std::string> names_;
  ColumnBatch batch_;
};

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_BATCHER_H_
