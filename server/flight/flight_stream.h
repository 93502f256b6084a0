// SPDX-License-Identifier: Apache-2.0
// One streaming call of Flight: messages come in within a window, steps of work run on an executor,
// one at a time, while there is room for their answers, and answers go out in order. Unlike
// OrderedStream, what comes in and what goes out need not be one to one. The call finishes whatever
// happens, for one that does not hangs the shutdown.
#ifndef FLETCH_SERVER_FLIGHT_FLIGHT_STREAM_H_
#define FLETCH_SERVER_FLIGHT_FLIGHT_STREAM_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/call.h"
#include "base/mutex.h"
#include "server/rpc/method.h"

namespace fletch {

using RawBidi = grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;
using RawWriter = grpc::ServerWriteReactor<grpc::ByteBuffer>;

// The operations of one gRPC reactor, of either kind.
class FlightWire {
 public:
  virtual ~FlightWire() = default;
  virtual void Read(grpc::ByteBuffer* into) = 0;
  virtual void Write(const grpc::ByteBuffer* from) = 0;
  virtual void End(const grpc::Status& status) = 0;
};

// Thread-safe. Lives until gRPC is done with it and no work holds it.
class FlightStream : public std::enable_shared_from_this<FlightStream> {
 public:
  struct Options {
    RunOn where = RunOn::kJoin;
    size_t in_messages = 4;  // that wait for a step; one more is being read
    size_t in_bytes = 16u << 20;
    size_t step_messages = 1;  // that one step takes at most
    // A step waits so long for each further message, and for all at most linger_ms_max; but not for
    // a client that waits for its answers, message by message.
    int64_t linger_ms = 0;
    int64_t linger_ms_max = 0;
    size_t out_messages = 2;          // answers that are owed or wait to be sent
    bool ends_when_draining = false;  // UNAVAILABLE after the answers owed; else it runs to its end
  };
  FlightStream(Method* method, grpc::CallbackServerContext* context, const Options& options);
  virtual ~FlightStream() = default;

  // Lets the stream in and starts it, or finishes it with the refusal. Returns what gRPC wants.
  static RawBidi* StartBidi(std::shared_ptr<FlightStream> stream);
  // The same of a call whose only message has come; steps get no messages.
  static RawWriter* StartWriter(std::shared_ptr<FlightStream> stream);

  // For the reactors.
  void OnReadDone(bool ok);
  void OnWriteDone(bool ok);
  void OnCancel();
  void OnDone();

 protected:
  enum class Next {
    kInput,  // another step when there is input, or none will come
    kMore,   // another step, without input, as soon as there is room for an answer
    kDone,   // nothing more; the stream ends well once all is sent
  };
  // One step. `input`: what came since, in order; empty while steps return kMore, and when
  // `closed`: the client has closed and all was handed over, so that kInput is no answer. An error
  // ends the stream once all
  // before it is sent. It owes as many answers as it likes, but room is only checked between steps.
  virtual absl::StatusOr<Next> Step(std::vector<grpc::ByteBuffer> input, bool closed) = 0;

  // From a step: the next answer in order.
  void Send(grpc::ByteBuffer message);
  // From a step: keeps a place for an answer that somebody gives with Answer, once. An error ends
  // the stream there.
  uint64_t Owe();
  void Answer(uint64_t place, absl::StatusOr<grpc::ByteBuffer> answer);

  const Call& call() const { return call_; }
  RpcHost* host() const { return method_->host(); }

 private:
  using Slot = std::optional<absl::StatusOr<grpc::ByteBuffer>>;

  static absl::Status LetIn(FlightStream* stream);
  static void Run(std::shared_ptr<FlightStream> stream, FlightWire* wire, bool reads);
  void OnDrain();
  void WorkOnNext();
  void Linger() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool MayRead() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool CanStep() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Starts whatever can start now. Called after every change.
  void Pump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PumpWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PumpWork() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PumpRead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PumpFinish() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void End(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Method* const method_;
  grpc::CallbackServerContext* const context_;
  const Options options_;
  const int64_t began_steady_micros_;
  const Call call_;
  FlightWire* wire_ = nullptr;  // set once, before anything runs; lives until OnDone

  Mutex mu_;
  std::shared_ptr<FlightStream> self_ ABSL_GUARDED_BY(mu_);  // until OnDone
  uint64_t drain_listener_ ABSL_GUARDED_BY(mu_) = 0;
  grpc::ByteBuffer in_;   // gRPC's while reading_
  grpc::ByteBuffer out_;  // gRPC's while writing_
  std::deque<grpc::ByteBuffer> inputs_ ABSL_GUARDED_BY(mu_);
  size_t input_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  std::deque<Slot> slots_ ABSL_GUARDED_BY(mu_);  // answers not yet on the wire
  uint64_t first_slot_ ABSL_GUARDED_BY(mu_) = 0;
  size_t owed_ ABSL_GUARDED_BY(mu_) = 0;  // places without an Answer
  Next next_ ABSL_GUARDED_BY(mu_) = Next::kInput;
  CondVar arrived_;                              // something that Linger waits for
  bool ping_pong_ ABSL_GUARDED_BY(mu_) = false;  // the last wait for more brought nothing
  bool working_ ABSL_GUARDED_BY(mu_) = false;
  bool reading_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool client_closed_ ABSL_GUARDED_BY(mu_) = false;
  bool gone_ ABSL_GUARDED_BY(mu_) = false;  // cancelled, or a write failed
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  bool failing_ ABSL_GUARDED_BY(mu_) = false;  // an error is on its way out: no more steps
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);  // not OK: nothing more is written
};

// Streams that end as they begin.
RawBidi* FinishedBidi(const grpc::Status& status);
RawWriter* FinishedWriter(const grpc::Status& status);

}  // namespace fletch

#endif  // FLETCH_SERVER_FLIGHT_FLIGHT_STREAM_H_
