// SPDX-License-Identifier: Apache-2.0
// What DoGet sends: histories and training sets, piece by piece.
#ifndef FLETCH_SERVER_FLIGHT_GET_SOURCE_H_
#define FLETCH_SERVER_FLIGHT_GET_SOURCE_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/call.h"
#include "fletch/v1/flight.pb.h"
#include "server/engine/engine.h"

namespace fletch {

// Thread-compatible. Every call may block.
class GetSource {
 public:
  virtual ~GetSource() = default;

  // The Schema message. Errors are those of what the ticket names.
  virtual absl::StatusOr<std::string> Schema() = 0;
  // Sends the next piece, in as many messages as it takes. False: it was the last.
  using SendMessage = std::function<void(grpc::ByteBuffer)>;
  virtual absl::StatusOr<bool> SendNext(size_t max_message_bytes, const SendMessage& send) = 0;
  // -1: not known.
  virtual int64_t row_count() const { return -1; }
};

// `engine` and what `call` refers to outlive the source. INVALID_ARGUMENT: a ticket that names
// nothing.
absl::StatusOr<std::unique_ptr<GetSource>> MakeGetSource(Engine* engine, const Call& call,
                                                         const v1::FlightTicket& ticket);

// Each of one kind of ticket.
absl::StatusOr<std::unique_ptr<GetSource>> MakeHistorySource(
    Engine* engine, const Call& call, const v1::GetFeatureHistoryRequest& request);
std::unique_ptr<GetSource> MakeTrainingSetSource(Engine* engine, const Call& call,
                                                 const v1::FlightTrainingSet& request);

}  // namespace fletch

#endif  // FLETCH_SERVER_FLIGHT_GET_SOURCE_H_
