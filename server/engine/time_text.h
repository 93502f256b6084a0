// SPDX-License-Identifier: Apache-2.0
// Times and durations as people write them, for messages.
#ifndef FLETCH_SERVER_ENGINE_TIME_TEXT_H_
#define FLETCH_SERVER_ENGINE_TIME_TEXT_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace fletch {

// RFC 3339 in UTC: "2001-02-03T04:05:06.5Z".
inline std::string TimeText(int64_t micros) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", absl::FromUnixMicros(micros),
                          absl::UTCTimeZone());
}

// "5m", "1h0.5s".
inline std::string DurationText(int64_t micros) {
  return absl::FormatDuration(absl::Microseconds(micros));
}

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_TIME_TEXT_H_
