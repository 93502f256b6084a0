// SPDX-License-Identifier: Apache-2.0
// Entity keys between columns and bytes, where a request names one entity or an answer lists many.
#ifndef FLETCH_SERVER_ENGINE_ENTITY_COLUMNS_H_
#define FLETCH_SERVER_ENGINE_ENTITY_COLUMNS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/schema.h"
#include "storage/value.h"

namespace fletch {

// The entities that `keys` (columns of `row_count` rows) name, encoded. INVALID_ARGUMENT: a join
// key is missing or does not fit, or a column is none. Field paths "`path`.NAME".
absl::StatusOr<std::vector<std::string>> EncodeEntities(const ViewSchema& schema,
                                                        std::vector<NamedColumn> keys,
                                                        size_t row_count, std::string_view path);
// The same of one row.
absl::StatusOr<std::string> EncodeEntity(const ViewSchema& schema, std::vector<NamedColumn> keys,
                                         std::string_view path);

// "airport=SFO, day=3". DATA_LOSS when it is no key.
absl::StatusOr<std::string> DescribeEntity(absl::Span<const KeyFieldSchema> fields,
                                           std::string_view encoded);

// An empty column for each key.
std::vector<NamedColumn> KeyColumns(absl::Span<const KeyFieldSchema> fields);

// Appends the values of an encoded key to columns[0], columns[1], … (one a field). DATA_LOSS when
// it is not one.
absl::Status AppendKeyValues(absl::Span<const KeyFieldSchema> fields, std::string_view encoded,
                             absl::Span<NamedColumn> columns);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_ENTITY_COLUMNS_H_
