// SPDX-License-Identifier: Apache-2.0
#include "server/engine/newest_event_times.h"

#include <algorithm>
#include <limits>

namespace fletch {

void NewestEventTimes::Add(uint64_t seq, int64_t event_time) {
  if (!steps_.empty() && event_time <= steps_.back().event_time) return;
  if (!steps_.empty() && seq <= steps_.back().seq) {
    steps_.back().event_time = event_time;
    return;
  }
  steps_.push_back({seq, event_time});
  if (steps_.size() <= kMaxSteps) return;
  steps_.pop_front();
  steps_.front().seq = 0;
}

void NewestEventTimes::AddForAll(int64_t event_time) {
  std::erase_if(steps_, [event_time](const Step& step) { return step.event_time <= event_time; });
  steps_.push_front({0, event_time});
}

int64_t NewestEventTimes::At(uint64_t read_seq) const {
  const auto after =
      std::upper_bound(steps_.begin(), steps_.end(), read_seq,
                       [](uint64_t seq, const Step& step) { return seq < step.seq; });
  return after == steps_.begin() ? std::numeric_limits<int64_t>::min()
                                 : std::prev(after)->event_time;
}

}  // namespace fletch
