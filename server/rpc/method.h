// SPDX-License-Identifier: Apache-2.0
// The one way every RPC comes in and goes out: admission, deadline, parsing, where the work runs,
// status, metrics and access log. A handler is parse-and-validate → engine call → fill the
// response, and nothing else.
#ifndef FLETCH_SERVER_RPC_METHOD_H_
#define FLETCH_SERVER_RPC_METHOD_H_

#include <google/protobuf/message_lite.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "base/call.h"
#include "base/metrics.h"
#include "server/rpc/rpc_host.h"
#include "server/rpc/wire.h"

namespace fletch {

// One RPC of one service: its name and its numbers. Thread-safe; outlives its calls.
class Method {
 public:
  // `name` as "IngestService/Write". `while_draining`: answered then, too.
  Method(RpcHost* host, std::string name, bool while_draining = false);

  // Counts and logs an ended call. Returns what the client gets.
  grpc::Status Ended(const grpc::CallbackServerContext& context, const absl::Status& status,
                     int64_t began_steady_micros);
  void CountBytes(size_t request, size_t response);

  // OK: one more stream of this method is open until CloseStream. RESOURCE_EXHAUSTED (QUEUE_FULL)
  // beyond max_streams.
  absl::Status OpenStream();
  void CloseStream() { streams_.fetch_sub(1); }

  RpcHost* host() const { return host_; }
  const std::string& name() const { return name_; }
  bool while_draining() const { return while_draining_; }

 private:
  Counter* CounterOf(absl::StatusCode code);

  RpcHost* const host_;
  const std::string name_;
  const bool while_draining_;
  Histogram* const latency_;
  Counter* const request_bytes_;
  Counter* const response_bytes_;
  std::array<std::atomic<Counter*>, 17> by_code_{};
  std::atomic<size_t> streams_{0};
};

// What the work must know about the caller of `context`, which outlives it.
Call CallOf(const grpc::CallbackServerContext* context);

// A unary call that was let in. Whoever holds it owes one Finish. Thread-compatible.
class UnaryCall {
 public:
  // Lets the call in, or finishes it with the refusal and returns null.
  static std::unique_ptr<UnaryCall> Begin(Method* method, grpc::CallbackServerContext* context,
                                          grpc::ServerUnaryReactor* reactor,
                                          const grpc::ByteBuffer* request,
                                          grpc::ByteBuffer* response);
  // A call that nobody finished ends here as INTERNAL, for a reactor left open hangs the shutdown.
  ~UnaryCall();

  const Call& call() const { return call_; }
  RpcHost* host() const { return method_->host(); }
  size_t request_bytes() const { return request_bytes_; }

  // DEADLINE_EXCEEDED or CANCELLED without a look at the bytes; else as ParseMessage.
  absl::Status Parse(google::protobuf::MessageLite* message) const;

  // One of the two, once. Nothing of the call may be touched after.
  void Finish(const google::protobuf::MessageLite& response);
  void FinishWithError(const absl::Status& status);
  // The response, or the status if it is an error.
  void Finish(const absl::Status& status, const google::protobuf::MessageLite& response);

  // Runs `work(std::move(call))` there; finishes the call when the queue is full.
  template <class Work>
  static void Run(RunOn where, std::unique_ptr<UnaryCall> call, Work work);

 private:
  UnaryCall(Method* method, grpc::CallbackServerContext* context, grpc::ServerUnaryReactor* reactor,
            const grpc::ByteBuffer* request, grpc::ByteBuffer* response);
  void End(const absl::Status& status);

  Method* const method_;
  grpc::CallbackServerContext* const context_;
  grpc::ServerUnaryReactor* const reactor_;
  const grpc::ByteBuffer* const request_;
  grpc::ByteBuffer* const response_;
  const size_t request_bytes_;
  const int64_t began_steady_micros_;
  const Call call_;
  bool finished_ = false;
};

template <class Work>
void UnaryCall::Run(RunOn where, std::unique_ptr<UnaryCall> call, Work work) {
  if (where == RunOn::kInline) {
    work(std::move(call));
    return;
  }
  UnaryCall* raw = call.release();  // std::function cannot hold what only moves
  RpcHost* host = raw->host();
  absl::Status status =
      host->Submit(where, [raw, work]() mutable { work(std::unique_ptr<UnaryCall>(raw)); });
  if (!status.ok()) std::unique_ptr<UnaryCall>(raw)->FinishWithError(status);
}

// Lets the call in and runs `handler(request, call)` there, which takes the UnaryCall over and
// finishes it, now or later. The request lives until the handler returns.
template <class Request, class Handler>
grpc::ServerUnaryReactor* ServeAsync(Method* method, RunOn where,
                                     grpc::CallbackServerContext* context,
                                     const grpc::ByteBuffer* in, grpc::ByteBuffer* out,
                                     Handler handler) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  std::unique_ptr<UnaryCall> call = UnaryCall::Begin(method, context, reactor, in, out);
  if (call == nullptr) return reactor;
  UnaryCall::Run(where, std::move(call), [handler](std::unique_ptr<UnaryCall> owned) {
    MessageArena arena;
    auto* request = arena.New<Request>();
    if (absl::Status status = owned->Parse(request); !status.ok()) {
      owned->FinishWithError(status);
      return;
    }
    handler(request, std::move(owned));
  });
  return reactor;
}

// The same for handlers `absl::Status (const Request&, const Call&, Response*)` that answer before
// they return.
template <class Request, class Response, class Handler>
grpc::ServerUnaryReactor* Serve(Method* method, RunOn where, grpc::CallbackServerContext* context,
                                const grpc::ByteBuffer* in, grpc::ByteBuffer* out,
                                Handler handler) {
  return ServeAsync<Request>(
      method, where, context, in, out,
      [handler](Request* request, std::unique_ptr<UnaryCall> call) {
        auto* response = google::protobuf::Arena::CreateMessage<Response>(request->GetArena());
        const absl::Status status = handler(*request, call->call(), response);
        call->Finish(status, *response);
      });
}

}  // namespace fletch

#endif  // FLETCH_SERVER_RPC_METHOD_H_
