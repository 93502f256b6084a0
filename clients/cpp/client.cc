// SPDX-License-Identifier: Apache-2.0
#include "fletch/client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "fletch/v1/admin.grpc.pb.h"
#include "fletch/v1/historical.grpc.pb.h"
#include "fletch/v1/ingest.grpc.pb.h"
#include "fletch/v1/registry.grpc.pb.h"
#include "fletch/v1/serving.grpc.pb.h"
#include "fletch/v1/vector.grpc.pb.h"
#include "grpc_errors.h"
#include "spine_stream.h"
#include "write_stream.h"

namespace fletch::client {

class Client::Impl {
 public:
  Impl(std::shared_ptr<grpc::Channel> channel, Options options)
      : options(std::move(options)),
        registry(v1::RegistryService::NewStub(channel)),
        ingest(v1::IngestService::NewStub(channel)),
        serving(v1::ServingService::NewStub(channel)),
        historical(v1::HistoricalService::NewStub(channel)),
        vector(v1::VectorService::NewStub(channel)),
        admin(v1::AdminService::NewStub(channel)) {}

  // One unary call: project, deadline, status.
  template <typename Response, typename Stub, typename Request>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                Stub& stub, Request request) const {
    if constexpr (requires { request.set_project(options.project); }) {
      if (request.project().empty()) request.set_project(options.project);
    }
    grpc::ClientContext context;
    if (options.call_timeout != absl::InfiniteDuration()) {
      context.set_deadline(absl::ToChronoTime(absl::Now() + options.call_timeout));
    }
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (!status.ok()) return FromGrpc(status);
    return response;
  }

  const Options options;
  const std::unique_ptr<v1::RegistryService::Stub> registry;
  const std::unique_ptr<v1::IngestService::Stub> ingest;
  const std::unique_ptr<v1::ServingService::Stub> serving;
  const std::unique_ptr<v1::HistoricalService::Stub> historical;
  const std::unique_ptr<v1::VectorService::Stub> vector;
  const std::unique_ptr<v1::AdminService::Stub> admin;
};

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

absl::StatusOr<Client> Client::Connect(const std::string& address, Options options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(options.message_bytes_max));
  arguments.SetMaxSendMessageSize(static_cast<int>(options.message_bytes_max));
  std::shared_ptr<grpc::Channel> channel =
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  const absl::Time deadline = absl::Now() + options.connect_timeout;
  if (!channel->WaitForConnected(absl::ToChronoTime(deadline))) {
    return WithDetails(
        absl::UnavailableError(absl::StrCat("no fletchd answers at ", address, " within ",
                                            absl::FormatDuration(options.connect_timeout))),
        "CONNECTION_FAILED", "");
  }
  return Client(std::make_unique<Impl>(std::move(channel), std::move(options)));
}

absl::StatusOr<v1::ApplyResponse> Client::Apply(v1::ApplyRequest request) const {
  return impl_->Call(&v1::RegistryService::Stub::Apply, *impl_->registry, std::move(request));
}

absl::StatusOr<v1::GetResponse> Client::Get(v1::GetRequest request) const {
  return impl_->Call(&v1::RegistryService::Stub::Get, *impl_->registry, std::move(request));
}

absl::StatusOr<v1::ListResponse> Client::List(v1::ListRequest request) const {
  return impl_->Call(&v1::RegistryService::Stub::List, *impl_->registry, std::move(request));
}

absl::StatusOr<v1::DeleteObjectResponse> Client::DeleteObject(
    v1::DeleteObjectRequest request) const {
  return impl_->Call(&v1::RegistryService::Stub::Delete, *impl_->registry, std::move(request));
}

absl::StatusOr<v1::GetLineageResponse> Client::GetLineage(v1::GetLineageRequest request) const {
  return impl_->Call(&v1::RegistryService::Stub::GetLineage, *impl_->registry, std::move(request));
}

absl::StatusOr<v1::WriteResponse> Client::Write(v1::WriteRequest request) const {
  return impl_->Call(&v1::IngestService::Stub::Write, *impl_->ingest, std::move(request));
}

WriteStream Client::OpenWriteStream(WriteStreamOptions options) const {
  return WriteStream(std::make_unique<WriteStream::Impl>(*impl_->ingest, impl_->options.project,
                                                         std::move(options)));
}

absl::StatusOr<v1::DeleteResponse> Client::Delete(v1::DeleteRequest request) const {
  return impl_->Call(&v1::IngestService::Stub::Delete, *impl_->ingest, std::move(request));
}

absl::StatusOr<v1::RetractResponse> Client::Retract(v1::RetractRequest request) const {
  return impl_->Call(&v1::IngestService::Stub::Retract, *impl_->ingest, std::move(request));
}

absl::StatusOr<v1::EraseResponse> Client::Erase(v1::EraseRequest request) const {
  return impl_->Call(&v1::IngestService::Stub::Erase, *impl_->ingest, std::move(request));
}

absl::StatusOr<v1::GetOnlineFeaturesResponse> Client::GetOnlineFeatures(
    v1::GetOnlineFeaturesRequest request) const {
  return impl_->Call(&v1::ServingService::Stub::GetOnlineFeatures, *impl_->serving,
                     std::move(request));
}

absl::StatusOr<v1::GetFeatureHistoryResponse> Client::GetFeatureHistory(
    v1::GetFeatureHistoryRequest request) const {
  return impl_->Call(&v1::HistoricalService::Stub::GetFeatureHistory, *impl_->historical,
                     std::move(request));
}

absl::StatusOr<v1::SearchResponse> Client::Search(v1::SearchRequest request) const {
  return impl_->Call(&v1::VectorService::Stub::Search, *impl_->vector, std::move(request));
}

absl::StatusOr<v1::BatchSearchResponse> Client::BatchSearch(v1::BatchSearchRequest request) const {
  if (request.common().project().empty()) {
    request.mutable_common()->set_project(impl_->options.project);
  }
  return impl_->Call(&v1::VectorService::Stub::BatchSearch, *impl_->vector, std::move(request));
}

absl::StatusOr<v1::AuditRecallResponse> Client::AuditRecall(v1::AuditRecallRequest request) const {
  return impl_->Call(&v1::VectorService::Stub::AuditRecall, *impl_->vector, std::move(request));
}

absl::StatusOr<v1::DescribeIndexResponse> Client::DescribeIndex(
    v1::DescribeIndexRequest request) const {
  return impl_->Call(&v1::VectorService::Stub::DescribeIndex, *impl_->vector, std::move(request));
}

absl::StatusOr<v1::RebuildIndexResponse> Client::RebuildIndex(
    v1::RebuildIndexRequest request) const {
  return impl_->Call(&v1::VectorService::Stub::RebuildIndex, *impl_->vector, std::move(request));
}

absl::StatusOr<v1::GetStatusResponse> Client::Status() const {
  return impl_->Call(&v1::AdminService::Stub::GetStatus, *impl_->admin, v1::GetStatusRequest());
}

absl::StatusOr<v1::CompactResponse> Client::Compact(v1::CompactRequest request) const {
  return impl_->Call(&v1::AdminService::Stub::Compact, *impl_->admin, std::move(request));
}

absl::StatusOr<v1::AuditParityResponse> Client::AuditParity(v1::AuditParityRequest request) const {
  return impl_->Call(&v1::AdminService::Stub::AuditParity, *impl_->admin, std::move(request));
}

absl::StatusOr<v1::ListErasuresResponse> Client::ListErasures(
    v1::ListErasuresRequest request) const {
  return impl_->Call(&v1::AdminService::Stub::ListErasures, *impl_->admin, std::move(request));
}

absl::StatusOr<v1::GetTrainingSetResponse> Client::GetTrainingSet(
    v1::GetTrainingSetRequest request) const {
  return impl_->Call(&v1::HistoricalService::Stub::GetTrainingSet, *impl_->historical,
                     std::move(request));
}

absl::StatusOr<v1::ListTrainingSetsResponse> Client::ListTrainingSets(
    v1::ListTrainingSetsRequest request) const {
  return impl_->Call(&v1::HistoricalService::Stub::ListTrainingSets, *impl_->historical,
                     std::move(request));
}

absl::StatusOr<v1::VerifyTrainingSetResponse> Client::VerifyTrainingSet(
    v1::VerifyTrainingSetRequest request) const {
  return impl_->Call(&v1::HistoricalService::Stub::VerifyTrainingSet, *impl_->historical,
                     std::move(request));
}

absl::StatusOr<v1::DeleteTrainingSetResponse> Client::DeleteTrainingSet(
    v1::DeleteTrainingSetRequest request) const {
  return impl_->Call(&v1::HistoricalService::Stub::DeleteTrainingSet, *impl_->historical,
                     std::move(request));
}

absl::Status Client::GetHistoricalFeatures(v1::HistoricalHeader header, SpineSource source,
                                           AnswerSink sink, SpineOptions options) const {
  if (header.project().empty()) header.set_project(impl_->options.project);
  v1::GetHistoricalFeaturesRequest first;
  first.mutable_header()->Swap(&header);
  grpc::ClientContext context;
  const auto stream = impl_->historical->GetHistoricalFeatures(&context);
  return SendSpine<v1::GetHistoricalFeaturesRequest, v1::GetHistoricalFeaturesResponse>(
      context, *stream, first, std::nullopt, options.in_flight_max, source, sink);
}

absl::StatusOr<v1::GetHistoricalFeaturesResponse> Client::DescribeHistoricalFeatures(
    v1::HistoricalHeader header) const {
  std::optional<v1::GetHistoricalFeaturesResponse> answer;
  const absl::Status status = GetHistoricalFeatures(
      std::move(header), [] { return std::nullopt; },
      [&](v1::GetHistoricalFeaturesResponse response) {
        answer = std::move(response);
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  if (!answer) return absl::UnavailableError("the daemon ended the stream without an answer");
  return *std::move(answer);
}

absl::StatusOr<v1::TrainingSet> Client::CreateTrainingSet(v1::TrainingSetHeader header,
                                                          SpineSource source, RowsKept on_rows,
                                                          SpineOptions options) const {
  if (header.read().project().empty()) header.mutable_read()->set_project(impl_->options.project);
  v1::CreateTrainingSetRequest first;
  first.mutable_header()->Swap(&header);
  v1::CreateTrainingSetRequest last;
  last.mutable_finish();
  grpc::ClientContext context;
  const auto stream = impl_->historical->CreateTrainingSet(&context);
  std::optional<v1::TrainingSet> made;
  const absl::Status status =
      SendSpine<v1::CreateTrainingSetRequest, v1::CreateTrainingSetResponse>(
          context, *stream, first, last, options.in_flight_max, source,
          [&](v1::CreateTrainingSetResponse response) {
            if (response.has_training_set()) made = std::move(*response.mutable_training_set());
            return on_rows ? on_rows(response.row_count()) : absl::OkStatus();
          });
  if (!status.ok()) return status;
  if (!made) return absl::UnavailableError("the daemon ended the stream without a training set");
  return *std::move(made);
}

}  // namespace fletch::client
