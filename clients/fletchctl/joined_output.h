// SPDX-License-Identifier: Apache-2.0
// Where a training read's rows go: the spine's columns as they came, then the features.
#ifndef FLETCH_CLIENTS_FLETCHCTL_JOINED_OUTPUT_H_
#define FLETCH_CLIENTS_FLETCHCTL_JOINED_OUTPUT_H_

#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cells.h"
#include "fletch/v1/historical.pb.h"
#include "records.h"

namespace fletch::ctl {

using SpineRow = std::vector<RecordCell>;

class JoinedOutput {
 public:
  // `out` must outlive this. With `statuses` a column "ref__status" stands after each feature.
  JoinedOutput(std::ostream& out, RecordFormat format, bool statuses)
      : out_(out), format_(format), statuses_(statuses) {}

  // Names of the spine's columns and the features, before any rows. A usage error when one name is
  // both.
  absl::Status Begin(const std::vector<std::string>& spine_names,
                     const std::vector<std::string>& refs);

  // REQUIRES: as many rows as the answer has.
  void Write(const std::vector<SpineRow>& rows, const v1::GetHistoricalFeaturesResponse& answer);

 private:
  void WriteCsv(const SpineRow& row, const std::vector<ColumnReader>& columns, uint64_t index);
  void WriteJson(const SpineRow& row, const std::vector<ColumnReader>& columns, uint64_t index);

  std::ostream& out_;
  const RecordFormat format_;
  const bool statuses_;
  std::vector<std::string> spine_names_;
  std::vector<std::string> refs_;
};

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_JOINED_OUTPUT_H_
