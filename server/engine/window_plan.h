// SPDX-License-Identifier: Apache-2.0
// What a read wants of an aggregation view, resolved once: which columns of the source, which
// windows, which statistics.
#ifndef FLETCH_SERVER_ENGINE_WINDOW_PLAN_H_
#define FLETCH_SERVER_ENGINE_WINDOW_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "server/engine/view.h"
#include "server/engine/window_block.h"
#include "server/engine/window_row.h"

namespace fletch {

// Adds what an aggregation of `view` needs of the source.
void AddToShape(const AggregationView& view, const Aggregation& aggregation, EventShape* shape);

// Immutable, thread-safe; make it once a feature plan, not a request.
class WindowPlan {
 public:
  // `wanted`: indices of view->aggregations, ascending, each once. The other fields of the answered
  // rows are null.
  WindowPlan(std::shared_ptr<const AggregationView> view, absl::Span<const size_t> wanted);

  // What a fold over one window of one slot must keep.
  struct Fold {
    size_t slot = 0;    // of shape()
    size_t window = 0;  // of windows()
    bool numbers = false;
  };
  struct Wanted {
    size_t aggregation = 0;
    size_t fold = 0;
  };

  const AggregationView& view() const { return *view_; }
  const EventShape& shape() const { return shape_; }
  absl::Span<const int64_t> windows() const { return windows_; }  // micros, ascending
  absl::Span<const Fold> folds() const { return folds_; }         // by (slot, window)
  absl::Span<const Wanted> wanted() const { return wanted_; }     // ascending
  const AggregateRowShape& row_shape() const { return row_shape_; }
  int64_t longest_window_micros() const { return windows_.empty() ? 0 : windows_.back(); }

 private:
  const std::shared_ptr<const AggregationView> view_;
  EventShape shape_;
  std::vector<int64_t> windows_;
  std::vector<Fold> folds_;
  std::vector<Wanted> wanted_;
  AggregateRowShape row_shape_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_WINDOW_PLAN_H_
