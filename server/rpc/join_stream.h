// SPDX-License-Identifier: Apache-2.0
// HistoricalService.GetHistoricalFeatures: a header, then spine batches. Those that arrive together
// are joined together; each is answered in its turn.
#ifndef FLETCH_SERVER_RPC_JOIN_STREAM_H_
#define FLETCH_SERVER_RPC_JOIN_STREAM_H_

#include <grpcpp/server_context.h>

#include "server/rpc/method.h"
#include "server/rpc/ordered_stream.h"

namespace fletch {

RawBidiReactor* StartJoinStream(Method* method, grpc::CallbackServerContext* context);

}  // namespace fletch

#endif  // FLETCH_SERVER_RPC_JOIN_STREAM_H_
