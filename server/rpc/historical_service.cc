// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <utility>

#include "base/status.h"
#include "fletch/v1/historical.grpc.pb.h"
#include "server/rpc/convert.h"
#include "server/rpc/join_stream.h"
#include "server/rpc/method.h"
#include "server/rpc/services.h"
#include "server/rpc/training_set_stream.h"

namespace fletch {
namespace {

using Service = v1::HistoricalService;
using RawReads = Service::WithRawCallbackMethod_GetHistoricalFeatures<
    Service::WithRawCallbackMethod_GetFeatureHistory<Service::Service>>;
using RawService = Service::WithRawCallbackMethod_CreateTrainingSet<
    Service::WithRawCallbackMethod_GetTrainingSet<Service::WithRawCallbackMethod_ListTrainingSets<
        Service::WithRawCallbackMethod_VerifyTrainingSet<
            Service::WithRawCallbackMethod_DeleteTrainingSet<RawReads>>>>>;

class HistoricalRpc final : public RawService {
 public:
  explicit HistoricalRpc(RpcHost* host)
      : join_(host, "HistoricalService/GetHistoricalFeatures"),
        history_(host, "HistoricalService/GetFeatureHistory"),
        create_(host, "HistoricalService/CreateTrainingSet"),
        get_(host, "HistoricalService/GetTrainingSet"),
        list_(host, "HistoricalService/ListTrainingSets"),
        verify_(host, "HistoricalService/VerifyTrainingSet"),
        delete_(host, "HistoricalService/DeleteTrainingSet") {}

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

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* CreateTrainingSet(
      grpc::CallbackServerContext* context) override {
    return StartTrainingSetStream(&create_, context);
  }

  grpc::ServerUnaryReactor* GetTrainingSet(grpc::CallbackServerContext* context,
                                           const grpc::ByteBuffer* in,
                                           grpc::ByteBuffer* out) override {
    RpcHost* host = get_.host();
    return Serve<v1::GetTrainingSetRequest, v1::GetTrainingSetResponse>(
        &get_, RunOn::kJoin, context, in, out,
        [host](const v1::GetTrainingSetRequest& request, const Call& call,
               v1::GetTrainingSetResponse* response) -> absl::Status {
          RETURN_IF_ERROR(CheckRequest(request));
          ASSIGN_OR_RETURN(TrainingSetBatch batch, host->engine()->GetTrainingSet(request, call));
          FillAnswer(std::move(batch), response);
          return absl::OkStatus();
        });
  }

  grpc::ServerUnaryReactor* ListTrainingSets(grpc::CallbackServerContext* context,
                                             const grpc::ByteBuffer* in,
                                             grpc::ByteBuffer* out) override {
    RpcHost* host = list_.host();
    return Serve<v1::ListTrainingSetsRequest, v1::ListTrainingSetsResponse>(
        &list_, RunOn::kRead, context, in, out,
        [host](const v1::ListTrainingSetsRequest& request, const Call&,
               v1::ListTrainingSetsResponse* response) -> absl::Status {
          RETURN_IF_ERROR(CheckRequest(request));
          ASSIGN_OR_RETURN(*response, host->engine()->ListTrainingSets(request));
          return absl::OkStatus();
        });
  }

  grpc::ServerUnaryReactor* VerifyTrainingSet(grpc::CallbackServerContext* context,
                                              const grpc::ByteBuffer* in,
                                              grpc::ByteBuffer* out) override {
    RpcHost* host = verify_.host();
    return Serve<v1::VerifyTrainingSetRequest, v1::VerifyTrainingSetResponse>(
        &verify_, RunOn::kJoin, context, in, out,
        [host](const v1::VerifyTrainingSetRequest& request, const Call& call,
               v1::VerifyTrainingSetResponse* response) -> absl::Status {
          RETURN_IF_ERROR(CheckRequest(request));
          ASSIGN_OR_RETURN(*response, host->engine()->VerifyTrainingSet(request, call));
          return absl::OkStatus();
        });
  }

  grpc::ServerUnaryReactor* DeleteTrainingSet(grpc::CallbackServerContext* context,
                                              const grpc::ByteBuffer* in,
                                              grpc::ByteBuffer* out) override {
    RpcHost* host = delete_.host();
    return Serve<v1::DeleteTrainingSetRequest, v1::DeleteTrainingSetResponse>(
        &delete_, RunOn::kWrite, context, in, out,
        [host](const v1::DeleteTrainingSetRequest& request, const Call&,
               v1::DeleteTrainingSetResponse*) -> absl::Status {
          RETURN_IF_ERROR(CheckRequest(request));
          return host->engine()->DeleteTrainingSet(request);
        });
  }

 private:
  Method join_;
  Method history_;
  Method create_;
  Method get_;
  Method list_;
  Method verify_;
  Method delete_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeHistoricalService(RpcHost* host) {
  return std::make_unique<HistoricalRpc>(host);
}

}  // namespace fletch
