// SPDX-License-Identifier: Apache-2.0
// The training read: features joined onto a spine as they stood at each row's timestamp.
#ifndef FLETCH_SERVER_ENGINE_TRAINING_JOIN_H_
#define FLETCH_SERVER_ENGINE_TRAINING_JOIN_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/call.h"
#include "server/engine/feature_plan.h"
#include "server/engine/types.h"
#include "storage/kv_store.h"

namespace fletch {

// The plan's columns for one spine batch, rows in spine order. `known_at` has one commit a row, or
// one for all. Asks the fact store alone, each view in the order of its keys; memory is bounded by
// the batch and the rows it finds. About 3 µs a row and view. Errors as HistoricalRead::Join.
absl::StatusOr<std::vector<Column>> JoinSpine(const FeaturePlan& plan, const KvStore& store,
                                              const SpineBatch& spine,
                                              absl::Span<const uint64_t> known_at, bool event_times,
                                              const Call& call);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_TRAINING_JOIN_H_
