// SPDX-License-Identifier: Apache-2.0
// Features of many keys at one (as_of, read_seq): online reads and hydration.
#ifndef FLETCH_SERVER_ENGINE_ONLINE_READER_H_
#define FLETCH_SERVER_ENGINE_ONLINE_READER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/call.h"
#include "base/mutex.h"
#include "server/engine/feature_plan.h"
#include "server/engine/snapshot.h"
#include "server/engine/types.h"

namespace fletch {

// The columns of `plan`; nullopt when `may_block` is false and memory alone cannot say.
// INVALID_ARGUMENT: keys or context that do not fit (field paths keys.NAME, request_context.NAME).
// OUT_OF_RANGE (BEFORE_HORIZON): the snapshot lies before a view's history.
absl::StatusOr<std::optional<std::vector<Column>>> ReadFeatures(
    const FeaturePlan& plan, absl::Span<const NamedColumn> keys,
    absl::Span<const NamedColumn> context, size_t row_count, bool event_times, bool may_block,
    const Call& call, Snapshot* snapshot);

// Plans by selection, of the newest catalog revision. Thread-safe.
class PlanCache {
 public:
  absl::StatusOr<std::shared_ptr<const FeaturePlan>> Get(const CatalogSnapshot& catalog,
                                                         const std::string& project,
                                                         const Selection& selection);

 private:
  Mutex mu_;
  uint64_t revision_ ABSL_GUARDED_BY(mu_) = 0;
  absl::flat_hash_map<std::string, std::shared_ptr<const FeaturePlan>> plans_ ABSL_GUARDED_BY(mu_);
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_ONLINE_READER_H_
