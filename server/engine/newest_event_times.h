// SPDX-License-Identifier: Apache-2.0
// Up to when facts are known in memory, by reader.
#ifndef FLETCH_SERVER_ENGINE_NEWEST_EVENT_TIMES_H_
#define FLETCH_SERVER_ENGINE_NEWEST_EVENT_TIMES_H_

#include <cstddef>
#include <cstdint>
#include <deque>

namespace fletch {

// The newest event time among the facts a reader at S can have met in memory. Bounded: older
// readers get a later time. Not thread-safe.
class NewestEventTimes {
 public:
  // Facts come in commit order.
  void Add(uint64_t seq, int64_t event_time);
  // One that readers of every S may meet.
  void AddForAll(int64_t event_time);
  // INT64_MIN: none.
  int64_t At(uint64_t read_seq) const;

 private:
  static constexpr size_t kMaxSteps = 1024;  // as many commits as a request may last
  struct Step {
    uint64_t seq;
    int64_t event_time;
  };
  std::deque<Step> steps_;  // both ascending
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_NEWEST_EVENT_TIMES_H_
