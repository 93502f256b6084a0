// SPDX-License-Identifier: Apache-2.0
// On-demand feature views: specs checked and compiled, and two versions compared. Pure functions.
#ifndef FLETCH_SERVER_ENGINE_CATALOG_ON_DEMAND_H_
#define FLETCH_SERVER_ENGINE_CATALOG_ON_DEMAND_H_

#include <cstddef>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "fletch/v1/registry.pb.h"
#include "server/engine/catalog_spec.h"
#include "server/engine/view.h"

namespace fletch {

// What `spec` declares over `inputs`, which were found for it, in its order; project and version
// are left for the caller. Its expressions see the first field_counts[i] fields of inputs[i], so
// that a field added there later makes no name ambiguous. INVALID_ARGUMENT; OUT_OF_RANGE for
// limits. Field paths `path`.inputs[i], .request[i].type, .fields[i].sql …
absl::StatusOr<OnDemandView> MakeOnDemandView(const v1::OnDemandFeatureView& spec,
                                              std::vector<OnDemandView::Input> inputs,
                                              absl::Span<const size_t> field_counts,
                                              std::string_view path);

// How many fields each input has now.
std::vector<size_t> FieldCounts(absl::Span<const OnDemandView::Input> inputs);

// Two resolved specs. Added fields and descriptions are compatible; anything else is breaking,
// other versions of the inputs included.
ViewDifference CompareOnDemandViews(const v1::OnDemandFeatureView& before,
                                    const v1::OnDemandFeatureView& after);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_CATALOG_ON_DEMAND_H_
