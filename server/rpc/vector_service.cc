// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <utility>

#include "base/status.h"
#include "fletch/v1/vector.grpc.pb.h"
#include "server/rpc/convert.h"
#include "server/rpc/method.h"
#include "server/rpc/services.h"

namespace fletch {
namespace {

class VectorRpc final
    : public v1::VectorService::WithRawCallbackMethod_Search<v1::VectorService::Service> {
 public:
  explicit VectorRpc(RpcHost* host) : search_(host, "VectorService/Search") {}

  grpc::ServerUnaryReactor* Search(grpc::CallbackServerContext* context, const grpc::ByteBuffer* in,
                                   grpc::ByteBuffer* out) override {
    RpcHost* host = search_.host();
    return Serve<v1::SearchRequest, v1::SearchResponse>(
        &search_, RunOn::kRead, context, in, out,
        [host](const v1::SearchRequest& message, const Call& call,
               v1::SearchResponse* response) -> absl::Status {
          ASSIGN_OR_RETURN(const SearchRequest request, ToEngine(message));
          ASSIGN_OR_RETURN(SearchAnswer answer, host->engine()->Search(request, call));
          FillAnswer(std::move(answer), message.explain(), response);
          return absl::OkStatus();
        });
  }

 private:
  Method search_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeVectorService(RpcHost* host) {
  return std::make_unique<VectorRpc>(host);
}

}  // namespace fletch
