// SPDX-License-Identifier: Apache-2.0
// Features of many keys at one (as_of, read_seq): online reads and hydration.
#ifndef FLETCH_SERVER_ENGINE_ONLINE_READER_H_
#define FLETCH_SERVER_ENGINE_ONLINE_READER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/call.h"
#include "base/mutex.h"
#include "server/engine/feature_plan.h"
#include "server/engine/snapshot.h"
#include "server/engine/types.h"

namespace fletch {

// Appends one cell to a column: `row` is the view's row when cell.status is kPresent.
void AppendCell(const VisibleRow& cell, const RowView* row, size_t field, bool event_times,
                Column* column);

// Makes a plan's columns of rows that are added in order, view by view.
class ColumnWriter {
 public:
  ColumnWriter(const FeaturePlan& plan, size_t row_count, bool event_times);
  // One row of one view: a cell for each of its fields. `trusted`: the bytes are the online
  // table's, already checked.
  absl::Status Append(const PlanView& view, const VisibleRow& cell, bool trusted);
  std::vector<Column> Finish() { return std::move(columns_); }

 private:
  std::vector<Column> columns_;
  const bool event_times_;
};

// The columns of `plan`; nullopt when `may_block` is false and memory alone cannot say.
// INVALID_ARGUMENT: keys that do not fit (field path keys.NAME).
absl::StatusOr<std::optional<std::vector<Column>>> ReadFeatures(const FeaturePlan& plan,
                                                                absl::Span<const NamedColumn> keys,
                                                                size_t row_count, bool event_times,
                                                                bool may_block, const Call& call,
                                                                Snapshot* snapshot);

// Plans by selection, of the newest catalog revision. Thread-safe.
class PlanCache {
 public:
  absl::StatusOr<std::shared_ptr<const FeaturePlan>> Get(const CatalogSnapshot& catalog,
                                                         const std::string& project,
                                                         const Selection& selection);

 private:
  Mutex mu_;
  uint64_t revision_ ABSL_GUARDED_BY(mu_) = 0;
  absl::flat_hash_map<std::string, std::shared_ptr<const FeaturePlan>> plans_ ABSL_GUARDED_BY(mu_);
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_ONLINE_READER_H_
