// SPDX-License-Identifier: Apache-2.0
// A plan's columns, made of the rows that its views say: the end of every read.
#ifndef FLETCH_SERVER_ENGINE_COLUMN_WRITER_H_
#define FLETCH_SERVER_ENGINE_COLUMN_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/call.h"
#include "server/engine/feature_plan.h"
#include "storage/row_columns.h"

namespace fletch {

// Not thread-safe. Each view's rows are appended in order, in pieces of any size; the views in any
// order.
class ColumnWriter {
 public:
  // `plan` outlives the writer.
  ColumnWriter(const FeaturePlan& plan, size_t row_count, bool event_times);

  // The next rows of plan.groups[group].views[view]. Of windows: rows of the view's layout. Another
  // status than kPresent has no row; kOutOfRetention has no event time either.
  void Append(size_t group, size_t view, absl::Span<const VisibleRow> rows);

  // The columns that were asked for, expressions evaluated. REQUIRES: every view has row_count
  // rows. Errors as ExpressionProgram::Evaluate.
  absl::StatusOr<std::vector<Column>> Finish(const BoundContext& context, const Call& call);

 private:
  void AppendWindowTimes(const PlanView& view, absl::Span<const VisibleRow> rows);
  absl::Status Evaluate(const PlanExpressions& expressions, const BoundContext& context,
                        const Call& call);
  void MarkOutOfRetention(const PlanExpressions& expressions, size_t expression, Column* out) const;
  void AttachEventTimes();

  const FeaturePlan& plan_;
  const size_t row_count_;
  const bool event_times_;
  std::vector<Column> columns_;  // the hidden ones last
  // Event times by group and view; those of windows, which differ by cell, by column.
  std::vector<std::vector<std::vector<int64_t>>> view_times_;
  std::vector<std::vector<int64_t>> window_times_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_COLUMN_WRITER_H_
