// SPDX-License-Identifier: Apache-2.0
// Where the rows of a training read or a training set go: the spine's columns as they came, then
// the features.
#ifndef FLETCH_CLIENTS_FLETCHCTL_JOINED_OUTPUT_H_
#define FLETCH_CLIENTS_FLETCHCTL_JOINED_OUTPUT_H_

#include <CLI/CLI.hpp>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cells.h"
#include "fletch/v1/historical.pb.h"
#include "records.h"

namespace fletch::ctl {

// How joined rows are written.
struct OutputArgs {
  std::string file = "-";
  std::string format = {};
  bool statuses = false;
  bool event_timestamps = false;
};
void AddOutputOptions(CLI::App& command, OutputArgs& args);

// The format of --output-format, else JSON lines with --json, else by the file's name.
absl::StatusOr<RecordFormat> OutputFormat(const OutputArgs& args, bool json);

class JoinedOutput {
 public:
  // Writes to args.file, "-" being standard output. A usage error when it cannot be written.
  static absl::StatusOr<std::unique_ptr<JoinedOutput>> Open(const OutputArgs& args,
                                                            RecordFormat format);

  // `out` must outlive this. With statuses a column "ref__status" stands after each feature, with
  // event timestamps a column "ref__event_timestamp".
  JoinedOutput(std::ostream& out, RecordFormat format, bool statuses, bool event_timestamps)
      : out_(&out), format_(format), statuses_(statuses), event_timestamps_(event_timestamps) {}

  // Names of the spine's columns and the features, before any rows; nothing is written yet, as the
  // first rows may be refused. A usage error when one name is both.
  absl::Status Begin(const std::vector<std::string>& spine_names,
                     const std::vector<std::string>& refs);

  // A column a feature. REQUIRES: as many rows as the columns have.
  absl::Status Write(const std::vector<SpineRow>& rows,
                     const google::protobuf::RepeatedPtrField<v1::Column>& columns);

  // To be called after the last row.
  absl::Status Finish();

  RecordFormat format() const { return format_; }

 private:
  std::vector<std::string> NamesOf(const std::string& ref) const;
  void WriteCsv(const SpineRow& row, const std::vector<ColumnReader>& columns, uint64_t index);
  void WriteJson(const SpineRow& row, const std::vector<ColumnReader>& columns, uint64_t index);

  std::unique_ptr<std::ofstream> file_;  // when *out_ is one of our own
  std::ostream* out_;
  RecordFormat format_;
  bool statuses_;
  bool event_timestamps_;
  std::string header_;  // CSV: until it is written
  std::vector<std::string> spine_names_;
  std::vector<std::string> refs_;
};

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_JOINED_OUTPUT_H_
