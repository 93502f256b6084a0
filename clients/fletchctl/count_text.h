// SPDX-License-Identifier: Apache-2.0
// Counts in sentences.
#ifndef FLETCH_CLIENTS_FLETCHCTL_COUNT_TEXT_H_
#define FLETCH_CLIENTS_FLETCHCTL_COUNT_TEXT_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace fletch::ctl {

// "1 row", "2 rows"; "2 batches" when the plural is not the noun with an s.
inline std::string CountText(uint64_t count, absl::string_view noun,
                             absl::string_view plural = "") {
  if (count == 1) return absl::StrCat("1 ", noun);
  return plural.empty() ? absl::StrCat(count, " ", noun, "s") : absl::StrCat(count, " ", plural);
}

// "12.5 MiB".
inline std::string MebibytesText(uint64_t bytes) {
  return absl::StrFormat("%.1f MiB", static_cast<double>(bytes) / 1048576.0);
}

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_COUNT_TEXT_H_
