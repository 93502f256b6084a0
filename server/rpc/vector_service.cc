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

using Context = grpc::CallbackServerContext;
using Bytes = grpc::ByteBuffer;
using Service = v1::VectorService;
using RawService = Service::WithRawCallbackMethod_Search<Service::WithRawCallbackMethod_BatchSearch<
    Service::WithRawCallbackMethod_AuditRecall<Service::WithRawCallbackMethod_DescribeIndex<
        Service::WithRawCallbackMethod_RebuildIndex<Service::Service>>>>>;

class VectorRpc final : public RawService {
 public:
  explicit VectorRpc(RpcHost* host)
      : search_(host, "VectorService/Search"),
        batch_search_(host, "VectorService/BatchSearch"),
        audit_recall_(host, "VectorService/AuditRecall"),
        describe_index_(host, "VectorService/DescribeIndex"),
        rebuild_index_(host, "VectorService/RebuildIndex") {}

  // Most searches take less time than the way to another thread and back.
  grpc::ServerUnaryReactor* Search(Context* context, const Bytes* in, Bytes* out) override {
    return ServeAsync<v1::SearchRequest>(
        &search_, RunOn::kInline, context, in, out,
        [](v1::SearchRequest* message, std::unique_ptr<UnaryCall> call) {
          absl::StatusOr<SearchRequest> request = ToEngine(std::as_const(*message));
          if (!request.ok()) return call->FinishWithError(request.status());
          const bool explain = message->explain();
          if (auto answer = call->host()->engine()->TrySearch(*request, call->call())) {
            return Finish(*std::move(answer), explain, call.get());
          }
          UnaryCall::Run(
              RunOn::kRead, std::move(call),
              [request = *std::move(request), explain](std::unique_ptr<UnaryCall> owned) {
                Finish(owned->host()->engine()->Search(request, owned->call()), explain,
                       owned.get());
              });
        });
  }

  grpc::ServerUnaryReactor* BatchSearch(Context* context, const Bytes* in, Bytes* out) override {
    RpcHost* host = batch_search_.host();
    return Serve<v1::BatchSearchRequest, v1::BatchSearchResponse>(
        &batch_search_, RunOn::kRead, context, in, out,
        [host](const v1::BatchSearchRequest& message, const Call& call,
               v1::BatchSearchResponse* response) -> absl::Status {
          ASSIGN_OR_RETURN(const BatchSearchRequest request, ToEngine(message));
          ASSIGN_OR_RETURN(BatchSearchAnswer answer, host->engine()->BatchSearch(request, call));
          FillAnswer(std::move(answer), message.common().explain(), response);
          return absl::OkStatus();
        });
  }

  grpc::ServerUnaryReactor* AuditRecall(Context* context, const Bytes* in, Bytes* out) override {
    RpcHost* host = audit_recall_.host();
    return Serve<v1::AuditRecallRequest, v1::AuditRecallResponse>(
        &audit_recall_, RunOn::kOperate, context, in, out,
        [host](const v1::AuditRecallRequest& message, const Call& call,
               v1::AuditRecallResponse* response) -> absl::Status {
          ASSIGN_OR_RETURN(const RecallAuditRequest request, ToEngine(message));
          ASSIGN_OR_RETURN(*response, host->engine()->AuditRecall(request, call));
          return absl::OkStatus();
        });
  }

  // An operator watches a rebuild with it, so it does not wait for what operators ask.
  grpc::ServerUnaryReactor* DescribeIndex(Context* context, const Bytes* in, Bytes* out) override {
    RpcHost* host = describe_index_.host();
    return Serve<v1::DescribeIndexRequest, v1::DescribeIndexResponse>(
        &describe_index_, RunOn::kRead, context, in, out,
        [host](const v1::DescribeIndexRequest& request, const Call& call,
               v1::DescribeIndexResponse* response) -> absl::Status {
          RETURN_IF_ERROR(CheckRequest(request));
          ASSIGN_OR_RETURN(*response, host->engine()->DescribeIndex(request, call));
          return absl::OkStatus();
        });
  }

  grpc::ServerUnaryReactor* RebuildIndex(Context* context, const Bytes* in, Bytes* out) override {
    RpcHost* host = rebuild_index_.host();
    return Serve<v1::RebuildIndexRequest, v1::RebuildIndexResponse>(
        &rebuild_index_, RunOn::kRead, context, in, out,
        [host](const v1::RebuildIndexRequest& request, const Call& call,
               v1::RebuildIndexResponse* response) -> absl::Status {
          RETURN_IF_ERROR(CheckRequest(request));
          ASSIGN_OR_RETURN(*response, host->engine()->RebuildIndex(request, call));
          return absl::OkStatus();
        });
  }

 private:
  static void Finish(absl::StatusOr<SearchAnswer> answer, bool explain, UnaryCall* call) {
    if (!answer.ok()) return call->FinishWithError(answer.status());
    MessageArena arena;
    auto* response = arena.New<v1::SearchResponse>();
    FillAnswer(*std::move(answer), explain, response);
    call->Finish(*response);
  }

  Method search_;
  Method batch_search_;
  Method audit_recall_;
  Method describe_index_;
  Method rebuild_index_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeVectorService(RpcHost* host) {
  return std::make_unique<VectorRpc>(host);
}

}  // namespace fletch
