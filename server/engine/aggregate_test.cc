// SPDX-License-Identifier: Apache-2.0
#include "server/engine/aggregate.h"

#include <cmath>
#include <limits>
#include <random>

#include "gtest/gtest.h"
#include "server/engine/sketch.h"
#include "server/engine/window_row.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

constexpr AggregateFunction kAll[] = {AggregateFunction::kCount,
                                      AggregateFunction::kSum,
                                      AggregateFunction::kMean,
                                      AggregateFunction::kMin,
                                      AggregateFunction::kMax,
                                      AggregateFunction::kVariance,
                                      AggregateFunction::kStddev,
                                      AggregateFunction::kFirst,
                                      AggregateFunction::kLast,
                                      AggregateFunction::kLastK,
                                      AggregateFunction::kCountDistinct,
                                      AggregateFunction::kTopK,
                                      AggregateFunction::kApproxPercentile};

// The type's name, or "-" where the function does not take it.
std::string TypeName(AggregateFunction function, std::optional<DataType> input) {
  const absl::StatusOr<DataType> type = AggregateType(function, input);
  return type.ok() ? DataTypeName(*type) : "-";
}

TEST(AggregateTypeTest, SaysWhatEachFunctionTakes) {
  const auto row = [](std::optional<DataType> input) {
    std::string names;
    for (const AggregateFunction function : kAll) names += TypeName(function, input) + " ";
    return names;
  };
  EXPECT_EQ(row(std::nullopt), "INT64 - - - - - - - - - - - - ");
  EXPECT_EQ(row(DataType{ValueType::kInt32}),
            "INT64 INT64 DOUBLE INT32 INT32 DOUBLE DOUBLE INT32 INT32 INT32[] INT64 INT32[] "
            "DOUBLE ");
  EXPECT_EQ(row(DataType{ValueType::kFloat}),
            "INT64 DOUBLE DOUBLE FLOAT FLOAT DOUBLE DOUBLE FLOAT FLOAT FLOAT[] INT64 FLOAT[] "
            "DOUBLE ");
  EXPECT_EQ(row(DataType{ValueType::kTimestamp}),
            "INT64 - - TIMESTAMP TIMESTAMP - - TIMESTAMP TIMESTAMP TIMESTAMP[] INT64 TIMESTAMP[] "
            "- ");
  EXPECT_EQ(row(DataType{ValueType::kString}),
            "INT64 - - - - - - STRING STRING STRING[] INT64 STRING[] - ");
  EXPECT_EQ(row(DataType{ValueType::kJson}), "INT64 - - - - - - JSON JSON - - - - ");
  EXPECT_EQ(row(DataType{.type = ValueType::kFloatVector, .dimension = 3}),
            "INT64 - - - - - - - - - - - - ");
  EXPECT_EQ(row(DataType{.type = ValueType::kInt64, .array = true}),
            "INT64 - - - - - - - - - - - - ");
}

TEST(AggregateTypeTest, ARefusalSaysWhatWouldBeRight) {
  const absl::Status status =
      AggregateType(AggregateFunction::kSum, DataType{ValueType::kString}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "sum does not take a STRING; it takes INT32, INT64, FLOAT and DOUBLE");
}

TEST(SketchTest, IsWithinItsErrorAndInOrder) {
  std::mt19937_64 random = SeededRandom();
  double previous = -std::numeric_limits<double>::infinity();
  std::vector<double> values = {
      0.0,     -0.0,   5e-324, 1e-300, 2.3e-308,
      1e308,   -1e308, 1,      -1,     std::numeric_limits<double>::infinity(),
      previous};
  for (int i = 0; i < 100'000; ++i) {
    const double x = std::bit_cast<double>(random());
    if (!std::isnan(x)) values.push_back(x);
  }
  std::sort(values.begin(), values.end());
  for (const double x : values) {
    EXPECT_LE(SketchBucket(previous), SketchBucket(x));
    previous = x;
    const double found = SketchValue(SketchBucket(x));
    if (std::isinf(x)) {
      EXPECT_EQ(found, x);
    } else if (std::fabs(x) >= std::numeric_limits<double>::min()) {
      EXPECT_LE(std::fabs(found - x), kSketchRelativeError * std::fabs(x)) << x;
    } else {
      EXPECT_EQ(found, 0);
    }
  }
}

TEST(SketchTest, RanksAreTheLeastThatReach) {
  EXPECT_EQ(PercentileRank(0.5, 1), 1u);
  EXPECT_EQ(PercentileRank(0.5, 4), 2u);
  EXPECT_EQ(PercentileRank(0.5, 5), 3u);
  EXPECT_EQ(PercentileRank(0.001, 5), 1u);
  EXPECT_EQ(PercentileRank(0.999, 5), 5u);
}

TEST(AggregateRowTest, IsReadByRowView) {
  std::vector<FieldSchema> fields(11);
  const DataType types[] = {{ValueType::kBool},
                            {ValueType::kString},
                            {ValueType::kInt32},
                            {.type = ValueType::kInt32, .array = true},
                            {ValueType::kFloat},
                            {ValueType::kDouble},
                            {ValueType::kBytes},
                            {ValueType::kInt64},
                            {.type = ValueType::kString, .array = true},
                            {ValueType::kTimestamp},
                            {ValueType::kString}};
  for (size_t i = 0; i < fields.size(); ++i) fields[i].type = types[i];
  const RowLayout layout(fields);
  const AggregateRowShape shape(fields);
  AggregateRowBuilder builder(&shape);
  for (uint32_t set = 0; set < 1u << fields.size(); ++set) {
    const auto has = [set](size_t i) { return (set >> i & 1) != 0; };
    builder.Clear();
    if (has(9)) builder.Set(9, int64_t{-5});
    if (has(0)) builder.Set(0, uint8_t{1});
    if (has(1)) builder.SetBytes(1, "one");
    if (has(2)) builder.Set(2, int32_t{-7});
    if (has(3)) builder.SetBytes(3, std::string_view("\1\0\0\0\2\0\0\0", 8));
    if (has(4)) builder.Set(4, 1.5f);
    if (has(5)) builder.Set(5, 2.5);
    if (has(6)) builder.SetBytes(6, "");
    if (has(7)) builder.Set(7, int64_t{1} << 40);
    if (has(8)) builder.SetBytes(8, std::string_view("\1\0\0\0x", 5));
    if (has(10)) builder.SetBytes(10, "ten");
    const std::string bytes(builder.Finish());
    const absl::StatusOr<RowView> row = RowView::Parse(&layout, bytes);
    ASSERT_TRUE(row.ok()) << row.status() << " " << set;
    for (size_t i = 0; i < fields.size(); ++i) ASSERT_EQ(row->is_null(i), !has(i));
    if (has(0)) {
      ASSERT_TRUE(row->GetBool(0));
    }
    if (has(1)) {
      ASSERT_EQ(row->GetBytes(1), "one");
    }
    if (has(2)) {
      ASSERT_EQ(row->GetInt(2), -7);
    }
    Column array{.type = types[3]};
    row->AppendTo(3, &array);
    ASSERT_EQ(array.int32s, has(3) ? std::vector<int32_t>({1, 2}) : std::vector<int32_t>());
    if (has(4)) {
      ASSERT_EQ(row->GetDouble(4), 1.5);
    }
    if (has(5)) {
      ASSERT_EQ(row->GetDouble(5), 2.5);
    }
    if (has(6)) {
      ASSERT_EQ(row->GetBytes(6), "");
    }
    if (has(7)) {
      ASSERT_EQ(row->GetInt(7), int64_t{1} << 40);
    }
    Column strings{.type = types[8]};
    row->AppendTo(8, &strings);
    ASSERT_EQ(strings.strings,
              has(8) ? std::vector<std::string>({"x"}) : std::vector<std::string>());
    ASSERT_TRUE(!has(9) || row->GetInt(9) == -5);
    ASSERT_TRUE(!has(10) || row->GetBytes(10) == "ten");
  }
}

TEST(AggregateRowTest, TheLayoutHasAnEventTimeForEachValue) {
  Aggregation count;
  count.name = "c";
  count.type = {ValueType::kInt64};
  const std::vector<Aggregation> aggregations = {count, count};
  const RowLayout layout = MakeAggregationLayout(aggregations);
  ASSERT_EQ(layout.field_count(), 4u);
  EXPECT_EQ(layout.type(1), DataType{ValueType::kInt64});
  EXPECT_EQ(layout.type(2), DataType{ValueType::kTimestamp});
}

}  // namespace
}  // namespace fletch
