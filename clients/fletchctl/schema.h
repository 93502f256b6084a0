// SPDX-License-Identifier: Apache-2.0
// What the registry says about types, so that text can be turned into columns.
#ifndef FLETCH_CLIENTS_FLETCHCTL_SCHEMA_H_
#define FLETCH_CLIENTS_FLETCHCTL_SCHEMA_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "cells.h"
#include "fletch/client.h"

namespace fletch::ctl {

// Key or context columns and their types, in the order in which they first occur.
using KeyTypes = std::vector<std::pair<std::string, v1::ValueType>>;

struct ViewSchema {
  v1::FeatureView view;
  v1::Entity entity;

  KeyTypes JoinKeys() const;
  // Join keys, then event keys.
  KeyTypes IdentityKeys() const;
  // All columns of a write but the event timestamp: keys, then fields.
  std::vector<std::pair<std::string, CellType>> Columns() const;
};

// `view`: "view" or "view@v2".
absl::StatusOr<ViewSchema> GetViewSchema(const client::Client& client, const std::string& view);

// Join keys of an entity.
absl::StatusOr<KeyTypes> GetEntityKeys(const client::Client& client, const std::string& entity);

// The columns that a read of a service, or of refs, takes, as the daemon says.
struct ReadColumns {
  KeyTypes keys = {};
  KeyTypes context = {};
};
ReadColumns ToReadColumns(const v1::GetHistoricalFeaturesResponse& header_answer);
absl::StatusOr<ReadColumns> GetReadColumns(const client::Client& client, const std::string& service,
                                           const std::vector<std::string>& features);

// Key columns from the command line: "airport=SFO,JFK", or with a JSON list "airport=[\"a,b\"]".
// All must be named in `types`, all must have as many values; a usage error otherwise.
struct KeyColumns {
  uint64_t row_count = 0;
  // In the order given.
  std::vector<std::pair<std::string, v1::Column>> columns = {};
};
absl::StatusOr<KeyColumns> ParseKeys(const std::vector<std::string>& arguments,
                                     const KeyTypes& types);

// The request's context from the command line, written as keys are; null as "hour=[null]". Each
// column has one value, or `row_count`; all of `types` must be there, and no others.
absl::StatusOr<KeyColumns> ParseContext(const std::vector<std::string>& arguments,
                                        const KeyTypes& types, uint64_t row_count);

// Puts columns into a request's map.
template <typename Map>
void PutKeys(const KeyColumns& keys, Map& map) {
  for (const auto& [name, column] : keys.columns) map[name] = column;
}

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_SCHEMA_H_
