// SPDX-License-Identifier: Apache-2.0
// Sending a spine over a stream and taking the answers.
#ifndef FLETCH_CLIENTS_CPP_SPINE_STREAM_H_
#define FLETCH_CLIENTS_CPP_SPINE_STREAM_H_

#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "fletch/client.h"
#include "grpc_errors.h"

namespace fletch::client {

// Room for so many messages without an answer. Thread-safe.
class Room {
 public:
  explicit Room(uint64_t messages) : free_(std::max<uint64_t>(messages, 1)) {}

  // Waits for room; false: there will be no more answers.
  bool Take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return free_ > 0 || closed_; });
    if (closed_) return false;
    --free_;
    return true;
  }
  void Give() {
    std::lock_guard lock(mutex_);
    ++free_;
    changed_.notify_one();
  }
  void Close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;  // mutex_ guards the rest
  uint64_t free_;
  bool closed_ = false;
};

// Sends what `source` gives, then `last`, until the daemon stops listening; why it did so is for
// the stream's own status. An error of `source` cancels the stream and is returned.
template <typename Request, typename Response>
absl::Status SendBatches(grpc::ClientContext& context,
                         grpc::ClientReaderWriter<Request, Response>& stream, Room& room,
                         const SpineSource& source, const std::optional<Request>& last) {
  while (room.Take()) {
    absl::StatusOr<std::optional<v1::SpineBatch>> batch = source();
    if (!batch.ok()) {
      context.TryCancel();
      return batch.status();
    }
    if (!batch->has_value()) {
      if (!last || stream.Write(*last)) stream.WritesDone();
      return absl::OkStatus();
    }
    Request request;
    request.mutable_spine()->Swap(&**batch);
    if (!stream.Write(request)) return absl::OkStatus();
  }
  return absl::OkStatus();
}

// A whole exchange: `first`, whose answer `sink` takes before anything else is sent; then batches
// and `last`, with their answers, a message each. REQUIRES: the stream is new.
template <typename Request, typename Response>
absl::Status SendSpine(grpc::ClientContext& context,
                       grpc::ClientReaderWriter<Request, Response>& stream, const Request& first,
                       const std::optional<Request>& last, uint64_t in_flight_max,
                       const SpineSource& source,
                       const std::function<absl::Status(Response)>& sink) {
  Response response;
  if (!stream.Write(first) || !stream.Read(&response)) return FromGrpc(stream.Finish());
  absl::Status sink_status = sink(std::move(response));
  absl::Status source_status;
  if (sink_status.ok()) {
    // Two threads, because a spine may be far longer than what both sides buffer: sending all
    // before reading any answer would wait for ever.
    Room room(in_flight_max);
    std::thread sender([&] { source_status = SendBatches(context, stream, room, source, last); });
    while (sink_status.ok() && stream.Read(&response)) {
      sink_status = sink(std::move(response));
      room.Give();
    }
    room.Close();
    if (!sink_status.ok()) context.TryCancel();
    sender.join();
  } else {
    context.TryCancel();
  }
  const absl::Status stream_status = FromGrpc(stream.Finish());
  if (!source_status.ok()) return source_status;
  return sink_status.ok() ? stream_status : sink_status;
}

}  // namespace fletch::client

#endif  // FLETCH_CLIENTS_CPP_SPINE_STREAM_H_
