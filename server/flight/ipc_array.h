// SPDX-License-Identifier: Apache-2.0
// One Arrow array over bytes that somebody else wrote, and columns out of it.
#ifndef FLETCH_SERVER_FLIGHT_IPC_ARRAY_H_
#define FLETCH_SERVER_FLIGHT_IPC_ARRAY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/flight/ipc_types.h"
#include "storage/value.h"

namespace fletch {

// The buffers of one array. Nothing of them was looked at but their lengths: fixed-width data and
// validity hold `length` values; everything that an offset, a view or an index says is checked when
// it is followed. Refers to bytes that it does not own.
struct ArrowArray {
  size_t length = 0;
  std::string_view validity = {};            // a bit a value; empty: none is null
  std::string_view data = {};                // values, bits, offsets, views or indices
  std::string_view values = {};              // what offsets point into
  std::vector<std::string_view> parts = {};  // what views point into
  std::unique_ptr<ArrowArray> child = {};    // of lists

  bool IsNull(size_t i) const {
    return !validity.empty() && ((static_cast<uint8_t>(validity[i >> 3]) >> (i & 7)) & 1) == 0;
  }
};

// What decoding may cost: a dictionary index or a view of a few bytes may stand for megabytes.
struct IpcLimits {
  size_t body_bytes;   // of one message, decompressed
  size_t value_bytes;  // of the texts of one column that is read, and of all dictionaries
};
IpcLimits DefaultIpcLimits();

// Values [begin, begin + count) as a column. `wanted`, if given, decides what the array leaves
// open: the type of a null array, vector or array for lists of floats. REQUIRES: the range lies
// within the array; `dictionary` is given iff the field has one. INVALID_ARGUMENT and OUT_OF_RANGE
// name the row (begin counts); the caller adds the column's name.
absl::StatusOr<Column> ReadArray(const ArrowField& field, const ArrowArray& array,
                                 const Column* dictionary, size_t begin, size_t count,
                                 const std::optional<DataType>& wanted, const IpcLimits& limits);

// The same of an array of scalars; null_rows may be set for any value. For `what` read "row" or
// "element" in errors.
absl::StatusOr<Column> ReadScalars(const ArrowType& type, const ArrowArray& array, size_t begin,
                                   size_t count, std::string_view what, const IpcLimits& limits);

// Of null_rows relative to `begin`.
std::vector<uint64_t> NullRows(const ArrowArray& array, size_t begin, size_t count);

}  // namespace fletch

#endif  // FLETCH_SERVER_FLIGHT_IPC_ARRAY_H_
