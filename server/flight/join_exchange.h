// SPDX-License-Identifier: Apache-2.0
// FlightService.DoExchange: the training join.
#ifndef FLETCH_SERVER_FLIGHT_JOIN_EXCHANGE_H_
#define FLETCH_SERVER_FLIGHT_JOIN_EXCHANGE_H_

#include "server/flight/flight_stream.h"

namespace fletch {

RawBidi* StartJoinExchange(Method* method, grpc::CallbackServerContext* context);

}  // namespace fletch

#endif  // FLETCH_SERVER_FLIGHT_JOIN_EXCHANGE_H_
