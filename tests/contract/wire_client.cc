// SPDX-License-Identifier: Apache-2.0
#include "tests/contract/wire_client.h"

#include <google/protobuf/any.pb.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/impl/client_unary_call.h>
#include <grpcpp/impl/rpc_method.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/slice.h>

#include <vector>

#include "fletch/v1/errors.pb.h"

namespace fletch {
namespace {

grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string ToText(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string out;
  if (!buffer.Dump(&slices).ok()) return out;
  for (const grpc::Slice& slice : slices) {
    out.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return out;
}

grpc::internal::RpcMethod MethodOf(const std::string& name, bool stream,
                                   const std::shared_ptr<grpc::Channel>& channel) {
  return grpc::internal::RpcMethod(
      name.c_str(), nullptr,
      stream ? grpc::internal::RpcMethod::BIDI_STREAMING : grpc::internal::RpcMethod::NORMAL_RPC,
      channel);
}

}  // namespace

std::string Outcome::Text() const {
  return "code " + std::to_string(code) + ", reason " + reason + ", field \"" + field +
         "\": " + message;
}

Outcome ToOutcome(const grpc::Status& status) {
  Outcome out;
  out.code = status.error_code();
  out.message = status.error_message();
  v1::ErrorStatus details;
  details.ParseFromString(status.error_details());
  for (const google::protobuf::Any& any : details.details()) {
    v1::ErrorInfo info;
    v1::BadRequest bad_request;
    v1::RetryInfo retry;
    if (any.type_url() == "type.googleapis.com/google.rpc.ErrorInfo") {
      if (info.ParseFromString(any.value())) out.reason = info.reason();
    } else if (any.type_url() == "type.googleapis.com/google.rpc.BadRequest") {
      if (bad_request.ParseFromString(any.value())) {
        out.field = bad_request.field_violations(0).field();
      }
    } else if (any.type_url() == "type.googleapis.com/google.rpc.RetryInfo") {
      if (retry.ParseFromString(any.value())) {
        out.retry_ms =
            retry.retry_delay().seconds() * 1000 + retry.retry_delay().nanos() / 1'000'000;
      }
    }
  }
  return out;
}

WireClient::WireClient(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // each client a connection of its own
  channel_ = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

Outcome WireClient::Unary(const std::string& method, const std::string& bytes, int deadline_ms) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(deadline_ms));
  const grpc::internal::RpcMethod rpc = MethodOf(method, false, channel_);
  grpc::ByteBuffer answer;
  const grpc::Status status = grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
      channel_.get(), rpc, &context, ToBuffer(bytes), &answer);
  Outcome out = ToOutcome(status);
  if (status.ok()) out.bytes = ToText(answer);
  return out;
}

std::unique_ptr<WireClient::Stream> WireClient::Open(const std::string& method) {
  return std::make_unique<Stream>(channel_, method);
}

WireClient::Stream::Stream(const std::shared_ptr<grpc::Channel>& channel, const std::string& method)
    : method_(method) {
  context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  stream_.reset(
      grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, grpc::ByteBuffer>::Create(
          channel.get(), MethodOf(method_, true, channel), &context_));
}

WireClient::Stream::~Stream() {
  if (finished_) return;
  context_.TryCancel();
  stream_->Finish();
}

bool WireClient::Stream::Write(const std::string& bytes) { return stream_->Write(ToBuffer(bytes)); }

std::optional<std::string> WireClient::Stream::Read() {
  grpc::ByteBuffer buffer;
  if (!stream_->Read(&buffer)) return std::nullopt;
  return ToText(buffer);
}

void WireClient::Stream::WritesDone() { stream_->WritesDone(); }

Outcome WireClient::Stream::Finish() {
  finished_ = true;
  return ToOutcome(stream_->Finish());
}

}  // namespace fletch
