// SPDX-License-Identifier: Apache-2.0
// The facts of one entity as read from the store, for windows at one or at several known_at.
// Private to the windows.
#ifndef FLETCH_SERVER_ENGINE_WINDOW_LOG_H_
#define FLETCH_SERVER_ENGINE_WINDOW_LOG_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "base/call.h"
#include "server/engine/view.h"
#include "server/engine/window_answer.h"
#include "server/engine/window_tree.h"
#include "storage/fact_store.h"

namespace fletch {

// What counts at one known_at: rows, and tombstones, oldest first.
struct CurrentEvents {
  explicit CurrentEvents(const EventShape* shape) : rows(shape) {}

  EventBlock rows;
  std::vector<FactPlace> tombstones;
};

// Reads what counts at `known_at` of start <= event_time <= end into *events, which is cleared.
// DATA_LOSS; what call.Check() says.
absl::Status ReadCurrentEvents(FactReader* reader, const View& source, std::string_view entity_key,
                               int64_t start, int64_t end, uint64_t known_at, const Call& call,
                               CurrentEvents* events);

// Every stored fact with commit <= known_at of that range.
class FactLog {
 public:
  static absl::StatusOr<FactLog> Read(FactReader* reader, const View& source,
                                      const EventShape* shape, std::string_view entity_key,
                                      int64_t start, int64_t end, uint64_t known_at,
                                      const Call& call);

  size_t size() const { return facts_.size(); }
  int64_t time(size_t fact) const { return facts_[fact].time; }  // oldest first
  uint64_t commit(size_t fact) const { return facts_[fact].commit; }
  // What counts at the log's known_at.
  CurrentEvents Current() const;
  // Facts in the order of their commits.
  std::vector<size_t> InCommitOrder() const;
  // Makes `tree`, which knows all earlier commits, know this fact.
  void Replay(size_t fact, const EventTreeEditor& editor, EventTree* tree) const;

 private:
  struct LoggedFact {
    int64_t time;
    uint64_t commit;
    FactForm form;
    bool tombstone;         // its identity
    size_t row;             // kRow: in rows_
    std::string event_key;  // encoded
  };

  explicit FactLog(const EventShape* shape) : rows_(shape) {}

  std::vector<LoggedFact> facts_;
  EventBlock rows_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_WINDOW_LOG_H_
