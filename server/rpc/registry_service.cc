// SPDX-License-Identifier: Apache-2.0
#include "base/status.h"
#include "fletch/v1/registry.grpc.pb.h"
#include "server/rpc/convert.h"
#include "server/rpc/method.h"
#include "server/rpc/services.h"

namespace fletch {
namespace {

using Context = grpc::CallbackServerContext;
using Bytes = grpc::ByteBuffer;
using Service = v1::RegistryService;
using RawService = Service::WithRawCallbackMethod_Apply<Service::WithRawCallbackMethod_Get<
    Service::WithRawCallbackMethod_List<Service::WithRawCallbackMethod_Delete<
        Service::WithRawCallbackMethod_GetLineage<Service::Service>>>>>;

class RegistryRpc final : public RawService {
 public:
  explicit RegistryRpc(RpcHost* host)
      : apply_(host, "RegistryService/Apply"),
        get_(host, "RegistryService/Get"),
        list_(host, "RegistryService/List"),
        delete_(host, "RegistryService/Delete"),
        lineage_(host, "RegistryService/GetLineage") {}

  grpc::ServerUnaryReactor* Apply(Context* context, const Bytes* in, Bytes* out) override {
    return Ask<v1::ApplyRequest, v1::ApplyResponse>(&apply_, RunOn::kWrite, context, in, out,
                                                    &Engine::Apply);
  }
  grpc::ServerUnaryReactor* Get(Context* context, const Bytes* in, Bytes* out) override {
    return Ask<v1::GetRequest, v1::GetResponse>(&get_, RunOn::kRead, context, in, out,
                                                &Engine::Get);
  }
  grpc::ServerUnaryReactor* List(Context* context, const Bytes* in, Bytes* out) override {
    return Ask<v1::ListRequest, v1::ListResponse>(&list_, RunOn::kRead, context, in, out,
                                                  &Engine::List);
  }
  grpc::ServerUnaryReactor* Delete(Context* context, const Bytes* in, Bytes* out) override {
    return Ask<v1::DeleteObjectRequest, v1::DeleteObjectResponse>(&delete_, RunOn::kWrite, context,
                                                                  in, out, &Engine::Delete);
  }
  grpc::ServerUnaryReactor* GetLineage(Context* context, const Bytes* in, Bytes* out) override {
    return Ask<v1::GetLineageRequest, v1::GetLineageResponse>(&lineage_, RunOn::kRead, context, in,
                                                              out, &Engine::GetLineage);
  }

 private:
  // The engine takes and gives the registry's messages as they are.
  template <class Request, class Response, class Function>
  static grpc::ServerUnaryReactor* Ask(Method* method, RunOn where, Context* context,
                                       const Bytes* in, Bytes* out, Function function) {
    RpcHost* host = method->host();
    return Serve<Request, Response>(
        method, where, context, in, out,
        [host, function](const Request& request, const Call&, Response* response) -> absl::Status {
          RETURN_IF_ERROR(CheckRequest(request));
          ASSIGN_OR_RETURN(*response, (host->engine()->*function)(request));
          return absl::OkStatus();
        });
  }

  Method apply_;
  Method get_;
  Method list_;
  Method delete_;
  Method lineage_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeRegistryService(RpcHost* host) {
  return std::make_unique<RegistryRpc>(host);
}

}  // namespace fletch
