// SPDX-License-Identifier: Apache-2.0
// Whether online and training say the same: online answers asked again through the training path at
// their own (as_of, read_seq), cell for cell.
#ifndef FLETCH_SERVER_ENGINE_PARITY_H_
#define FLETCH_SERVER_ENGINE_PARITY_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/call.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "fletch/v1/admin.pb.h"
#include "server/engine/catalog.h"
#include "server/engine/key_hash.h"
#include "server/engine/sampling.h"
#include "server/engine/snapshot.h"
#include "server/engine/training_set_store.h"
#include "server/engine/types.h"
#include "server/engine/work_sharing.h"

namespace fletch {

// What it works with; all of it outlives the checks.
struct ParitySources {
  const Catalog* catalog;
  const TrainingSetStore* sets;  // knows of erasures
  ReadSources reads;
  const KeyHasher* hasher;
};

// Compares and counts. Thread-safe.
class ParityChecker {
 public:
  // fletch_parity_cells_total and fletch_parity_mismatches_total. `metrics` outlives it.
  ParityChecker(const ParitySources& sources, MetricRegistry* metrics);

  // To be kept from before an answer is made, for Check.
  uint64_t ErasureCount() const { return sources_.sets->ErasureCount(); }

  struct Result {
    uint64_t cells = 0;
    uint64_t mismatches = 0;
    std::vector<v1::ParityMismatch> examples;  // the first limits::kMaxParityExamples
  };
  // Status and value of every cell bit for bit, event times where the answer has them. The first
  // mismatches are logged: ref and hashed key, no values. nullopt: entities or views that may have
  // been asked about were erased or deleted meanwhile, so nothing can be said. Errors as JoinSpine.
  absl::StatusOr<std::optional<Result>> Check(const OnlineRequest& request,
                                              const OnlineAnswer& answer, uint64_t erasures,
                                              const Call& call);

 private:
  absl::StatusOr<std::vector<Column>> AskTraining(const OnlineRequest& request,
                                                  const OnlineAnswer& answer, const Call& call);
  bool StillThere(const OnlineAnswer& answer, uint64_t erasures) const;
  absl::StatusOr<Result> Compare(const OnlineRequest& request, const OnlineAnswer& answer,
                                 absl::Span<const Column> training) const;

  const ParitySources sources_;
  WorkSharing alone_{1};  // leaves the threads of training reads alone
  Counter* const cells_;
  Counter* const mismatches_;
};

// Checks a sample of what is asked online, behind the callers. Thread-safe.
class ParitySampler {
 public:
  // `share` of the offered answers, 0 to 1; with 0 there is no thread. `checker` and `metrics`
  // outlive it.
  ParitySampler(double share, ParityChecker* checker, MetricRegistry* metrics);
  // Ends without the answers that still wait.
  ~ParitySampler();
  ParitySampler(const ParitySampler&) = delete;
  ParitySampler& operator=(const ParitySampler&) = delete;

  // Takes a copy of a share of the answers, unless as much waits as limits.h allows (then
  // fletch_parity_dropped_total counts). Never waits for a check; about 2 ns for those it leaves.
  void Offer(const OnlineRequest& request, const OnlineAnswer& answer) {
    if (share_.Chooses()) Take(request, answer);
  }
  // Waits until nothing that was taken waits any more. For tests.
  void Drain();

 private:
  struct Sample {
    OnlineRequest request;
    OnlineAnswer answer;
    uint64_t erasures = 0;
    size_t cells = 0;
  };
  void Take(const OnlineRequest& request, const OnlineAnswer& answer);
  void Run();
  std::optional<Sample> Next();

  const ShareOf share_;
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
