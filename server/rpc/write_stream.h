// SPDX-License-Identifier: Apache-2.0
// IngestService.WriteStream: every request a commit, in the stream's order, several of them waiting
// for their fsync at once.
#ifndef FLETCH_SERVER_RPC_WRITE_STREAM_H_
#define FLETCH_SERVER_RPC_WRITE_STREAM_H_

#include <grpcpp/server_context.h>

#include "server/rpc/method.h"
#include "server/rpc/ordered_stream.h"

namespace fletch {

RawBidiReactor* StartWriteStream(Method* method, grpc::CallbackServerContext* context);

}  // namespace fletch

#endif  // FLETCH_SERVER_RPC_WRITE_STREAM_H_
