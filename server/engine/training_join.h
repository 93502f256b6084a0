// SPDX-License-Identifier: Apache-2.0
// The training read: features joined onto a spine as they stood at each row's timestamp.
#ifndef FLETCH_SERVER_ENGINE_TRAINING_JOIN_H_
#define FLETCH_SERVER_ENGINE_TRAINING_JOIN_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "base/call.h"
#include "base/limits.h"
#include "server/engine/engine.h"
#include "server/engine/feature_plan.h"
#include "server/engine/snapshot.h"
#include "server/engine/types.h"
#include "server/engine/work_sharing.h"

namespace fletch {

struct SpineJoinRequest {
  std::shared_ptr<const FeaturePlan> plan;
  std::vector<SpineBatch> batches;
  std::vector<uint64_t> known_at;  // one for all, or
  bool known_at_each_row = false;  // one a row of all batches; of more than one: implied
  bool event_times = false;
  bool mark_out_of_range = false;
  uint64_t rows_before = 0;  // of the same read: errors count a spine's rows from its first
  // What is held at a time: spine rows; bytes found for them, about.
  size_t pass_rows = limits::kJoinPassRows;
  size_t pass_bytes = limits::kJoinPassBytes;
};

// Rows are sorted by key together, and each view is asked in that order by several threads: about
// 1 µs a row and view. More than a pass holds is found when Batch asks for it. Errors as
// HistoricalRead::Join. What the pointers point to outlives the answer.
absl::StatusOr<std::unique_ptr<JoinedSpine>> JoinSpine(const ReadSources& sources,
                                                       WorkSharing* workers,
                                                       SpineJoinRequest request, const Call& call);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_TRAINING_JOIN_H_
