// SPDX-License-Identifier: Apache-2.0
// Filters as people write them:
//   airport_weather:temperature_c < 0 and (traffic:departures >= 10 or not traffic:hub is null)
//   place:state in ('CA', 'NY')      traffic:departures between 10 and 20      place:open = true
//   place:name starts with 'San'     place:name not contains 'Fran'
// Words may be in any case; `not` binds closest, then `and`, then `or`; a quote in a text is
// written twice.
#ifndef FLETCH_CLIENTS_FLETCHCTL_FILTER_H_
#define FLETCH_CLIENTS_FLETCHCTL_FILTER_H_

#include <string>

#include "absl/status/statusor.h"
#include "fletch/v1/vector.pb.h"

namespace fletch::ctl {

// A usage error shows the place with a caret.
absl::StatusOr<v1::Filter> ParseFilter(const std::string& text);

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_FILTER_H_
