// SPDX-License-Identifier: Apache-2.0
// From what windows fold to the row that is answered: the one place that knows what each function
// says. Private to the windows.
#ifndef FLETCH_SERVER_ENGINE_WINDOW_ANSWER_H_
#define FLETCH_SERVER_ENGINE_WINDOW_ANSWER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/metrics.h"
#include "server/engine/aggregate_state.h"
#include "server/engine/window_plan.h"

namespace fletch {

// Where facts stand in time, without their event keys.
struct FactPlace {
  int64_t time = std::numeric_limits<int64_t>::min();
  uint64_t commit = 0;
  auto operator<=>(const FactPlace&) const = default;
};

// Events after `after` (in fact order) and not after `as_of`.
struct WindowBounds {
  FactPlace after;
  int64_t as_of = 0;
};

// The events of a window that ends at `as_of`; `tombstone` is the newest at or before it.
WindowBounds BoundWindow(int64_t as_of, int64_t window_micros,
                         const std::optional<FactPlace>& tombstone);

// An event where it is kept.
struct EventAt {
  const EventBlock* block = nullptr;
  size_t event = 0;
};

// What a window says of a slot: events that are not null there.
struct WindowFold {
  uint64_t count = 0;
  EventAt newest;       // count > 0
  NumberState numbers;  // of a fold with numbers
};

// (ValueKey, events), the first k by (count descending, key ascending).
using ValueCounts = std::vector<std::pair<std::string, uint64_t>>;

// The windows of one question. `fold` is an index of WindowPlan::folds().
class WindowSource {
 public:
  virtual ~WindowSource() = default;
  virtual WindowFold Fold(size_t fold) = 0;
  // REQUIRES: Fold(fold).count > 0.
  virtual EventAt Oldest(size_t fold) = 0;
  // The newest k, newest first.
  virtual std::vector<EventAt> Newest(size_t fold, size_t k) = 0;
  // nullopt: more than limits::kMaxWindowDistinctValues.
  virtual std::optional<uint64_t> CountDistinct(size_t fold) = 0;
  virtual std::optional<ValueCounts> Top(size_t fold, size_t k) = 0;
  // The bucket of the rank-th value (from 1). REQUIRES: no NaN among them, rank <= count.
  virtual int32_t Bucket(size_t fold, uint64_t rank) = 0;
};

// Sets the wanted fields of `row`. RESOURCE_EXHAUSTED for too many distinct values, naming
// `question` as the row.
absl::Status AnswerWindows(const WindowPlan& plan, size_t question, Counter* overflows,
                           WindowSource* source, AggregateRowBuilder* row);

// Orders and cuts what top_k answers.
void KeepTop(size_t k, ValueCounts* counts);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_WINDOW_ANSWER_H_
