// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <optional>
#include <utility>

#include "base/status.h"
#include "fletch/v1/serving.grpc.pb.h"
#include "server/rpc/convert.h"
#include "server/rpc/method.h"
#include "server/rpc/services.h"

namespace fletch {
namespace {

// A look-up of so many keys is answered on the transport thread when memory has it: well under a
// millisecond. Larger ones would hold up the thread's other calls.
constexpr size_t kInlineRows = 256;
constexpr size_t kInlineBytes = 64u << 10;

class ServingRpc final : public v1::ServingService::WithRawCallbackMethod_GetOnlineFeatures<
                             v1::ServingService::Service> {
 public:
  explicit ServingRpc(RpcHost* host) : get_online_(host, "ServingService/GetOnlineFeatures") {}

  grpc::ServerUnaryReactor* GetOnlineFeatures(grpc::CallbackServerContext* context,
                                              const grpc::ByteBuffer* in,
                                              grpc::ByteBuffer* out) override {
    const RunOn where = in->Length() <= kInlineBytes ? RunOn::kInline : RunOn::kRead;
    return ServeAsync<v1::GetOnlineFeaturesRequest>(
        &get_online_, where, context, in, out,
        [where](v1::GetOnlineFeaturesRequest* message, std::unique_ptr<UnaryCall> call) {
          absl::StatusOr<OnlineRequest> request = ToEngine(std::as_const(*message));
          if (!request.ok()) return call->FinishWithError(request.status());
          if (where == RunOn::kInline) {
            AnswerOrDefer(*std::move(request), message->GetArena(), std::move(call));
          } else {
            AnswerBlocking(*request, std::move(call));
          }
        });
  }

 private:
  static void AnswerOrDefer(OnlineRequest request, google::protobuf::Arena* arena,
                            std::unique_ptr<UnaryCall> call) {
    Engine* engine = call->host()->engine();
    if (request.row_count <= kInlineRows) {
      if (auto answer = engine->TryGetOnline(request, call->call()); answer.has_value()) {
        return Finish(*std::move(answer), request.row_count, arena, call.get());
      }
    }
    UnaryCall::Run(RunOn::kRead, std::move(call),
                   [request = std::move(request)](std::unique_ptr<UnaryCall> owned) {
                     if (absl::Status status = owned->call().Check(); !status.ok()) {
                       return owned->FinishWithError(status);
                     }
                     AnswerBlocking(request, std::move(owned));
                   });
  }

  static void AnswerBlocking(const OnlineRequest& request, std::unique_ptr<UnaryCall> call) {
    google::protobuf::Arena arena;
    Finish(call->host()->engine()->GetOnline(request, call->call()), request.row_count, &arena,
           call.get());
  }

  static void Finish(absl::StatusOr<OnlineAnswer> answer, size_t row_count,
                     google::protobuf::Arena* arena, UnaryCall* call) {
    if (!answer.ok()) return call->FinishWithError(answer.status());
    auto* response = google::protobuf::Arena::CreateMessage<v1::GetOnlineFeaturesResponse>(arena);
    FillAnswer(*std::move(answer), row_count, response);
    call->Finish(*response);
  }

  Method get_online_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeServingService(RpcHost* host) {
  return std::make_unique<ServingRpc>(host);
}

}  // namespace fletch
