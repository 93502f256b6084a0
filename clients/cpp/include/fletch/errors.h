// SPDX-License-Identifier: Apache-2.0
// What the daemon says about an error, beside its code and message. The details of
// grpc-status-details-bin are kept as payloads of the absl::Status, under their type URLs
// ("type.googleapis.com/google.rpc.ErrorInfo", …).
#ifndef FLETCH_ERRORS_H_
#define FLETCH_ERRORS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace fletch::client {

// A stable word for programs, "QUEUE_FULL"; "CONNECTION_FAILED" when no daemon was reached. Empty:
// none was given.
std::string ErrorReason(const absl::Status& status);

// Path of the field at fault in the request, "batches[0].columns.temperature_c". Empty: none.
std::string ErrorField(const absl::Status& status);

// How long to wait before trying again. Zero: trying again does not help, or no hint was given.
absl::Duration ErrorRetryAfter(const absl::Status& status);

}  // namespace fletch::client

#endif  // FLETCH_ERRORS_H_
