// SPDX-License-Identifier: Apache-2.0
// Training sets as stored: a record and spine batches each (storage/FORMAT.md, Training sets).
// Records are held in memory too; spines are on disk alone.
#ifndef FLETCH_SERVER_ENGINE_TRAINING_SET_STORE_H_
#define FLETCH_SERVER_ENGINE_TRAINING_SET_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "fletch/v1/training_set_record.pb.h"
#include "server/engine/types.h"
#include "storage/kv_store.h"
#include "storage/schema.h"

namespace fletch {

using TrainingSetRecordPtr = std::shared_ptr<const v1::TrainingSetRecord>;

// Thread-safe. Outlives its drafts and erasures.
class TrainingSetStore {
 public:
  // A set in the making. What it stored goes with it unless it was finished. Thread-compatible.
  class Draft {
   public:
    ~Draft();
    Draft(const Draft&) = delete;
    Draft& operator=(const Draft&) = delete;

    // Stores the next batch (not synced). OUT_OF_RANGE beyond limits::kMaxTrainingSetBatches; else
    // as KvStore::Write.
    absl::Status Append(const SpineBatch& batch);
    // Stores `record` and all appended batches durably, and with them every commit written before.
    // format, id and batch_count are set here. ALREADY_EXISTS: the name was taken meanwhile.
    // ABORTED: entities were erased meanwhile. Nothing may be called after.
    absl::StatusOr<TrainingSetRecordPtr> Finish(v1::TrainingSetRecord record);

   private:
    friend class TrainingSetStore;
    Draft(TrainingSetStore* sets, uint64_t id, uint64_t erasures)
        : sets_(sets), id_(id), erasures_at_begin_(erasures) {}
    TrainingSetStore* const sets_;
    const uint64_t id_;
    const uint64_t erasures_at_begin_;
    uint64_t batch_count_ = 0;
    bool finished_ = false;
  };

  // An erasure of entities, from before its first fact is deleted to after its last: no draft that
  // overlaps it can be finished, so no set holds what was read before beside what was read after.
  class Erasure {
   public:
    ~Erasure();
    Erasure(const Erasure&) = delete;
    Erasure& operator=(const Erasure&) = delete;

    struct Result {
      std::vector<std::string> training_sets;  // names, sorted
      uint64_t rows = 0;                       // blanked
      std::vector<KeyRange> ranges;            // the bytes are gone after KvStore::Compact of these
    };
    // Marks every set whose spine holds one of the encoded keys as erased and makes the rows blank,
    // synced. Reads the spines that hold keys of the entity. Doing it again does no harm (a set
    // that is marked already and holds none of the keys is not named). To be called before the
    // facts are deleted, so that no read of a set sees half of it.
    absl::StatusOr<Result> EraseKeys(EntityId entity_id, absl::Span<const std::string> entity_keys);

   private:
    friend class TrainingSetStore;
    explicit Erasure(TrainingSetStore* sets) : sets_(sets) {}
    TrainingSetStore* const sets_;
  };

  // Reads the records and removes spines without one, which a crash or an early end left. DATA_LOSS
  // when a record cannot be read. `store` outlives it.
  static absl::StatusOr<std::unique_ptr<TrainingSetStore>> Open(KvStore* store);

  // ALREADY_EXISTS; OUT_OF_RANGE beyond limits::kMaxTrainingSets; UNAVAILABLE (ERASURE_UNDER_WAY).
  absl::StatusOr<std::unique_ptr<Draft>> Begin(const std::string& project, const std::string& name);
  std::unique_ptr<Erasure> BeginErasure();
  // Goes up when an erasure begins and when it ends: what was read while it stood still saw no
  // half of one. `*under_way`, if given, says whether one runs now.
  uint64_t ErasureCount(bool* under_way = nullptr) const;

  // NOT_FOUND names the project's set.
  absl::StatusOr<TrainingSetRecordPtr> Find(std::string_view project, std::string_view name) const;
  // Of the project, by name, from the first after `after` on; at most `limit`.
  std::vector<TrainingSetRecordPtr> List(std::string_view project, std::string_view after,
                                         size_t limit) const;
  // REQUIRES: batch < record.batch_count(). DATA_LOSS when it is missing or damaged; NOT_FOUND when
  // the set was deleted meanwhile.
  absl::StatusOr<SpineBatch> ReadBatch(const v1::TrainingSetRecord& record, uint64_t batch) const;
  // Durable when it returns. NOT_FOUND.
  absl::Status Delete(std::string_view project, std::string_view name);

  // Names of the project's sets that read "view@vN", through other views too; sorted.
  std::vector<std::string> ReadersOf(std::string_view project, std::string_view view_ref) const;

 private:
  using Name = std::pair<std::string, std::string>;  // project, name
  class Claim;

  explicit TrainingSetStore(KvStore* store) : store_(store) {}
  absl::Status Load();
  absl::Status RemoveLeftovers();
  absl::Status EraseInSet(TrainingSetRecordPtr record, EntityId entity_id,
                          absl::Span<const std::string> entity_keys, Erasure::Result* result);

  KvStore* const store_;
  mutable Mutex mu_;
  CondVar released_;                             // a claim went
  std::set<Name> claimed_ ABSL_GUARDED_BY(mu_);  // someone changes what is stored of these
  std::map<Name, TrainingSetRecordPtr> records_ ABSL_GUARDED_BY(mu_);
  uint64_t next_id_ ABSL_GUARDED_BY(mu_) = 1;
  uint64_t erasures_begun_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t erasures_ended_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_TRAINING_SET_STORE_H_
