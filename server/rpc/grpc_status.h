// SPDX-License-Identifier: Apache-2.0
// Our errors as gRPC carries them.
#ifndef FLETCH_SERVER_RPC_GRPC_STATUS_H_
#define FLETCH_SERVER_RPC_GRPC_STATUS_H_

#include <grpcpp/support/status.h>

#include <string_view>

#include "absl/status/status.h"

namespace fletch {

// Longer messages and field paths are cut: clients drop trailers beyond 8 KiB, and the text travels
// twice there.
inline constexpr size_t kMaxErrorMessageBytes = 1024;
inline constexpr size_t kMaxErrorFieldBytes = 256;

// The code, the message, and in grpc-status-details-bin an ErrorStatus: ErrorInfo always,
// BadRequest when a field is at fault, RetryInfo when trying again can help. `request_id` goes into
// ErrorInfo's metadata unless empty.
grpc::Status ToGrpcStatus(const absl::Status& status, std::string_view request_id = "");

// True of errors that are the server's fault: logged as warnings. Lost data is, but not a question
// about commits that are known to be lost (LOST_COMMIT).
bool IsServerFault(const absl::Status& status);

// "INVALID_ARGUMENT".
std::string_view CodeName(absl::StatusCode code);

// The first `limit` bytes of UTF-8 text, without half a character, "…" standing for the rest.
std::string CutText(std::string_view text, size_t limit);

// The error's reason; its code's name where it has none.
std::string ReasonOf(const absl::Status& status);

}  // namespace fletch

#endif  // FLETCH_SERVER_RPC_GRPC_STATUS_H_
