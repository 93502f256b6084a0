// SPDX-License-Identifier: Apache-2.0
// What the record of a training set means: its features pinned, and whether the same rows can still
// be read.
#ifndef FLETCH_SERVER_ENGINE_TRAINING_SET_H_
#define FLETCH_SERVER_ENGINE_TRAINING_SET_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "fletch/v1/historical.pb.h"
#include "fletch/v1/training_set_record.pb.h"
#include "server/engine/catalog.h"
#include "server/engine/feature_plan.h"
#include "server/engine/horizon.h"
#include "server/engine/types.h"
#include "storage/kv_store.h"

namespace fletch {

// The selection with "view@vN" for every view; for MakePinnedPlan. `plan` is the selection's.
// NOT_FOUND when the catalog lost what the plan was made of.
absl::StatusOr<Service> PinSelection(const CatalogSnapshot& catalog, std::string_view project,
                                     const Selection& selection, const FeaturePlan& plan);

// A record of what is read: columns, bindings, views, keys, engines. The rest is unset.
v1::TrainingSetRecord DescribeReads(const Service& pinned, const FeaturePlan& plan);

// Whether two plans read the same: columns, types and stored views.
bool SameReads(const FeaturePlan& a, const FeaturePlan& b);

// The plan that the record was made with. DATA_LOSS when a view is gone.
absl::StatusOr<std::shared_ptr<const FeaturePlan>> PlanOf(const CatalogSnapshot& catalog,
                                                          const v1::TrainingSetRecord& record);

// The commit of each timestamp's row: one for all unless AS_SERVED. For ever the same: no commit
// after record.read_seq can come to lie at or before a timestamp that an earlier one lies after.
absl::StatusOr<std::vector<uint64_t>> CommitsOf(const KvStore& store,
                                                const v1::TrainingSetRecord& record,
                                                absl::Span<const int64_t> timestamps);

// What was answered of a spine, view by view, while a set is made. Thread-compatible.
class AnsweredRows {
 public:
  // Notes where the plan's views begin now, before the first row is read. `record` is
  // DescribeReads', with mode and read_seq.
  static absl::StatusOr<AnsweredRows> Begin(const KvStore& store, const Horizons& horizons,
                                            const FeaturePlan& plan, v1::TrainingSetRecord record);
  void Add(absl::Span<const int64_t> timestamps);
  // The record with the horizons, and the least timestamps, of all rows and of those answered.
  v1::TrainingSetRecord Finish() &&;

 private:
  struct Watched {
    int view;           // of the record
    int64_t threshold;  // rows before it are not answered
    int64_t least;
  };
  std::vector<Watched> watched_;
  v1::TrainingSetRecord record_;
};

// OK, or FAILED_PRECONDITION saying why the rows can no longer be read as they were: ENTITY_ERASED,
// BEFORE_HORIZON, EXPRESSIONS_CHANGED. Look again after the rows were read.
absl::Status CheckReadable(const KvStore& store, const Horizons& horizons, const FeaturePlan& plan,
                           const v1::TrainingSetRecord& record);

// For clients. `plan`: as PlanOf, for the columns' types; may be null. `readable` as CheckReadable.
v1::TrainingSet DescribeSet(const v1::TrainingSetRecord& record, const FeaturePlan* plan,
                            const absl::Status& readable);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_TRAINING_SET_H_
