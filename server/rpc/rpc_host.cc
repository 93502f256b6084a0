// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/rpc_host.h"

#include <string>
#include <utility>

#include "base/status.h"

namespace fletch {
namespace {

constexpr int64_t kRetryFullMs = 50;
// Kinds of streams that each may have max_streams open.
constexpr size_t kWriteStreams = 2;  // WriteStream, DoPut
constexpr size_t kJoinStreams = 4;   // GetHistoricalFeatures, CreateTrainingSet, DoExchange, DoGet
constexpr int kOperateThreads = 2;   // so that an erasure does not wait for a compaction
constexpr size_t kOperateQueue = 64;

void AddQueueGauge(MetricRegistry* metrics, const std::string& name, const Executor* executor) {
  metrics->AddGauge("fletch_queue_length", "Tasks that wait for a thread", {{"executor", name}},
                    [executor] { return static_cast<double>(executor->queued()); });
}

}  // namespace

// A stream has at most one task submitted at a time, so the room added for streams keeps a full
// queue of unary calls from failing one.
RpcHost::RpcHost(const RpcOptions& options, MetricRegistry* metrics, const Clock* clock)
    : options_(options),
      metrics_(metrics),
      clock_(clock),
      admission_(options.max_in_flight, options.max_in_flight_bytes),
      read_("read", options.read_threads, options.read_queue),
      write_("write", options.write_threads,
             options.write_queue + kWriteStreams * options.max_streams),
      join_("join", options.join_threads, kJoinStreams * options.max_streams),
      operate_("operate", kOperateThreads, kOperateQueue) {
  metrics->AddGauge("fletch_requests_in_flight",
                    "Calls and streams that were let in and not answered yet", {},
                    [this] { return static_cast<double>(admission_.in_flight()); });
  AddQueueGauge(metrics, "read", &read_);
  AddQueueGauge(metrics, "write", &write_);
  AddQueueGauge(metrics, "join", &join_);
  AddQueueGauge(metrics, "operate", &operate_);
}

void RpcHost::SetServing(Engine* engine) {
  engine_.store(engine, std::memory_order_release);
  ready_since_micros_.store(clock_->NowMicros());
  admission_.SetServing();
}

Executor* RpcHost::ExecutorOf(RunOn where) {
  switch (where) {
    case RunOn::kWrite:
      return &write_;
    case RunOn::kJoin:
      return &join_;
    case RunOn::kOperate:
      return &operate_;
    default:
      return &read_;
  }
}

absl::Status RpcHost::Submit(RunOn where, std::function<void()> task) {
  absl::Status status = ExecutorOf(where)->Submit(std::move(task));
  return status.ok() ? status : WithRetryAfterMs(std::move(status), kRetryFullMs);
}

void RpcHost::StopExecutors() {
  read_.Stop();
  write_.Stop();
  join_.Stop();
  operate_.Stop();
}

}  // namespace fletch
