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
#include "fletch/v1/admin.pb.h"
#include "fletch/v1/historical.pb.h"
#include "fletch/v1/ingest.pb.h"
#include "fletch/v1/vector.pb.h"
#include "server/engine/catalog.h"
#include "server/engine/feature_plan.h"
#include "server/engine/types.h"
#include "storage/kv_store.h"

namespace fletch {

struct EngineOptions {
  uint64_t online_budget_bytes = 4ull << 30;  // of the online table
  bool background = true;  // run maintenance (graphs, folding, retention, audits) in threads
  uint64_t window_budget_bytes = 2ull << 30;  // of events kept for online windows
  size_t join_threads = 0;                    // that share one training read; 0: one a core
  uint64_t vector_budget_bytes = 4ull << 30;  // of live vectors' memory, of each index
  std::string index_folder =
      {};  // of index files and vectors; empty: nothing is kept, all is in memory
  double parity_sample = 0.001;  // share of online requests asked again
  double recall_sample = 0.001;  // share of searches asked again, exactly
};

// Spine batches that were joined together. Batch may be called from several threads.
class JoinedSpine {
 public:
  virtual ~JoinedSpine() = default;
  // The columns of batch i, rows in spine order. Once a batch: what it holds is given away.
  virtual absl::StatusOr<std::vector<Column>> Batch(size_t i, const Call& call) = 0;
  // The same of some batches from `first` on, at most one a thread of the join: calls
  // take(i, columns) for each, several at once. Returns how many there were. Not beside Batch.
  using Take = std::function<absl::Status(size_t i, std::vector<Column> columns)>;
  virtual absl::StatusOr<size_t> SomeBatches(size_t first, const Call& call, const Take& take) = 0;
};

// A training read that was admitted: plan, K and mode are fixed. Thread-compatible.
class HistoricalRead {
 public:
  virtual ~HistoricalRead() = default;
  virtual const FeaturePlan& plan() const = 0;
  virtual uint64_t read_seq() const = 0;
  // Joins the batches in one pass over the facts: their rows are sorted together, so more rows at
  // once cost less each. Blocks; memory is that of the batches and of the rows found.
  // INVALID_ARGUMENT: null key or time with its row (field paths
  // "keys.NAME", "timestamps"); FAILED_PRECONDITION: AS_SERVED and a timestamp beyond the clock,
  // with its row; OUT_OF_RANGE (BEFORE_HORIZON): the first row before a view's horizon and how
  // many there are. Then none of the batches is answered.
  virtual absl::StatusOr<std::unique_ptr<JoinedSpine>> Join(std::vector<SpineBatch> batches,
                                                            const Call& call) = 0;
};

// A training set in the making: nothing is kept unless Finish succeeds. Thread-compatible.
class TrainingSetWriter {
 public:
  virtual ~TrainingSetWriter() = default;
  // Stores one spine batch and joins it for the digest. Blocks. Errors as HistoricalRead::Join.
  // Returns the rows kept so far.
  virtual absl::StatusOr<uint64_t> Add(SpineBatch batch, const Call& call) = 0;
  // ALREADY_EXISTS when the name was taken meanwhile; INVALID_ARGUMENT without a batch.
  virtual absl::StatusOr<v1::TrainingSet> Finish(const Call& call) = 0;
};

struct TrainingSetBatch {
  v1::TrainingSet info;
  SpineBatch spine;
  std::shared_ptr<const FeaturePlan> plan;
  std::vector<Column> columns;  // empty when only described
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
  absl::StatusOr<v1::GetLineageResponse> GetLineage(const v1::GetLineageRequest& request) const;

  // Each checks and encodes in the calling thread and then calls `done` exactly once: at once on a
  // refusal, from the commit thread once the commit is applied. RESOURCE_EXHAUSTED (QUEUE_FULL)
  // when too much waits.
  using WriteDone = std::function<void(absl::StatusOr<WriteReceipt>)>;
  void Write(WriteRequest request, const Call& call, WriteDone done);
  void DeleteRows(KeyedRequest request, const Call& call, WriteDone done);
  void Retract(KeyedRequest request, const Call& call, WriteDone done);

  // As IngestService.Erase and AdminService; these block until it is done.
  absl::StatusOr<v1::EraseResponse> Erase(EraseRequest request, const Call& call);
  absl::StatusOr<v1::ListErasuresResponse> ListErasures(
      const v1::ListErasuresRequest& request) const;
  absl::StatusOr<v1::CompactResponse> Compact(const v1::CompactRequest& request, const Call& call);
  absl::StatusOr<v1::AuditParityResponse> AuditParity(const v1::AuditParityRequest& request,
                                                      const Call& call);

  // The answer when memory alone can give it (or an error that needs nothing more); nullopt: ask
  // GetOnline on a thread that may block. Never waits.
  std::optional<absl::StatusOr<OnlineAnswer>> TryGetOnline(const OnlineRequest& request,
                                                           const Call& call);
  absl::StatusOr<OnlineAnswer> GetOnline(const OnlineRequest& request, const Call& call);

  absl::StatusOr<std::unique_ptr<HistoricalRead>> BeginHistorical(const HistoricalHeader& header,
                                                                  const Call& call);
  absl::StatusOr<HistoryAnswer> GetHistory(const HistoryRequest& request, const Call& call) const;

  // As HistoricalService. `description` and names are checked here.
  absl::StatusOr<std::unique_ptr<TrainingSetWriter>> CreateTrainingSet(
      const std::string& name, const std::string& description, const HistoricalHeader& header,
      const Call& call);
  absl::StatusOr<TrainingSetBatch> GetTrainingSet(const v1::GetTrainingSetRequest& request,
                                                  const Call& call);
  absl::StatusOr<v1::ListTrainingSetsResponse> ListTrainingSets(
      const v1::ListTrainingSetsRequest& request) const;
  absl::StatusOr<v1::VerifyTrainingSetResponse> VerifyTrainingSet(
      const v1::VerifyTrainingSetRequest& request, const Call& call);
  absl::Status DeleteTrainingSet(const v1::DeleteTrainingSetRequest& request);

  // The answer when memory can give it in well under a millisecond; nullopt: ask Search on a thread
  // that may block. Never waits.
  std::optional<absl::StatusOr<SearchAnswer>> TrySearch(const SearchRequest& request,
                                                        const Call& call);
  // As VectorService.
  absl::StatusOr<SearchAnswer> Search(const SearchRequest& request, const Call& call);
  absl::StatusOr<BatchSearchAnswer> BatchSearch(const BatchSearchRequest& request,
                                                const Call& call);
  absl::StatusOr<v1::AuditRecallResponse> AuditRecall(const RecallAuditRequest& request,
                                                      const Call& call);
  absl::StatusOr<v1::DescribeIndexResponse> DescribeIndex(const v1::DescribeIndexRequest& request,
                                                          const Call& call);
  absl::StatusOr<v1::RebuildIndexResponse> RebuildIndex(const v1::RebuildIndexRequest& request,
                                                        const Call& call);

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
