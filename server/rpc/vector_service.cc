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

  grpc::ServerUnaryReactor* Search(Context* context, const Bytes* in, Bytes* out) override {
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
