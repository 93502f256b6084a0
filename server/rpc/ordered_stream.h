// SPDX-License-Identifier: Apache-2.0
// A bidirectional stream that answers each message in order. Messages are worked on in groups, one
// after another, on an executor, never on a transport thread; a window bounds what is taken in
// before answers go out; and the reactor finishes whatever happens, for one that does not hangs the
// shutdown.
#ifndef FLETCH_SERVER_RPC_ORDERED_STREAM_H_
#define FLETCH_SERVER_RPC_ORDERED_STREAM_H_

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

using RawBidiReactor = grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;

// Thread-safe. Lives until gRPC is done with it and no work holds it.
class OrderedStream : public RawBidiReactor, public std::enable_shared_from_this<OrderedStream> {
 public:
  struct Options {
    RunOn where = RunOn::kRead;
    size_t window = 2;                // messages taken in and not yet answered
    size_t window_bytes = 16u << 20;  // the same in bytes; one message may be larger
    bool ends_when_draining =
        false;         // UNAVAILABLE after the answers owed; else it may run to its end
    size_t group = 1;  // most messages of one Work; the first of a stream is always alone
    // A group waits so long for each further message, and for all at most max_linger_ms; but not
    // for a client that waits for its answers, message by message.
    int64_t linger_ms = 0;
    int64_t max_linger_ms = 0;
    // Not 0: Work may leave answers to Resume, which is called while fewer than so many wait to be
    // written; the next group comes after the last of them.
    size_t unsent = 0;
  };

  OrderedStream(Method* method, grpc::CallbackServerContext* context, const Options& options);

  // Lets the stream in and starts it, or finishes it with the refusal. Returns what gRPC wants.
  static RawBidiReactor* Start(std::shared_ptr<OrderedStream> stream);

 protected:
  // Works on messages `first` (counted from 0) and on. On the executor, one group at a time, in
  // order. Owes one Answer each, now or later from any thread (with Options::unsent: from Work or
  // Resume). What it touches needs no lock of its own.
  virtual void Work(uint64_t first, std::vector<grpc::ByteBuffer> messages) = 0;
  // As Work, of what it left.
  virtual void Resume() {}
  // Whether Options::unsent and the client let one more answer be made.
  bool WantsAnswer();
  // What message `index` is answered with when the executor's queue is full; an error ends the
  // stream.
  virtual absl::StatusOr<grpc::ByteBuffer> Refusal(uint64_t index, const absl::Status& status) = 0;
  // How a stream ends whose client sent `count` messages and closed.
  virtual absl::Status AtEnd(uint64_t count) const { return absl::OkStatus(); }

  // An error ends the stream once all answers before it are written.
  void Answer(uint64_t index, absl::StatusOr<grpc::ByteBuffer> answer);

  const Call& call() const { return call_; }
  RpcHost* host() const { return method_->host(); }

 private:
  struct Slot {
    size_t request_bytes = 0;
    std::optional<absl::StatusOr<grpc::ByteBuffer>> answer;
  };

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;
  void OnDrain();
  void WorkOnNext();
  std::vector<grpc::ByteBuffer> TakeGroup() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Linger() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool MayRead() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool Broken() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return gone_ || !failure_.ok(); }
  bool Resumes() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return options_.unsent > 0 && owed_ > 0;
  }
  // The number of the first message that was not worked on.
  uint64_t NextInput() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return first_slot_ + slots_.size() - inputs_.size();
  }

  // Starts whatever can start now. Called after every change.
  void Pump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PumpWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PumpWork() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PumpRead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PumpFinish() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void End(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SetAnswer(uint64_t index, absl::StatusOr<grpc::ByteBuffer> answer)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Method* const method_;
  grpc::CallbackServerContext* const context_;
  const Options options_;
  const int64_t began_steady_micros_;
  const Call call_;

  Mutex mu_;
  std::shared_ptr<OrderedStream> self_ ABSL_GUARDED_BY(mu_);  // until OnDone
  uint64_t drain_listener_ ABSL_GUARDED_BY(mu_) = 0;
  grpc::ByteBuffer in_;                                       // gRPC's while reading_
  grpc::ByteBuffer out_;                                      // gRPC's while writing_
  std::deque<grpc::ByteBuffer> inputs_ ABSL_GUARDED_BY(mu_);  // not yet worked on
  std::deque<Slot> slots_ ABSL_GUARDED_BY(mu_);   // of messages not yet answered on the wire
  uint64_t first_slot_ ABSL_GUARDED_BY(mu_) = 0;  // message index of slots_.front()
  size_t slot_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  size_t owed_ ABSL_GUARDED_BY(mu_) = 0;         // messages in Work's hands without an Answer
  size_t answered_ ABSL_GUARDED_BY(mu_) = 0;     // slots with an answer
  CondVar arrived_;                              // something that Linger waits for
  bool ping_pong_ ABSL_GUARDED_BY(mu_) = false;  // the last wait for more brought nothing
  bool working_ ABSL_GUARDED_BY(mu_) = false;
  bool reading_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool client_closed_ ABSL_GUARDED_BY(mu_) = false;
  bool gone_ ABSL_GUARDED_BY(mu_) = false;  // cancelled, or a write failed
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);  // not OK: nothing more is written
};

}  // namespace fletch

#endif  // FLETCH_SERVER_RPC_ORDERED_STREAM_H_
