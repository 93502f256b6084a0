// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <utility>

#include "base/status.h"
#include "fletch/v1/historical.grpc.pb.h"
#include "server/rpc/convert.h"
#include "server/rpc/join_stream.h"
#include "server/rpc/method.h"
#include "server/rpc/services.h"

namespace fletch {
namespace {

using Service = v1::HistoricalService;
using RawService = Service::WithRawCallbackMethod_GetHistoricalFeatures<
    Service::WithRawCallbackMethod_GetFeatureHistory<Service::Service>>;

class HistoricalRpc final : public RawService {
 public:
  explicit HistoricalRpc(RpcHost* host)
      : join_(host, "HistoricalService/GetHistoricalFeatures"),
        history_(host, "HistoricalService/GetFeatureHistory") {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* GetHistoricalFeatures(
      grpc::CallbackServerContext* context) override {
    return StartJoinStream(&join_, context);
  }

  grpc::ServerUnaryReactor* GetFeatureHistory(grpc::CallbackServerContext* context,
                                              const grpc::ByteBuffer* in,
                                              grpc::ByteBuffer* out) override {
    RpcHost* host = history_.host();
    return Serve<v1::GetFeatureHistoryRequest, v1::GetFeatureHistoryResponse>(
        &history_, RunOn::kRead, context, in, out,
        [host](const v1::GetFeatureHistoryRequest& message, const Call& call,
               v1::GetFeatureHistoryResponse* response) -> absl::Status {
          ASSIGN_OR_RETURN(const HistoryRequest request, ToEngine(message));
          ASSIGN_OR_RETURN(HistoryAnswer answer, host->engine()->GetHistory(request, call));
          FillAnswer(std::move(answer), response);
          return absl::OkStatus();
        });
  }

 private:
  Method join_;
  Method history_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeHistoricalService(RpcHost* host) {
  return std::make_unique<HistoricalRpc>(host);
}

}  // namespace fletch
