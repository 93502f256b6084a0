// SPDX-License-Identifier: Apache-2.0
// Short ways to build and read the columns in which data travels (fletch/v1/data.proto), and times.
#ifndef FLETCH_COLUMNS_H_
#define FLETCH_COLUMNS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "fletch/v1/data.pb.h"

namespace fletch::client {

// A column of one row a value. Nulls: put any value and name the row (from 0, ascending) in
// `null_rows`.
v1::Column Bools(absl::Span<const bool> values, absl::Span<const uint64_t> null_rows = {});
v1::Column Int64s(absl::Span<const int64_t> values, absl::Span<const uint64_t> null_rows = {});
v1::Column Floats(absl::Span<const float> values, absl::Span<const uint64_t> null_rows = {});
v1::Column Doubles(absl::Span<const double> values, absl::Span<const uint64_t> null_rows = {});
v1::Column Strings(absl::Span<const std::string> values, absl::Span<const uint64_t> null_rows = {});
v1::Column Timestamps(absl::Span<const absl::Time> values,
                      absl::Span<const uint64_t> null_rows = {});

// Vectors, row after row. REQUIRES: dimension > 0 and values.size() is a multiple of it.
v1::Column Vectors(uint64_t dimension, absl::Span<const float> values,
                   absl::Span<const uint64_t> null_rows = {});

// Event times, a spine's timestamps, or one entry for as_of. Finer than a microsecond is floored.
v1::TimestampColumn Times(absl::Span<const absl::Time> values);

// What the daemon may use: a commit number, or a time.
v1::KnownAt KnownAtCommit(uint64_t commit_seq);
v1::KnownAt KnownAtTime(absl::Time time);

// The status of each of `row_count` rows of an answer's column (a column leaves them out when all
// are PRESENT).
std::vector<v1::CellStatus> Statuses(const v1::Column& column, uint64_t row_count);

// Microseconds since the epoch of "2001-01-31T12:00:00.5Z", "2001-01-31 12:00:00+01:00",
// "2001-01-31 12:00", "2001-01-31". Without an offset it is UTC; finer than a microsecond is
// floored. INVALID_ARGUMENT: not such a text, or outside the years 0001 to 9999.
absl::StatusOr<int64_t> ParseTimeMicros(absl::string_view text);

// "2001-01-31T12:00:00.5Z".
std::string FormatTimeMicros(int64_t micros);

}  // namespace fletch::client

#endif  // FLETCH_COLUMNS_H_
