// SPDX-License-Identifier: Apache-2.0
// FlightService.DoPut: the bulk write.
#ifndef FLETCH_SERVER_FLIGHT_PUT_STREAM_H_
#define FLETCH_SERVER_FLIGHT_PUT_STREAM_H_

#include "server/flight/flight_stream.h"

namespace fletch {

RawBidi* StartPutStream(Method* method, grpc::CallbackServerContext* context);

}  // namespace fletch

#endif  // FLETCH_SERVER_FLIGHT_PUT_STREAM_H_
