// SPDX-License-Identifier: Apache-2.0
// "3h", "7d", "90s", "10m", "500ms", "0": durations as specs write them.
#ifndef FLETCH_CLIENTS_FLETCHCTL_DURATIONS_H_
#define FLETCH_CLIENTS_FLETCHCTL_DURATIONS_H_

#include <google/protobuf/duration.pb.h>

#include <string>

#include "absl/status/statusor.h"

namespace fletch::ctl {

// A whole number and one of us, ms, s, m, h, d; or 0. A usage error for anything else.
absl::StatusOr<google::protobuf::Duration> ParseDuration(const std::string& text);

// The same in the largest unit that divides it.
std::string FormatDuration(const google::protobuf::Duration& duration);

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_DURATIONS_H_
