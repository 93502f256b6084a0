// SPDX-License-Identifier: Apache-2.0
// Where the history of a plan's view begins, and what a question before it is told.
#ifndef FLETCH_SERVER_ENGINE_PLAN_HORIZON_H_
#define FLETCH_SERVER_ENGINE_PLAN_HORIZON_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "server/engine/feature_plan.h"
#include "server/engine/horizon.h"

namespace fletch {

// Of windows: that of their source and, so that every window is whole, their longest window.
Horizon HorizonOf(const Horizons& horizons, const PlanView& view);

// The view that keeps the facts, under the name that was asked for.
ViewSchema AskedSchema(const PlanView& view);

inline bool IsBefore(const Horizon& horizon, int64_t as_of, uint64_t known_at) {
  return as_of < horizon.time || known_at < horizon.floor;
}

// OUT_OF_RANGE (BEFORE_HORIZON): "`what` lies before commit 9, …". `what` begins the sentence.
absl::Status BeforeFloor(std::string_view what, const ViewSchema& schema, uint64_t floor,
                         std::string_view field);

// OUT_OF_RANGE (BEFORE_HORIZON), field path "as_of" or "known_at", when the one moment of a
// question lies before the horizon.
absl::Status CheckMoment(const Horizon& horizon, const ViewSchema& schema, int64_t as_of,
                         uint64_t known_at);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_PLAN_HORIZON_H_
