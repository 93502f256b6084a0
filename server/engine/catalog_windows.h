// SPDX-License-Identifier: Apache-2.0
// Aggregation views: specs checked and turned into what is read, and two versions compared. Pure
// functions.
#ifndef FLETCH_SERVER_ENGINE_CATALOG_WINDOWS_H_
#define FLETCH_SERVER_ENGINE_CATALOG_WINDOWS_H_

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "fletch/v1/registry.pb.h"
#include "server/engine/catalog_spec.h"
#include "server/engine/view.h"

namespace fletch {

// What `spec` declares over `source`, which was found for it; project and version are left for the
// caller. INVALID_ARGUMENT; OUT_OF_RANGE for limits; FAILED_PRECONDITION (RETENTION_TOO_SHORT) when
// a window is longer than the source's history is kept. Field paths `path`.aggregations[i].column …
absl::StatusOr<AggregationView> MakeAggregationView(const v1::AggregationView& spec,
                                                    std::shared_ptr<const View> source,
                                                    std::string_view path);

// `spec` as answers give it: with version, resolved_source and the types of its aggregations.
v1::AggregationView ResolvedSpec(v1::AggregationView spec, const AggregationView& view);

// Two resolved specs. Aggregations are matched by order: those of `before` must begin those of
// `after`, else it is breaking; another source, be it another version of it, is breaking.
ViewDifference CompareAggregationViews(const v1::AggregationView& before,
                                       const v1::AggregationView& after);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_CATALOG_WINDOWS_H_
