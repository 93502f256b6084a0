// SPDX-License-Identifier: Apache-2.0
#include "server/engine/window_plan.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace fletch {
namespace {

bool NeedsNumbers(AggregateFunction function) {
  switch (function) {
    case AggregateFunction::kSum:
    case AggregateFunction::kMean:
    case AggregateFunction::kMin:
    case AggregateFunction::kMax:
    case AggregateFunction::kVariance:
    case AggregateFunction::kStddev:
    case AggregateFunction::kApproxPercentile:
      return true;
    default:
      return false;
  }
}

}  // namespace

void AddToShape(const AggregationView& view, const Aggregation& aggregation, EventShape* shape) {
  std::optional<DataType> type;
  if (aggregation.column.has_value()) type = view.source->layout.type(*aggregation.column);
  shape->Add(aggregation.column, type, NeedsNumbers(aggregation.function));
}

WindowPlan::WindowPlan(std::shared_ptr<const AggregationView> view, absl::Span<const size_t> wanted)
    : view_(std::move(view)), row_shape_(AggregationFields(view_->aggregations)) {
  for (const size_t i : wanted) {
    AddToShape(*view_, view_->aggregations[i], &shape_);
    windows_.push_back(view_->aggregations[i].window_micros);
  }
  shape_.Finish();
  std::sort(windows_.begin(), windows_.end());
  windows_.erase(std::unique(windows_.begin(), windows_.end()), windows_.end());
  const auto place = [&](const Aggregation& aggregation) {
    const auto window =
        std::lower_bound(windows_.begin(), windows_.end(), aggregation.window_micros);
    return std::pair(*shape_.Find(aggregation.column),
                     static_cast<size_t>(window - windows_.begin()));
  };
  for (const size_t i : wanted) {
    const Aggregation& aggregation = view_->aggregations[i];
    const auto at = place(aggregation);
    const auto same = std::find_if(folds_.begin(), folds_.end(), [&](const Fold& fold) {
      return std::pair(fold.slot, fold.window) == at;
    });
    const bool numbers = NeedsNumbers(aggregation.function);
    if (same == folds_.end()) {
      folds_.push_back({at.first, at.second, numbers});
    } else {
      same->numbers = same->numbers || numbers;
    }
  }
  std::sort(folds_.begin(), folds_.end(), [](const Fold& a, const Fold& b) {
    return std::tie(a.slot, a.window) < std::tie(b.slot, b.window);
  });
  for (const size_t i : wanted) {
    const auto at = place(view_->aggregations[i]);
    for (size_t fold = 0; fold < folds_.size(); ++fold) {
      if (std::pair(folds_[fold].slot, folds_[fold].window) == at) wanted_.push_back({i, fold});
    }
  }
}

}  // namespace fletch
