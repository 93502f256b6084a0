// SPDX-License-Identifier: Apache-2.0
// From gRPC's status to absl's.
#ifndef FLETCH_CLIENTS_CPP_GRPC_ERRORS_H_
#define FLETCH_CLIENTS_CPP_GRPC_ERRORS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace fletch::client {

// The same code and message, and the details of grpc-status-details-bin as payloads.
absl::Status FromGrpc(const grpc::Status& status);

// `status` with a reason and, unless empty, a field, as the daemon would send them.
absl::Status WithDetails(absl::Status status, absl::string_view reason, absl::string_view field);

}  // namespace fletch::client

#endif  // FLETCH_CLIENTS_CPP_GRPC_ERRORS_H_
