// SPDX-License-Identifier: Apache-2.0
// Schemas as Arrow's IPC format writes them: a Message FlatBuffer without a body.
#ifndef FLETCH_SERVER_FLIGHT_IPC_SCHEMA_H_
#define FLETCH_SERVER_FLIGHT_IPC_SCHEMA_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/flight/ipc_types.h"

namespace fletch::ipc {
struct Schema;
}

namespace fletch {

// The fields of a verified schema. INVALID_ARGUMENT names the column: a type that has no place here
// (and what would), a name that is not UTF-8 or comes twice, more than max_flight_columns.
absl::StatusOr<std::vector<ArrowField>> ReadFields(const ipc::Schema& schema);

// All fields nullable.
std::string SchemaMessage(absl::Span<const ArrowField> fields, const ArrowMetadata& metadata);

// The same behind its continuation word and length, as FlightInfo and SchemaResult want it.
std::string Encapsulated(std::string_view message);

}  // namespace fletch

#endif  // FLETCH_SERVER_FLIGHT_IPC_SCHEMA_H_
