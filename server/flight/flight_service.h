// SPDX-License-Identifier: Apache-2.0
// Arrow Flight, spoken over plain gRPC on the daemon's own port (docs/flight.md).
#ifndef FLETCH_SERVER_FLIGHT_FLIGHT_SERVICE_H_
#define FLETCH_SERVER_FLIGHT_FLIGHT_SERVICE_H_

#include "server/rpc/services.h"

namespace fletch {

// Ready to register, with its full name for health. `host` outlives it. Thread-safe.
NamedService MakeFlightService(RpcHost* host);

}  // namespace fletch

#endif  // FLETCH_SERVER_FLIGHT_FLIGHT_SERVICE_H_
