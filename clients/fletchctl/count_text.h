// SPDX-License-Identifier: Apache-2.0
// Counts in sentences.
#ifndef FLETCH_CLIENTS_FLETCHCTL_COUNT_TEXT_H_
#define FLETCH_CLIENTS_FLETCHCTL_COUNT_TEXT_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"

namespace fletch::ctl {

// "1 row", "2 rows".
inline std::string CountText(uint64_t count, absl::string_view noun) {
  return absl::StrCat(count, " ", noun, count == 1 ? "" : "s");
}

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_COUNT_TEXT_H_
