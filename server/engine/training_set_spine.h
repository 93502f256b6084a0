// SPDX-License-Identifier: Apache-2.0
// A spine batch as bytes (storage/FORMAT.md, Training sets).
#ifndef FLETCH_SERVER_ENGINE_TRAINING_SET_SPINE_H_
#define FLETCH_SERVER_ENGINE_TRAINING_SET_SPINE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/engine/types.h"

namespace fletch {

struct StoredSpine {
  SpineBatch batch;
  std::vector<uint64_t> erased_rows = {};  // ascending: blank in every column
};

// REQUIRES: columns are scalars of row_count rows (context: or of one), as a joined batch has them.
std::string EncodeSpine(const StoredSpine& spine);
// DATA_LOSS when the bytes are no spine batch.
absl::StatusOr<StoredSpine> DecodeSpine(std::string_view bytes);

// Makes the rows blank (zero or empty in every column, context of row_count rows included) and
// notes them. `rows` ascending.
void BlankRows(const std::vector<uint64_t>& rows, StoredSpine* spine);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_TRAINING_SET_SPINE_H_
