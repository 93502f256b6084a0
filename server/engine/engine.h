// SPDX-License-Identifier: Apache-2.0
// The daemon's meaning, without its wire: opens and recovers a data directory's store, takes
// commits in, answers reads.
#ifndef FLETCH_SERVER_ENGINE_ENGINE_H_
#define FLETCH_SERVER_ENGINE_ENGINE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/call.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "server/engine/catalog.h"
#include "server/engine/feature_plan.h"
#include "server/engine/types.h"
#include "storage/kv_store.h"

namespace fletch {

struct EngineOptions {
  uint64_t online_budget_bytes = 4ull << 30;  // of the online table
  bool background = true;  // run maintenance (graph building) in a thread of its own
};

// A training read that was admitted: plan, K and mode are fixed. Thread-compatible.
class HistoricalRead {
 public:
  virtual ~HistoricalRead() = default;
  virtual const FeaturePlan& plan() const = 0;
  virtual uint64_t read_seq() const = 0;
  // The columns of one spine batch, rows in spine order. Blocks. INVALID_ARGUMENT: null key or time
  // with its row (field paths "keys.NAME", "timestamps"); FAILED_PRECONDITION: AS_SERVED and a
  // timestamp beyond the clock, with its row.
  virtual absl::StatusOr<std::vector<Column>> Join(const SpineBatch& spine, const Call& call) = 0;
};

// Thread-safe. Every call may block (disk, locks) except TryGetOnline and the getters.
class Engine {
 public:
  // Recovers the state from `store`. `clock` and `metrics` outlive the engine. DATA_LOSS when the
  // store is damaged.
  static absl::StatusOr<std::unique_ptr<Engine>> Open(std::unique_ptr<KvStore> store,
                                                      const Clock* clock, MetricRegistry* metrics,
                                                      const EngineOptions& options);
  // Commits what was accepted, gives unused commit numbers back, stops.
  ~Engine();

  // Registry; as RegistryService.
  absl::StatusOr<v1::ApplyResponse> Apply(const v1::ApplyRequest& request);
  absl::StatusOr<v1::GetResponse> Get(const v1::GetRequest& request) const;
  absl::StatusOr<v1::ListResponse> List(const v1::ListRequest& request) const;
  absl::StatusOr<v1::DeleteObjectResponse> Delete(const v1::DeleteObjectRequest& request);

  // Each checks and encodes in the calling thread and then calls `done` exactly once: at once on a
  // refusal, from the commit thread once the commit is applied. RESOURCE_EXHAUSTED (QUEUE_FULL)
  // when too much waits.
  using WriteDone = std::function<void(absl::StatusOr<WriteReceipt>)>;
  void Write(WriteRequest request, const Call& call, WriteDone done);
  void DeleteRows(KeyedRequest request, const Call& call, WriteDone done);
  void Retract(KeyedRequest request, const Call& call, WriteDone done);

  // The answer when memory alone can give it (or an error that needs nothing more); nullopt: ask
  // GetOnline on a thread that may block. Never waits.
  std::optional<absl::StatusOr<OnlineAnswer>> TryGetOnline(const OnlineRequest& request,
                                                           const Call& call);
  absl::StatusOr<OnlineAnswer> GetOnline(const OnlineRequest& request, const Call& call);

  absl::StatusOr<std::unique_ptr<HistoricalRead>> BeginHistorical(const HistoricalHeader& header,
                                                                  const Call& call);
  absl::StatusOr<HistoryAnswer> GetHistory(const HistoryRequest& request, const Call& call) const;
  absl::StatusOr<SearchAnswer> Search(const SearchRequest& request, const Call& call);

  EngineStatus Status() const;
  uint64_t applied_seq() const;
  // Sizes are exported by the gauges it adds to `metrics`, which must not be collected after the
  // engine is gone.

 private:
  struct Parts;
  explicit Engine(std::unique_ptr<Parts> parts);
  void WriteKeyed(KeyedRequest request, FactForm form, const Call& call, WriteDone done);
  absl::StatusOr<std::optional<OnlineAnswer>> ReadOnline(const OnlineRequest& request,
                                                         bool may_block, const Call& call);
  std::unique_ptr<Parts> parts_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_ENGINE_H_
