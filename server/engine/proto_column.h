// SPDX-License-Identifier: Apache-2.0
// Columns and times between the wire and the house's own types. Sizes that the wire claims are
// never trusted: what comes out of FromProto is consistent in itself. Whether it fits a field is
// storage's business (CheckFieldColumn).
#ifndef FLETCH_SERVER_ENGINE_PROTO_COLUMN_H_
#define FLETCH_SERVER_ENGINE_PROTO_COLUMN_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "fletch/v1/data.pb.h"
#include "storage/value.h"

namespace fletch {

// A column of an input: row_count values, null_rows ascending and below row_count, arrays' lengths
// that add up to their elements, dimension × row_count floats. Values at null rows become zero or
// empty. INVALID_ARGUMENT: anything else, no values, a nested array, an array of JSON or vectors,
// null elements, a malformed RFC 3339 text, statuses or event timestamps (answers only).
// OUT_OF_RANGE: a time out of years 0001..9999, a dimension out of 1..4096. Field paths start with
// `path`.
absl::StatusOr<Column> FromProto(const v1::Column& in, size_t row_count, std::string_view path);

// Microseconds, one a row; finer RFC 3339 texts are floored. Errors as above.
absl::StatusOr<std::vector<int64_t>> TimesFromProto(const v1::TimestampColumn& in, size_t row_count,
                                                    std::string_view path);

// Fills `out`, which must be empty. Strings are moved. Statuses are left out when all are PRESENT;
// event times that are kUnsetTime become 0 and an entry of event_timestamp_unset_rows.
void ToProto(Column&& column, v1::Column* out);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_PROTO_COLUMN_H_
