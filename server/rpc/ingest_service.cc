// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <utility>

#include "base/status.h"
#include "fletch/v1/ingest.grpc.pb.h"
#include "server/rpc/convert.h"
#include "server/rpc/method.h"
#include "server/rpc/services.h"
#include "server/rpc/write_stream.h"

namespace fletch {
namespace {

using Context = grpc::CallbackServerContext;
using Bytes = grpc::ByteBuffer;
using Service = v1::IngestService;
using RawService = Service::WithRawCallbackMethod_Write<Service::WithRawCallbackMethod_WriteStream<
    Service::WithRawCallbackMethod_Delete<Service::WithRawCallbackMethod_Retract<
        Service::WithRawCallbackMethod_Erase<Service::Service>>>>>;

class IngestRpc final : public RawService {
 public:
  explicit IngestRpc(RpcHost* host)
      : write_(host, "IngestService/Write"),
        write_stream_(host, "IngestService/WriteStream"),
        delete_(host, "IngestService/Delete"),
        retract_(host, "IngestService/Retract"),
        erase_(host, "IngestService/Erase") {}

  grpc::ServerUnaryReactor* Write(Context* context, const Bytes* in, Bytes* out) override {
    return Commit<v1::WriteRequest, v1::WriteResponse>(&write_, context, in, out, &Engine::Write);
  }
  grpc::ServerUnaryReactor* Delete(Context* context, const Bytes* in, Bytes* out) override {
    return Commit<v1::DeleteRequest, v1::DeleteResponse>(&delete_, context, in, out,
                                                         &Engine::DeleteRows);
  }
  grpc::ServerUnaryReactor* Retract(Context* context, const Bytes* in, Bytes* out) override {
    return Commit<v1::RetractRequest, v1::RetractResponse>(&retract_, context, in, out,
                                                           &Engine::Retract);
  }
  grpc::ServerUnaryReactor* Erase(Context* context, const Bytes* in, Bytes* out) override {
    RpcHost* host = erase_.host();
    return Serve<v1::EraseRequest, v1::EraseResponse>(
        &erase_, RunOn::kOperate, context, in, out,
        [host](const v1::EraseRequest& message, const Call& call,
               v1::EraseResponse* response) -> absl::Status {
          ASSIGN_OR_RETURN(EraseRequest request, ToEngine(message));
          ASSIGN_OR_RETURN(*response, host->engine()->Erase(std::move(request), call));
          return absl::OkStatus();
        });
  }
  grpc::ServerBidiReactor<Bytes, Bytes>* WriteStream(Context* context) override {
    return StartWriteStream(&write_stream_, context);
  }

 private:
  // Checked and encoded on the write executor, answered from the commit thread.
  template <class Request, class Response, class Function>
  static grpc::ServerUnaryReactor* Commit(Method* method, Context* context, const Bytes* in,
                                          Bytes* out, Function function) {
    return ServeAsync<Request>(method, RunOn::kWrite, context, in, out,
                               [function](Request* message, std::unique_ptr<UnaryCall> call) {
                                 auto request = ToEngine(message);
                                 if (!request.ok()) return call->FinishWithError(request.status());
                                 // std::function cannot hold what only moves, and the engine calls
                                 // it once.
                                 std::shared_ptr<UnaryCall> shared = std::move(call);
                                 (shared->host()->engine()->*function)(
                                     *request, shared->call(),
                                     [shared](absl::StatusOr<WriteReceipt> receipt) {
                                       if (!receipt.ok())
                                         return shared->FinishWithError(receipt.status());
                                       Response response;
                                       response.set_commit_seq(receipt->commit_seq);
                                       response.set_commit_time_micros(receipt->commit_time);
                                       response.set_rows(receipt->rows);
                                       shared->Finish(response);
                                     });
                               });
  }

  Method write_;
  Method write_stream_;
  Method delete_;
  Method retract_;
  Method erase_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeIngestService(RpcHost* host) {
  return std::make_unique<IngestRpc>(host);
}

}  // namespace fletch
