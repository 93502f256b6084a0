// SPDX-License-Identifier: Apache-2.0
// What a VectorCollection is made of; its three files share it.
#ifndef FLETCH_SERVER_ENGINE_VECTOR_COLLECTION_STATE_H_
#define FLETCH_SERVER_ENGINE_VECTOR_COLLECTION_STATE_H_

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/epoch.h"
#include "base/mutex.h"
#include "index/top_k.h"
#include "server/engine/newest_event_times.h"
#include "server/engine/saved_index.h"
#include "server/engine/vector_collection.h"
#include "server/engine/vector_generation.h"

namespace fletch {

inline constexpr int64_t kBeginningOfTime = std::numeric_limits<int64_t>::min();

// The state one search sees; its rows and futures never change under it but for their ends.
struct VectorSight {
  std::shared_ptr<const VectorGeneration> generation;
  uint32_t row_count = 0;
  uint32_t future_count = 0;
  uint64_t version = 0;
  int64_t newest_event_time = kBeginningOfTime;  // that a reader at its S can have met
};

struct VectorCollection::State {
  using VectorTopK = TopK<VectorHit>;

  State(std::shared_ptr<const View> v, size_t f, const KvStore* s, const CollectionOptions& o);

  absl::StatusOr<std::vector<float>> VectorOf(std::string_view row) const;
  VectorSight Look(uint64_t read_seq) const;
  std::shared_ptr<VectorGeneration> Generation() const;
  // Writer: lets new searches see what the generation holds now.
  void Publish() ABSL_EXCLUSIVE_LOCKS_REQUIRED(sight_mu);
  // Of the next generation.
  IndexOptions NextOptions() const;
  bool Expired(int64_t event_time, int64_t as_of) const {
    return ttl > 0 && as_of - event_time > ttl;
  }

  // vector_search.cc
  absl::StatusOr<VectorAnswer> SearchFacts(const VectorQuery& query, const Call& call) const;
  absl::StatusOr<VectorAnswer> SearchMemory(const VectorQuery& query, const VectorSight& sight,
                                            const Call& call) const;
  absl::Status AddFutures(const VectorQuery& query, const VectorSight& sight, const Call& call,
                          VectorTopK* best, VectorAnswer* answer) const;
  absl::Status AddFact(const VectorQuery& query, const FactRef& fact, const Scorer& scorer,
                       VectorTopK* best, VectorAnswer* answer) const;

  // vector_maintenance.cc
  void BlankErased();
  bool Mature(int64_t now);
  bool WantsRebuild(uint64_t base_seq, int64_t expired) ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu);
  bool Rebuild(uint64_t base_seq, int64_t base_time, absl::FunctionRef<bool()> cancelled);
  bool ExtendGraph(VectorGeneration* target, uint64_t seen_from,
                   absl::FunctionRef<bool()> cancelled);
  bool WantsExtension(const VectorGeneration& target) const;
  bool WantsSave(const VectorGeneration& target) const;
  bool Save(absl::FunctionRef<bool()> cancelled);
  void Warn(const std::string& what, const absl::Status& status);

  const std::shared_ptr<const View> view;
  const size_t field;
  const KvStore* const store;
  const VectorMetric metric;
  const size_t dimension;
  const int64_t ttl;
  const std::shared_ptr<EntityDictionary> entities;
  const uint64_t budget_bytes;

  // Until the first search or maintenance, what is applied may be a load: then memory knows nothing
  // of before it.
  mutable std::atomic<bool> loading{true};
  std::atomic<uint64_t> load_base_seq{0};
  std::atomic<bool> rebuild_requested{false};
  enum class Work { kIdle, kBuilding, kSaving };
  std::atomic<Work> work{Work::kIdle};
  std::atomic<double> progress{0};
  std::atomic<double> target_recall;

  SavedIndex saved;
  mutable EpochDomain searches;

  Mutex write_mu;  // whoever changes the generation, or which one it is
  struct Erased {
    std::shared_ptr<VectorGeneration> generation;
    std::vector<RowId> rows;
  };
  std::vector<Erased> erased ABSL_GUARDED_BY(write_mu);  // still to be overwritten

  // What a search begins with; held for a few copies only. Taken after write_mu.
  mutable Mutex sight_mu;
  std::shared_ptr<VectorGeneration> generation ABSL_GUARDED_BY(sight_mu);
  uint64_t generation_number ABSL_GUARDED_BY(sight_mu) = 0;
  uint32_t row_count ABSL_GUARDED_BY(sight_mu) = 0;
  uint32_t future_count ABSL_GUARDED_BY(sight_mu) = 0;
  uint64_t version ABSL_GUARDED_BY(sight_mu) = 0;
  NewestEventTimes newest ABSL_GUARDED_BY(sight_mu);
  IndexParameters next_parameters ABSL_GUARDED_BY(sight_mu);
  std::string warning ABSL_GUARDED_BY(sight_mu);

  // The maintenance's own.
  uint64_t previous_applied_seq = 0;
  int64_t next_expiry_scan = kBeginningOfTime;
  uint64_t rows_seen = 0;                   // at the last look
  int64_t rows_came_at = kBeginningOfTime;  // when there were fewer
  int64_t saved_at = kBeginningOfTime;
  int64_t resting_until = kBeginningOfTime;  // after something failed
  int64_t clock = kBeginningOfTime;          // of this maintenance
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_VECTOR_COLLECTION_STATE_H_
