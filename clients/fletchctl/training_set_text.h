// SPDX-License-Identifier: Apache-2.0
// Training sets, as programs and people see them.
#ifndef FLETCH_CLIENTS_FLETCHCTL_TRAINING_SET_TEXT_H_
#define FLETCH_CLIENTS_FLETCHCTL_TRAINING_SET_TEXT_H_

#include <string>
#include <vector>

#include "cells.h"
#include "fletch/v1/historical.pb.h"
#include "records.h"

namespace fletch::ctl {

Json TrainingSetJson(const v1::TrainingSet& set);

// A line a property.
std::string TrainingSetText(const v1::TrainingSet& set);

// The rows of a spine batch that the daemon kept: keys by name, "event_timestamp", then the
// request's context by name. `spine` must outlive this.
class SpineTable {
 public:
  explicit SpineTable(const v1::SpineBatch& spine);
  SpineTable(const SpineTable&) = delete;
  SpineTable& operator=(const SpineTable&) = delete;

  const std::vector<std::string>& names() const { return names_; }
  // As a file of this format would have given them.
  std::vector<SpineRow> Rows(RecordFormat format) const;

 private:
  struct Source {
    ColumnReader reader;
    bool one_for_all;
  };
  void AddAll(const google::protobuf::Map<std::string, v1::Column>& columns);
  void Add(const std::string& name, const v1::Column& column);

  const v1::SpineBatch& spine_;
  v1::Column times_;
  std::vector<std::string> names_;
  std::vector<Source> sources_;
};

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_TRAINING_SET_TEXT_H_
