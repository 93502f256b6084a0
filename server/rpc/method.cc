// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/method.h"

#include <grpc/support/time.h>

#include <random>
#include <string_view>

#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/rpc/grpc_status.h"

namespace fletch {
namespace {

constexpr int64_t kRetryStreamsMs = 1000;
constexpr size_t kMaxLoggedIdBytes = 128;  // of x-request-id

// The caller's x-request-id, or one of our own. Only for logs and faults: it is not made for other
// calls.
std::string RequestId(const grpc::CallbackServerContext& context) {
  const auto& metadata = context.client_metadata();
  if (const auto it = metadata.find("x-request-id"); it != metadata.end()) {
    return std::string(it->second.data(), std::min(it->second.size(), kMaxLoggedIdBytes));
  }
  static const uint32_t process = std::random_device{}();
  static std::atomic<uint64_t> counter{0};
  return StrCat(absl::Hex(process, absl::kZeroPad8), "-", counter.fetch_add(1) + 1);
}

}  // namespace

Method::Method(RpcHost* host, std::string name, bool while_draining)
    : host_(host),
      name_(std::move(name)),
      while_draining_(while_draining),
      latency_(host->metrics()->GetHistogram(
          "fletch_request_seconds", "From a call's arrival to its answer", {{"method", name_}})),
      request_bytes_(host->metrics()->GetCounter("fletch_request_bytes_total",
                                                 "Bytes of request messages", {{"method", name_}})),
      response_bytes_(host->metrics()->GetCounter(
          "fletch_response_bytes_total", "Bytes of response messages", {{"method", name_}})) {}

Counter* Method::CounterOf(absl::StatusCode code) {
  const auto index = std::min<size_t>(static_cast<size_t>(code), by_code_.size() - 1);
  Counter* counter = by_code_[index].load(std::memory_order_acquire);
  if (counter == nullptr) {
    counter =
        host_->metrics()->GetCounter("fletch_requests_total", "Ended calls",
                                     {{"code", std::string(CodeName(code))}, {"method", name_}});
    by_code_[index].store(counter, std::memory_order_release);
  }
  return counter;
}

void Method::CountBytes(size_t request, size_t response) {
  request_bytes_->Add(request);
  response_bytes_->Add(response);
}

absl::Status Method::OpenStream() {
  const size_t limit = host_->options().max_streams;
  if (streams_.fetch_add(1) < limit) return absl::OkStatus();
  streams_.fetch_sub(1);
  return WithRetryAfterMs(
      MakeError(absl::StatusCode::kResourceExhausted, "QUEUE_FULL",
                StrCat(limit, " streams of ", name_, " are open, max_streams is ", limit)),
      kRetryStreamsMs);
}

grpc::Status Method::Ended(const grpc::CallbackServerContext& context, const absl::Status& status,
                           int64_t began_steady_micros) {
  const int64_t micros = SteadyMicros() - began_steady_micros;
  CounterOf(status.code())->Add();
  latency_->Observe(micros);
  const bool fault = IsServerFault(status);
  if (!fault && !host_->options().access_log) return ToGrpcStatus(status);

  const std::string request_id = RequestId(context);
  // The text of a client's error may quote its values, so only faults of our own are logged with
  // it.
  Log(fault ? LogLevel::kWarning : LogLevel::kDebug, "call",
      {{"method", name_},
       {"code", std::string(CodeName(status.code()))},
       {"reason", status.ok() ? "" : ReasonOf(status)},
       {"micros", StrCat(micros)},
       {"request_id", request_id},
       {"peer", context.peer()},
       {"detail", fault ? std::string(status.message()) : ""}});
  return ToGrpcStatus(status, fault ? request_id : "");
}

Call CallOf(const grpc::CallbackServerContext* context) {
  Call call;
  const gpr_timespec deadline = context->raw_deadline();
  if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) != 0) {
    const gpr_timespec left = gpr_time_sub(deadline, gpr_now(deadline.clock_type));
    const double micros = gpr_timespec_to_micros(left);
    // Far deadlines of careless clients would overflow.
    if (micros < 1e15) call.deadline_steady_micros = SteadyMicros() + static_cast<int64_t>(micros);
  }
  call.cancelled = [context] { return context->IsCancelled(); };
  return call;
}

UnaryCall::UnaryCall(Method* method, grpc::CallbackServerContext* context,
                     grpc::ServerUnaryReactor* reactor, const grpc::ByteBuffer* request,
                     grpc::ByteBuffer* response)
    : method_(method),
      context_(context),
      reactor_(reactor),
      request_(request),
      response_(response),
      request_bytes_(request->Length()),
      began_steady_micros_(SteadyMicros()),
      call_(CallOf(context)) {}

std::unique_ptr<UnaryCall> UnaryCall::Begin(Method* method, grpc::CallbackServerContext* context,
                                            grpc::ServerUnaryReactor* reactor,
                                            const grpc::ByteBuffer* request,
                                            grpc::ByteBuffer* response) {
  const size_t bytes = request->Length();
  absl::Status status = method->host()->admission()->Enter(bytes, method->while_draining());
  if (!status.ok()) {
    reactor->Finish(method->Ended(*context, status, SteadyMicros()));
    return nullptr;
  }
  return std::unique_ptr<UnaryCall>(new UnaryCall(method, context, reactor, request, response));
}

UnaryCall::~UnaryCall() {
  if (!finished_) {
    End(MakeError(absl::StatusCode::kInternal, "NOT_ANSWERED",
                  "the call was dropped: a bug of fletchd"));
  }
}

absl::Status UnaryCall::Parse(google::protobuf::MessageLite* message) const {
  RETURN_IF_ERROR(call_.Check());
  return ParseMessage(*request_, message);
}

void UnaryCall::End(const absl::Status& status) {
  finished_ = true;
  method_->CountBytes(request_bytes_, status.ok() ? response_->Length() : 0);
  grpc::Status answer = method_->Ended(*context_, status, began_steady_micros_);
  Admission* admission = host()->admission();
  reactor_->Finish(std::move(answer));
  admission->Leave(request_bytes_);
}

void UnaryCall::Finish(const google::protobuf::MessageLite& response) {
  End(SerializeMessage(response, host()->options().max_message_bytes, response_));
}

void UnaryCall::FinishWithError(const absl::Status& status) { End(status); }

void UnaryCall::Finish(const absl::Status& status, const google::protobuf::MessageLite& response) {
  status.ok() ? Finish(response) : FinishWithError(status);
}

}  // namespace fletch
