// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include "base/limits.h"
#include "base/status.h"
#include "gtest/gtest.h"
#include "storage/random_rows_testing.h"
#include "storage/row_codec.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

FieldSchema Field(DataType type) {
  FieldSchema field;
  field.name = "f";
  field.type = type;
  return field;
}

// "OK" or "CODE: message"; the path must be the one given.
std::string Check(const FieldSchema& field, const Column& column, size_t row_count) {
  const absl::Status status = CheckFieldColumn(field, column, row_count, "columns.f");
  if (status.ok()) return "OK";
  EXPECT_EQ(ErrorField(status), "columns.f");
  return absl::StatusCodeToString(status.code()) + ": " + std::string(status.message());
}

TEST(CheckFieldColumnTest, RandomColumnsOfTheTypeFit) {
  std::mt19937_64 random = SeededRandom();
  for (int i = 0; i < 5'000; ++i) {
    const FieldSchema field = Field(testing_rows::RandomType(random));
    const size_t row_count = random() % 5;
    const Column column = testing_rows::RandomColumn(field.type, row_count, random);
    ASSERT_EQ(Check(field, column, row_count), "OK") << DataTypeName(field.type);
    ASSERT_NE(Check(field, column, row_count + 1), "OK");
  }
}

TEST(CheckFieldColumnTest, Types) {
  const Column doubles{.type = {ValueType::kDouble}, .row_count = 1, .doubles = {1}};
  EXPECT_EQ(Check(Field({ValueType::kString}), doubles, 1),
            "INVALID_ARGUMENT: DOUBLE values where f is STRING");
  EXPECT_EQ(Check(Field({ValueType::kDouble, true}), doubles, 1),
            "INVALID_ARGUMENT: DOUBLE values where f is DOUBLE[]");
  const Column vectors{
      .type = {ValueType::kFloatVector, false, 2}, .row_count = 1, .floats = {1, 2}};
  EXPECT_EQ(Check(Field({ValueType::kFloatVector, false, 3}), vectors, 1),
            "INVALID_ARGUMENT: vectors of dimension 2 where f has dimension 3");
  const Column large{.type = {ValueType::kInt64}, .row_count = 2, .int64s = {1, 4294967301}};
  EXPECT_EQ(Check(Field({ValueType::kInt32}), large, 2),
            "INVALID_ARGUMENT: INT64 values where f is INT32: 4294967301 does not fit");
}

TEST(CheckFieldColumnTest, Shapes) {
  Column column{.type = {ValueType::kInt64}, .row_count = 2, .int64s = {1, 2}, .null_rows = {0, 1}};
  const FieldSchema field = Field({ValueType::kInt64});
  EXPECT_EQ(Check(field, column, 2), "OK");
  EXPECT_EQ(Check(field, column, 3), "INVALID_ARGUMENT: 2 values where the batch has 3 rows");
  column.null_rows = {1, 1};
  EXPECT_EQ(Check(field, column, 2), "INVALID_ARGUMENT: null_rows is not ascending at row 1");
  column.null_rows = {2};
  EXPECT_EQ(Check(field, column, 2), "INVALID_ARGUMENT: null_rows names row 2 of 2");
  column = {.type = {ValueType::kInt64}, .row_count = 2, .int64s = {1}};
  EXPECT_EQ(Check(field, column, 2), "INVALID_ARGUMENT: 1 elements where 2 rows have 2");
  const FieldSchema array = Field({ValueType::kInt64, true});
  column = {.type = array.type, .row_count = 2, .int64s = {1, 2, 3}, .lengths = {1, 1}};
  EXPECT_EQ(Check(array, column, 2), "INVALID_ARGUMENT: 3 elements where 2 rows have 2");
  column.lengths = {2, std::numeric_limits<uint64_t>::max()};  // their sum would wrap to 1
  EXPECT_EQ(Check(array, column, 2), "INVALID_ARGUMENT: lengths of more than the 3 elements given");
}

TEST(CheckFieldColumnTest, TextAndJson) {
  Column column{.type = {ValueType::kString}, .row_count = 2, .strings = {"a", "\xFF"}};
  EXPECT_EQ(Check(Field({ValueType::kString}), column, 2), "INVALID_ARGUMENT: row 1 is not UTF-8");
  column.null_rows = {1};
  EXPECT_EQ(Check(Field({ValueType::kString}), column, 2), "OK");
  column = {.type = {ValueType::kJson}, .row_count = 2, .strings = {"", "{}"}, .null_rows = {0}};
  EXPECT_EQ(Check(Field({ValueType::kJson}), column, 2), "OK");
  column.null_rows = {};
  EXPECT_EQ(Check(Field({ValueType::kJson}), column, 2),
            "INVALID_ARGUMENT: row 0 is not one JSON value in UTF-8");
  column = {.type = {ValueType::kString, true},
            .row_count = 2,
            .strings = {"a", "b", "\xFF"},
            .lengths = {1, 2}};
  EXPECT_EQ(Check(Field({ValueType::kString, true}), column, 2),
            "INVALID_ARGUMENT: row 1, element 1 is not UTF-8");
  column = {.type = {ValueType::kBytes}, .row_count = 1, .strings = {"\xFF"}};
  EXPECT_EQ(Check(Field({ValueType::kBytes}), column, 1), "OK");
}

TEST(CheckFieldColumnTest, Vectors) {
  FieldSchema field = Field({ValueType::kFloatVector, false, 2});
  Column column{.type = field.type, .row_count = 2, .floats = {0, 0, 1, 2}};
  EXPECT_EQ(Check(field, column, 2), "OK");
  field.index_metric = Metric::kL2;
  EXPECT_EQ(Check(field, column, 2), "OK");
  field.index_metric = Metric::kCosine;
  EXPECT_EQ(Check(field, column, 2),
            "INVALID_ARGUMENT: row 0 is a zero vector, which has no direction for COSINE");
  column.null_rows = {0};
  EXPECT_EQ(Check(field, column, 2), "OK");
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    column.floats[3] = bad;
    EXPECT_EQ(Check(field, column, 2),
              "INVALID_ARGUMENT: row 1, element 1 is not finite; a vector's elements must be");
  }
}

TEST(CheckFieldColumnTest, NanAndTimes) {
  FieldSchema field = Field({ValueType::kDouble});
  const Column nan{.type = field.type, .row_count = 1, .doubles = {std::nan("")}};
  EXPECT_EQ(Check(field, nan, 1), "OK");
  field.forbid_nan = true;
  EXPECT_EQ(Check(field, nan, 1), "INVALID_ARGUMENT: row 0 is NaN, which f forbids");
  const FieldSchema time = Field({ValueType::kTimestamp});
  Column times{.type = time.type,
               .row_count = 2,
               .int64s = {limits::kMinTimeMicros, limits::kMaxTimeMicros}};
  EXPECT_EQ(Check(time, times, 2), "OK");
  times.int64s[1] += 1;
  EXPECT_EQ(
      Check(time, times, 2),
      "OUT_OF_RANGE: row 1: 253402300800000000 microseconds is outside the years 0001 to 9999");
  times.int64s = {limits::kMinTimeMicros - 1, 0};
  EXPECT_EQ(Check(time, times, 2).substr(0, 12), "OUT_OF_RANGE");
}

TEST(CoerceColumnTest, WidensAndNarrowsWhereNothingIsLost) {
  Column column{.type = {ValueType::kInt32}, .row_count = 2, .int32s = {-1, 7}};
  CoerceColumn({ValueType::kInt64}, &column);
  EXPECT_EQ(Check(Field({ValueType::kInt64}), column, 2), "OK");
  EXPECT_EQ(column.int64s, (std::vector<int64_t>{-1, 7}));
  CoerceColumn({ValueType::kInt32}, &column);
  EXPECT_EQ(column.int32s, (std::vector<int32_t>{-1, 7}));
  EXPECT_EQ(column.type, (DataType{ValueType::kInt32}));
  column = {.type = {ValueType::kFloat, true}, .row_count = 1, .floats = {0.5f, 2}, .lengths = {2}};
  CoerceColumn({ValueType::kDouble, true}, &column);
  EXPECT_EQ(Check(Field({ValueType::kDouble, true}), column, 1), "OK");
  EXPECT_EQ(column.doubles, (std::vector<double>{0.5, 2}));
  column = {.type = {ValueType::kString}, .row_count = 1, .strings = {"{}"}};
  CoerceColumn({ValueType::kJson}, &column);
  EXPECT_EQ(Check(Field({ValueType::kJson}), column, 1), "OK");
}

TEST(CoerceColumnTest, LeavesTheRest) {
  Column column{.type = {ValueType::kInt64}, .row_count = 2, .int64s = {1, 2147483648}};
  CoerceColumn({ValueType::kInt32}, &column);
  EXPECT_EQ(column.type, (DataType{ValueType::kInt64}));
  CoerceColumn({ValueType::kInt64, true}, &column);
  CoerceColumn({ValueType::kTimestamp}, &column);
  CoerceColumn({ValueType::kDouble}, &column);
  EXPECT_EQ(column.type, (DataType{ValueType::kInt64}));
  EXPECT_EQ(column.int64s, (std::vector<int64_t>{1, 2147483648}));
}

}  // namespace
}  // namespace fletch
