// SPDX-License-Identifier: Apache-2.0
// Partial updates: a row of some fields over a base row.
#ifndef FLETCH_SERVER_ENGINE_ROW_MERGE_H_
#define FLETCH_SERVER_ENGINE_ROW_MERGE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/row_codec.h"

namespace fletch {

// The whole row: fields i with given[i] as `patch` says (nulls too), all others as `base` says.
// Fields beyond given's end count as not given. DATA_LOSS when a row is none of this layout.
absl::StatusOr<std::string> MergeRow(const RowLayout& layout, const std::vector<bool>& given,
                                     std::string_view patch, std::string_view base);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_ROW_MERGE_H_
