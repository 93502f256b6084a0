// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "base/status.h"
#include "fletch/v1/admin.grpc.pb.h"
#include "server/rpc/convert.h"
#include "server/rpc/method.h"
#include "server/rpc/services.h"

namespace fletch {
namespace {

using Context = grpc::CallbackServerContext;
using Bytes = grpc::ByteBuffer;
using Service = v1::AdminService;
using RawService = Service::WithRawCallbackMethod_GetStatus<
    Service::WithRawCallbackMethod_Compact<Service::WithRawCallbackMethod_AuditParity<
        Service::WithRawCallbackMethod_ListErasures<Service::Service>>>>;

class AdminRpc final : public RawService {
 public:
  // An operator asks for the state above all while the daemon drains.
  explicit AdminRpc(RpcHost* host)
      : get_status_(host, "AdminService/GetStatus", /*while_draining=*/true),
        compact_(host, "AdminService/Compact"),
        audit_parity_(host, "AdminService/AuditParity"),
        list_erasures_(host, "AdminService/ListErasures") {}

  grpc::ServerUnaryReactor* GetStatus(Context* context, const Bytes* in, Bytes* out) override {
    RpcHost* host = get_status_.host();
    return Serve<v1::GetStatusRequest, v1::GetStatusResponse>(
        &get_status_, RunOn::kRead, context, in, out,
        [host](const v1::GetStatusRequest&, const Call&, v1::GetStatusResponse* response) {
          FillAnswer(host->engine()->Status(), response);
          const bool draining = host->admission()->state() == Admission::State::kDraining;
          response->set_version(FLETCH_VERSION);
          response->set_state(draining ? "draining" : "serving");
          response->set_now_micros(host->clock()->NowMicros());
          response->set_ready_since_micros(host->ready_since_micros());
          return absl::OkStatus();
        });
  }

  grpc::ServerUnaryReactor* Compact(Context* context, const Bytes* in, Bytes* out) override {
    return Ask<v1::CompactRequest, v1::CompactResponse>(
        &compact_, RunOn::kOperate, context, in, out,
        [](Engine* engine, const auto& request, const Call& call) {
          return engine->Compact(request, call);
        });
  }
  grpc::ServerUnaryReactor* AuditParity(Context* context, const Bytes* in, Bytes* out) override {
    return Ask<v1::AuditParityRequest, v1::AuditParityResponse>(
        &audit_parity_, RunOn::kOperate, context, in, out,
        [](Engine* engine, const auto& request, const Call& call) {
          return engine->AuditParity(request, call);
        });
  }
  grpc::ServerUnaryReactor* ListErasures(Context* context, const Bytes* in, Bytes* out) override {
    return Ask<v1::ListErasuresRequest, v1::ListErasuresResponse>(
        &list_erasures_, RunOn::kRead, context, in, out,
        [](Engine* engine, const auto& request, const Call&) {
          return engine->ListErasures(request);
        });
  }

 private:
  // The engine takes and gives these messages as they are.
  template <class Request, class Response, class Function>
  static grpc::ServerUnaryReactor* Ask(Method* method, RunOn where, Context* context,
                                       const Bytes* in, Bytes* out, Function function) {
    RpcHost* host = method->host();
    return Serve<Request, Response>(method, where, context, in, out,
                                    [host, function](const Request& request, const Call& call,
                                                     Response* response) -> absl::Status {
                                      RETURN_IF_ERROR(CheckRequest(request));
                                      ASSIGN_OR_RETURN(*response,
                                                       function(host->engine(), request, call));
                                      return absl::OkStatus();
                                    });
  }

  Method get_status_;
  Method compact_;
  Method audit_parity_;
  Method list_erasures_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAdminService(RpcHost* host) {
  return std::make_unique<AdminRpc>(host);
}

}  // namespace fletch
