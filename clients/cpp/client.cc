// SPDX-License-Identifier: Apache-2.0
#include "fletch/client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "fletch/v1/admin.grpc.pb.h"
#include "fletch/v1/historical.grpc.pb.h"
#include "fletch/v1/ingest.grpc.pb.h"
#include "fletch/v1/registry.grpc.pb.h"
#include "fletch/v1/serving.grpc.pb.h"
#include "fletch/v1/vector.grpc.pb.h"
#include "grpc_errors.h"
#include "write_stream.h"

namespace fletch::client {
namespace {

using HistoricalStream =
    grpc::ClientReaderWriter<v1::GetHistoricalFeaturesRequest, v1::GetHistoricalFeaturesResponse>;

// Sends what `source` gives until it ends or the daemon stops listening.
absl::Status SendSpine(HistoricalStream& stream, grpc::ClientContext& context,
                       const SpineSource& source) {
  while (true) {
    absl::StatusOr<std::optional<v1::SpineBatch>> batch = source();
    if (!batch.ok()) {
      context.TryCancel();
      return batch.status();
    }
    if (!batch->has_value()) break;
    v1::GetHistoricalFeaturesRequest request;
    request.mutable_spine()->Swap(&**batch);
    if (!stream.Write(request)) return absl::OkStatus();  // Finish says why
  }
  stream.WritesDone();
  return absl::OkStatus();
}

}  // namespace

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

absl::StatusOr<v1::GetStatusResponse> Client::Status() const {
  return impl_->Call(&v1::AdminService::Stub::GetStatus, *impl_->admin, v1::GetStatusRequest());
}

absl::Status Client::GetHistoricalFeatures(v1::HistoricalHeader header, SpineSource source,
                                           AnswerSink sink) const {
  if (header.project().empty()) header.set_project(impl_->options.project);
  grpc::ClientContext context;
  std::unique_ptr<HistoricalStream> stream = impl_->historical->GetHistoricalFeatures(&context);
  v1::GetHistoricalFeaturesRequest first;
  first.mutable_header()->Swap(&header);
  if (!stream->Write(first)) return FromGrpc(stream->Finish());

  // Two threads, because a spine may be far longer than what both sides buffer: sending all before
  // reading any answer would wait for ever.
  absl::Status source_status;
  std::thread sender([&] { source_status = SendSpine(*stream, context, source); });
  absl::Status sink_status;
  v1::GetHistoricalFeaturesResponse response;
  while (sink_status.ok() && stream->Read(&response)) sink_status = sink(std::move(response));
  if (!sink_status.ok()) context.TryCancel();
  sender.join();
  const absl::Status stream_status = FromGrpc(stream->Finish());
  if (!source_status.ok()) return source_status;
  return sink_status.ok() ? stream_status : sink_status;
}

}  // namespace fletch::client
