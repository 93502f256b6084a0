// SPDX-License-Identifier: Apache-2.0
// Whether online and training say the same: online answers asked again through the training path at
// their own (as_of, read_seq), cell for cell.
#ifndef FLETCH_SERVER_ENGINE_PARITY_H_
#define FLETCH_SERVER_ENGINE_PARITY_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/call.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "fletch/v1/admin.pb.h"
#include "server/engine/feature_plan.h"
#include "server/engine/key_hash.h"
#include "server/engine/types.h"

namespace fletch {

// Asks an online answer's question of the training path; nullopt: what it read is being erased, so
// nothing can be said.
using AskTraining = std::function<absl::StatusOr<std::optional<std::vector<Column>>>(
    const OnlineRequest& request, const OnlineAnswer& answer, const Call& call)>;

// Compares and counts. Thread-safe.
class ParityChecker {
 public:
  // fletch_parity_cells_total and fletch_parity_mismatches_total. `hasher` and `metrics` outlive
  // it.
  ParityChecker(AskTraining ask, const KeyHasher* hasher, MetricRegistry* metrics);

  struct Result {
    uint64_t cells = 0;
    uint64_t mismatches = 0;
    std::vector<v1::ParityMismatch> examples;  // the first 100
  };
  // Status and value of every cell bit for bit, event times where the answer has them. Mismatches
  // are logged: ref and hashed key, no values.
  absl::StatusOr<Result> Check(const OnlineRequest& request, const OnlineAnswer& answer,
                               const Call& call);

 private:
  const AskTraining ask_;
  const KeyHasher* const hasher_;
  Counter* const cells_;
  Counter* const mismatches_;
};

// Checks a sample of what is asked online, behind the callers. Thread-safe.
class ParitySampler {
 public:
  // `share` of the offered answers, 0 to 1; with 0 there is no thread. `checker` outlives it.
  ParitySampler(double share, ParityChecker* checker, MetricRegistry* metrics);
  // Ends without the answers that still wait.
  ~ParitySampler();

  // Takes a copy of one answer in 1/share, unless as much waits as limits.h allows (then
  // fletch_parity_dropped_total counts). Never waits; about 2 ns for those it leaves.
  void Offer(const OnlineRequest& request, const OnlineAnswer& answer) {
    if (threshold_ != 0 && NextRandom() < threshold_) Take(request, answer);
  }
  // Waits until nothing that was taken waits any more. For tests.
  void Drain();

 private:
  struct Sample {
    OnlineRequest request;
    OnlineAnswer answer;
  };
  static uint64_t NextRandom();
  void Take(const OnlineRequest& request, const OnlineAnswer& answer);
  void Run();

  const uint64_t threshold_;  // of 2^64
  ParityChecker* const checker_;
  Counter* const dropped_;
  std::atomic<bool> stopping_{false};
  Mutex mu_;
  CondVar wake_;
  CondVar idle_;
  std::deque<Sample> queue_ ABSL_GUARDED_BY(mu_);
  size_t queued_cells_ ABSL_GUARDED_BY(mu_) = 0;
  bool working_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_PARITY_H_
