// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "fletch/v1/admin.grpc.pb.h"
#include "server/rpc/convert.h"
#include "server/rpc/method.h"
#include "server/rpc/services.h"

namespace fletch {
namespace {

class AdminRpc final
    : public v1::AdminService::WithRawCallbackMethod_GetStatus<v1::AdminService::Service> {
 public:
  // An operator asks for the state above all while the daemon drains.
  explicit AdminRpc(RpcHost* host)
      : get_status_(host, "AdminService/GetStatus", /*while_draining=*/true) {}

  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* context,
                                      const grpc::ByteBuffer* in, grpc::ByteBuffer* out) override {
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

 private:
  Method get_status_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAdminService(RpcHost* host) {
  return std::make_unique<AdminRpc>(host);
}

}  // namespace fletch
