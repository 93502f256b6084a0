// SPDX-License-Identifier: Apache-2.0
// Flight's messages and errors as gRPC carries them.
#ifndef FLETCH_SERVER_FLIGHT_FLIGHT_DATA_H_
#define FLETCH_SERVER_FLIGHT_FLIGHT_DATA_H_

#include <google/protobuf/message_lite.h>
#include <grpcpp/support/byte_buffer.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/flight/flight_wire.pb.h"
#include "server/flight/ipc_writer.h"

namespace fletch {

namespace flight = ::arrow::flight::protocol;

// A FlightData of a schema.
grpc::ByteBuffer SchemaData(std::string_view header);
// A FlightData of a record batch; the values are copied once, to where gRPC takes them from.
grpc::ByteBuffer BatchData(const IpcBatchWriter& batch, std::string_view app_metadata);

// Fills `message` from a descriptor's cmd or a ticket. INVALID_ARGUMENT says what the bytes of
// `field` should be.
absl::Status ParseCommand(std::string_view bytes, std::string_view field,
                          google::protobuf::MessageLite* message);
// The same of a descriptor, which must be of type CMD.
absl::Status ParseDescriptor(const flight::FlightDescriptor& descriptor,
                             google::protobuf::MessageLite* message);

// Flight's clients show code and message and nothing else: the same error with its field's path in
// the message, behind `where` unless empty.
absl::Status ForFlight(const absl::Status& status, std::string_view where = "");

}  // namespace fletch

#endif  // FLETCH_SERVER_FLIGHT_FLIGHT_DATA_H_
