// SPDX-License-Identifier: Apache-2.0
// Window aggregates as declared (semantics.md, Window aggregates).
#ifndef FLETCH_SERVER_ENGINE_AGGREGATE_H_
#define FLETCH_SERVER_ENGINE_AGGREGATE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/row_codec.h"
#include "storage/schema.h"
#include "storage/value.h"

namespace fletch {

// The numbers are those of fletch.v1.AggregateFunction.
enum class AggregateFunction : uint8_t {
  kCount = 1,
  kSum = 2,
  kMean = 3,
  kMin = 4,
  kMax = 5,
  kVariance = 6,
  kStddev = 7,
  kFirst = 8,
  kLast = 9,
  kLastK = 10,
  kCountDistinct = 11,
  kTopK = 12,
  kApproxPercentile = 13,
};

// "mean".
std::string_view AggregateFunctionName(AggregateFunction function);

struct Aggregation {
  std::string name;
  std::optional<size_t> column;  // field of the source; nullopt: the events themselves (kCount)
  AggregateFunction function = AggregateFunction::kCount;
  int64_t window_micros = 0;  // > 0
  uint64_t k = 0;             // kLastK, kTopK: 1 to limits::kMaxAggregateK
  double percentile = 0;      // kApproxPercentile: 0 < p < 1
  DataType type;              // of its value
};

// The type of the value over an input of type `input` (nullopt: no column). INVALID_ARGUMENT,
// saying which functions take it, when the function does not:
//   count: any input or none -> INT64. sum: INT32, INT64 -> INT64; FLOAT, DOUBLE -> DOUBLE.
//   mean, variance, stddev, approx_percentile: INT32, INT64, FLOAT, DOUBLE -> DOUBLE.
//   min, max: INT32, INT64, FLOAT, DOUBLE, TIMESTAMP -> the same.
//   first, last: any scalar but FLOAT_VECTOR -> the same. last_k: those but JSON -> an array of it.
//   count_distinct: any scalar but JSON, FLOAT_VECTOR -> INT64; top_k: the same inputs -> an array.
absl::StatusOr<DataType> AggregateType(AggregateFunction function,
                                       const std::optional<DataType>& input);

// The fields of an aggregation view's rows: field i is the value of aggregation i (null:
// NULL_VALUE; a count is never null), field n + i, a TIMESTAMP, the event time of the newest event
// that it counted (null: unset). RowLayout(these) is AggregationView::layout.
std::vector<FieldSchema> AggregationFields(absl::Span<const Aggregation> aggregations);
RowLayout MakeAggregationLayout(absl::Span<const Aggregation> aggregations);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_AGGREGATE_H_
