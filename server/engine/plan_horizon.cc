// SPDX-License-Identifier: Apache-2.0
#include "server/engine/plan_horizon.h"

#include "base/status.h"
#include "base/strings.h"
#include "server/engine/time_text.h"

namespace fletch {

Horizon HorizonOf(const Horizons& horizons, const PlanView& view) {
  if (view.windows == nullptr) return horizons.Of(view.view->schema.view_id);
  Horizon horizon = horizons.Of(view.windows->source->schema.view_id);
  if (horizon.time != Horizon().time) horizon.time += view.windows->longest_window_micros;
  return horizon;
}

ViewSchema AskedSchema(const PlanView& view) {
  if (view.windows == nullptr) return view.view->schema;
  ViewSchema schema = view.windows->source->schema;
  schema.name = view.windows->name;
  schema.version = view.windows->version;
  return schema;
}

absl::Status BeforeFloor(std::string_view what, const ViewSchema& schema, uint64_t floor,
                         std::string_view field) {
  return MakeError(
      absl::StatusCode::kOutOfRange, "BEFORE_HORIZON",
      StrCat(what, " lies before commit ", floor, ", and what view ", schema.versioned_name(),
             " was known to be before that is not kept; give a later known_at"),
      field);
}

absl::Status CheckMoment(const Horizon& horizon, const ViewSchema& schema, int64_t as_of,
                         uint64_t known_at) {
  if (as_of < horizon.time) {
    return BeforeHorizon(StrCat("as_of ", TimeText(as_of)), schema, horizon.time, "as_of");
  }
  if (known_at < horizon.floor) {
    return BeforeFloor(StrCat("known_at (commit ", known_at, ")"), schema, horizon.floor,
                       "known_at");
  }
  return absl::OkStatus();
}

}  // namespace fletch
