// SPDX-License-Identifier: Apache-2.0
// HistoricalService.CreateTrainingSet: a header, spine batches one in work at a time, finish.
#ifndef FLETCH_SERVER_RPC_TRAINING_SET_STREAM_H_
#define FLETCH_SERVER_RPC_TRAINING_SET_STREAM_H_

#include <grpcpp/server_context.h>

#include "server/rpc/method.h"
#include "server/rpc/ordered_stream.h"

namespace fletch {

RawBidiReactor* StartTrainingSetStream(Method* method, grpc::CallbackServerContext* context);

}  // namespace fletch

#endif  // FLETCH_SERVER_RPC_TRAINING_SET_STREAM_H_
