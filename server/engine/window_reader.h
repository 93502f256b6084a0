// SPDX-License-Identifier: Apache-2.0
// Windows over stored facts, at any (as_of, known_at): training, history and cold entities. One
// entity's events are read once, whatever is asked of them.
#ifndef FLETCH_SERVER_ENGINE_WINDOW_READER_H_
#define FLETCH_SERVER_ENGINE_WINDOW_READER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/call.h"
#include "base/metrics.h"
#include "server/engine/window_plan.h"
#include "storage/fact_store.h"
#include "storage/kv_store.h"

namespace fletch {

struct WindowQuestion {
  int64_t as_of = 0;
  uint64_t known_at = 0;
  size_t index = 0;  // the caller's; named as "row" in errors
};

// Not thread-safe; make one a thread and request; plans outlive it. Sees every fact written before
// its first question.
class WindowReader {
 public:
  // Called once a question, in no order. The row is of the view's layout and valid until it
  // returns.
  using Emit = std::function<void(size_t index, std::string_view row)>;

  // `overflows` counts INT64 sums that did not fit; may be nullptr. Pointers outlive the reader.
  explicit WindowReader(const KvStore* store, Counter* overflows = nullptr,
                        FactReader::Use use = FactReader::Use::kLookups);
  ~WindowReader();

  // Answers all questions about one entity. Ask entities in key order: the storage scan is cheapest
  // so. RESOURCE_EXHAUSTED when a window of count_distinct or top_k has more distinct values than
  // limits.h allows, naming view, aggregation and row; DATA_LOSS on damaged bytes; what
  // call.Check() says. Costs one scan of the entity's events in [oldest as_of - longest window,
  // newest as_of], then O(log n) merges a window. Questions of several known_at: the same, and a
  // logarithmic insertion a fact when late or corrected facts make them differ.
  absl::Status Evaluate(const WindowPlan& plan, std::string_view entity_key,
                        absl::Span<const WindowQuestion> questions, const Call& call,
                        const Emit& emit);

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_WINDOW_READER_H_
