// SPDX-License-Identifier: Apache-2.0
// The two ways an IPC body may be compressed, buffer by buffer.
#ifndef FLETCH_SERVER_FLIGHT_IPC_COMPRESSION_H_
#define FLETCH_SERVER_FLIGHT_IPC_COMPRESSION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"

namespace fletch {

enum class IpcCodec { kNone, kLz4Frame, kZstd };

// Owned bytes that nobody filled with zeros before; pages that nothing is written to cost nothing.
struct IpcBytes {
  std::unique_ptr<uint8_t[]> data;
  size_t size = 0;
};

// Exactly `size` bytes out of `in`. INVALID_ARGUMENT: damaged, or another size. REQUIRES:
// codec is not kNone; the caller has checked `size` against its budget.
absl::StatusOr<IpcBytes> Decompress(IpcCodec codec, std::string_view in, size_t size);

}  // namespace fletch

#endif  // FLETCH_SERVER_FLIGHT_IPC_COMPRESSION_H_
