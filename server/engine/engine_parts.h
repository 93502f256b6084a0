// SPDX-License-Identifier: Apache-2.0
// What an engine is made of. Private to engine*.cc.
#ifndef FLETCH_SERVER_ENGINE_ENGINE_PARTS_H_
#define FLETCH_SERVER_ENGINE_ENGINE_PARTS_H_

#include <memory>
#include <optional>
#include <string>

#include "server/engine/collections.h"
#include "server/engine/commit_pipeline.h"
#include "server/engine/engine.h"
#include "server/engine/erasure.h"
#include "server/engine/event_index.h"
#include "server/engine/field_indexes.h"
#include "server/engine/horizon.h"
#include "server/engine/key_hash.h"
#include "server/engine/maintenance.h"
#include "server/engine/online_reader.h"
#include "server/engine/parity.h"
#include "server/engine/recall_audit.h"
#include "server/engine/search.h"
#include "server/engine/training_set_access.h"
#include "server/engine/training_set_store.h"
#include "server/engine/work_sharing.h"
#include "server/engine/write_encoder.h"
#include "storage/online_table.h"

namespace fletch {

// They go in the reverse order, so the commit thread ends before what it feeds.
struct Engine::Parts {
  std::unique_ptr<KvStore> store;
  const Clock* clock;
  std::unique_ptr<Catalog> catalog;
  std::unique_ptr<Horizons> horizons;
  std::unique_ptr<KeyHasher> hasher;
  std::unique_ptr<TrainingSetStore> training_sets;
  std::unique_ptr<OnlineTable> online;
  std::unique_ptr<FieldIndexes> field_indexes;
  std::unique_ptr<Collections> collections;
  std::unique_ptr<EventIndex> events;
  Counter* window_overflows = nullptr;
  PlanCache plans;
  std::unique_ptr<WorkSharing> join_workers;
  std::unique_ptr<Erasures> erasures;  // the commit thread asks it to the last
  std::unique_ptr<CommitPipeline> pipeline;
  std::unique_ptr<Maintenance> maintenance;
  std::unique_ptr<ParityChecker> parity_checker;
  std::unique_ptr<ParitySampler> parity_sampler;
  std::unique_ptr<WorkSharing> search_workers;
  std::unique_ptr<RecallSampler> recall_sampler;

  // What a read asks about.
  struct Moment {
    int64_t as_of = 0;
    uint64_t read_seq = 0;
  };
  absl::StatusOr<Moment> Resolve(std::optional<int64_t> as_of,
                                 const std::optional<KnownAt>& known_at, uint64_t min_seq,
                                 const Call& call);
  // Whether Resolve neither waits nor reads what is stored.
  bool ResolvesAtOnce(const std::optional<KnownAt>& known_at, uint64_t min_seq) const;
  ReadSources Sources() const {
    return {online.get(), store.get(), horizons.get(), events.get(), window_overflows};
  }
  // What a search is asked of.
  struct SearchTarget {
    std::shared_ptr<const CatalogSnapshot> catalog;
    IndexedField index;
    std::shared_ptr<VectorCollection> collection;
    SearchContext context;  // points to the above
  };
  // Errors as FindIndexedField.
  absl::StatusOr<SearchTarget> FindIndex(const std::string& project, const std::string& index);
  // As RunSearch.
  absl::StatusOr<std::optional<SearchAnswer>> Search(const SearchTarget& target,
                                                     const SearchRequest& request, bool may_block,
                                                     const Call& call);
  // The same, and the recall sampler hears of it.
  absl::StatusOr<std::optional<SearchAnswer>> SearchSampled(const SearchRequest& request,
                                                            bool may_block, const Call& call);
  v1::DescribeIndexResponse Describe(const SearchTarget& target) const;
  // Searches of which no sample is taken.
  AskSearch SearchAgain();
  TrainingSetAccess SetAccess() const;
  absl::Status LoadLatest();
  // The plan, from a catalog at which it was resolved.
  absl::StatusOr<std::shared_ptr<const FeaturePlan>> Plan(const std::string& project,
                                                          const Selection& selection) {
    return plans.Get(*catalog->Snapshot(), project, selection);
  }
  // Encodes (EncodeWrite, EncodeKeyed) and hands over to the pipeline.
  template <class Request, class Encode>
  void Submit(Request request, const Call& call, WriteDone done, Encode encode);
  // What reads the catalog besides the catalog.
  Catalog::Readers TrainingSetReaders();
  // Makes what is derived from the catalog follow it. Commit thread, or before it has work.
  absl::Status RefreshDerived();
  absl::Status StartCommits(MetricRegistry* metrics);
  absl::StatusOr<v1::DeleteObjectResponse> Delete(const v1::DeleteObjectRequest& request);
  void AddGauges(MetricRegistry* metrics);
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_ENGINE_PARTS_H_
