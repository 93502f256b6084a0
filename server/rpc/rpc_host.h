// SPDX-License-Identifier: Apache-2.0
// What all services share: the engine, who may come in, and where the work runs.
#ifndef FLETCH_SERVER_RPC_RPC_HOST_H_
#define FLETCH_SERVER_RPC_RPC_HOST_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/clock.h"
#include "base/executor.h"
#include "base/metrics.h"
#include "server/engine/engine.h"
#include "server/rpc/admission.h"

namespace fletch {

struct RpcOptions {
  int read_threads = 2;   // look-ups that miss memory, searches, histories
  int write_threads = 2;  // checking and encoding of writes
  int join_threads = 2;   // training joins
  size_t read_queue = 1024;
  size_t write_queue = 1024;
  size_t max_streams = 64;  // of each kind, at once
  size_t max_in_flight = 4096;
  size_t max_in_flight_bytes = 1u << 30;
  size_t max_message_bytes = 64u << 20;
  bool access_log = false;  // a line a call, at debug level
};

// Where a call's work runs. kInline never waits; kOperate is for what operators ask and what may
// take minutes.
enum class RunOn { kInline, kRead, kWrite, kJoin, kOperate };

// Thread-safe. Outlives the services.
class RpcHost {
 public:
  // `metrics` and `clock` outlive the host.
  RpcHost(const RpcOptions& options, MetricRegistry* metrics, const Clock* clock);

  // Calls are let in from now on. `engine` outlives the last call.
  void SetServing(Engine* engine);
  // REQUIRES: a call was let in.
  Engine* engine() const { return engine_.load(std::memory_order_acquire); }
  int64_t ready_since_micros() const { return ready_since_micros_.load(); }

  // As Executor::Submit. REQUIRES: `where` is not kInline.
  absl::Status Submit(RunOn where, std::function<void()> task);
  // Runs what was submitted and joins the threads.
  void StopExecutors();

  Admission* admission() { return &admission_; }
  const RpcOptions& options() const { return options_; }
  MetricRegistry* metrics() const { return metrics_; }
  const Clock* clock() const { return clock_; }

 private:
  Executor* ExecutorOf(RunOn where);

  const RpcOptions options_;
  MetricRegistry* const metrics_;
  const Clock* const clock_;
  std::atomic<Engine*> engine_{nullptr};
  std::atomic<int64_t> ready_since_micros_{0};
  Admission admission_;
  Executor read_;
  Executor write_;
  Executor join_;
  Executor operate_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_RPC_RPC_HOST_H_
