// SPDX-License-Identifier: Apache-2.0
// A record batch's body, cut into the arrays of its columns.
#ifndef FLETCH_SERVER_FLIGHT_IPC_BODY_H_
#define FLETCH_SERVER_FLIGHT_IPC_BODY_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/flight/ipc_array.h"
#include "server/flight/ipc_compression.h"
#include "server/flight/ipc_types.h"

namespace fletch::ipc {
struct RecordBatch;
}

namespace fletch {

struct IpcBatch {
  size_t row_count = 0;
  std::vector<ArrowArray> arrays = {};  // parallel to the fields; refer to `body` and `owned`
  std::vector<IpcBytes> owned = {};     // decompressed
};

// The arrays of a verified batch. Every buffer lies within `body` and is long enough for its
// array's length. INVALID_ARGUMENT otherwise; OUT_OF_RANGE: more rows or decompressed bytes than
// the limits allow.
absl::StatusOr<IpcBatch> ReadBody(const ipc::RecordBatch& batch, std::string_view body,
                                  absl::Span<const ArrowField> fields, const IpcLimits& limits);

}  // namespace fletch

#endif  // FLETCH_SERVER_FLIGHT_IPC_BODY_H_
