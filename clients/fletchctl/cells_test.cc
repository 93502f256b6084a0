// SPDX-License-Identifier: Apache-2.0
#include "cells.h"

#include <gtest/gtest.h>

#include <limits>

#include "result.h"

namespace fletch::ctl {
namespace {

// What a text becomes on the wire and comes back as; an error as "!".
std::string RoundTrip(CellType type, const std::string& text) {
  ColumnBuilder builder(type);
  if (!builder.AddText(text).ok()) return "!";
  const v1::Column column = builder.Take();
  return ColumnReader(column).TextAt(0);
}

TEST(Cells, TextsOfEveryTypeComeBack) {
  EXPECT_EQ(RoundTrip({v1::BOOL}, "true"), "true");
  EXPECT_EQ(RoundTrip({v1::INT32}, "-2147483648"), "-2147483648");
  EXPECT_EQ(RoundTrip({v1::INT64}, "9223372036854775807"), "9223372036854775807");
  EXPECT_EQ(RoundTrip({v1::FLOAT}, "0.1"), "0.1");
  EXPECT_EQ(RoundTrip({v1::DOUBLE}, "0.1"), "0.1");
  EXPECT_EQ(RoundTrip({v1::DOUBLE}, "NaN"), "NaN");
  EXPECT_EQ(RoundTrip({v1::DOUBLE}, "-Infinity"), "-Infinity");
  EXPECT_EQ(RoundTrip({v1::STRING}, ""), "");
  EXPECT_EQ(RoundTrip({v1::STRING}, "true"), "true");
  EXPECT_EQ(RoundTrip({v1::BYTES}, "AAH/"), "AAH/");
  EXPECT_EQ(RoundTrip({v1::TIMESTAMP}, "2001-01-31 12:00"), "2001-01-31T12:00:00Z");
  EXPECT_EQ(RoundTrip({v1::JSON}, R"({"a":[1,"x"]})"), R"({"a":[1,"x"]})");
  EXPECT_EQ(RoundTrip({v1::INT64, true}, "[1, 2]"), "[1,2]");
  EXPECT_EQ(RoundTrip({v1::STRING, true}, "[]"), "[]");
  EXPECT_EQ(RoundTrip({v1::FLOAT_VECTOR, false, 3}, "[0.1, 2, -3]"), "[0.1,2.0,-3.0]");
}

TEST(Cells, RefusesWhatDoesNotFit) {
  EXPECT_EQ(RoundTrip({v1::BOOL}, "yes"), "!");
  EXPECT_EQ(RoundTrip({v1::INT32}, "2147483648"), "!");
  EXPECT_EQ(RoundTrip({v1::INT64}, "1.0"), "!");
  EXPECT_EQ(RoundTrip({v1::INT64}, " 1"), "!");
  EXPECT_EQ(RoundTrip({v1::DOUBLE}, "1,5"), "!");
  EXPECT_EQ(RoundTrip({v1::DOUBLE}, "1e999"), "!");
  EXPECT_EQ(RoundTrip({v1::BYTES}, "???"), "!");
  EXPECT_EQ(RoundTrip({v1::TIMESTAMP}, "noon"), "!");
  EXPECT_EQ(RoundTrip({v1::INT64, true}, "1"), "!");
  EXPECT_EQ(RoundTrip({v1::INT64, true}, "[1, null]"), "!");
  EXPECT_EQ(RoundTrip({v1::FLOAT_VECTOR, false, 3}, "[1, 2]"), "!");
  EXPECT_EQ(RoundTrip({v1::FLOAT_VECTOR, false, 1}, "[1e99]"), "!");
}

TEST(Cells, SaysWhatWouldBeRight) {
  ColumnBuilder builder({v1::FLOAT_VECTOR, false, 3});
  const absl::Status status = builder.AddText("[1, 2]");
  EXPECT_EQ(ExitCode(status), 2);
  EXPECT_EQ(
      status.message(),
      "not of type FLOAT_VECTOR(3) (it has 2 elements); right is a JSON array of that many finite "
      "numbers");
}

TEST(Cells, JsonKeepsLargeNumbersAndKinds) {
  ColumnBuilder builder({v1::INT64});
  EXPECT_TRUE(builder.AddJson(Json::parse("9007199254740993")).ok());
  EXPECT_FALSE(builder.AddJson("1").ok());
  EXPECT_FALSE(builder.AddJson(1.0).ok());
  EXPECT_EQ(builder.Take().int64s().values(0), 9007199254740993);
  ColumnBuilder real({v1::DOUBLE});
  EXPECT_TRUE(real.AddJson(1).ok());
  EXPECT_TRUE(real.AddJson("NaN").ok());
  EXPECT_FALSE(real.AddJson("1").ok());
  const v1::Column column = real.Take();
  EXPECT_EQ(ColumnReader(column).JsonAt(1), "NaN");
  ColumnBuilder json({v1::JSON});
  EXPECT_TRUE(json.AddJson(Json::parse(R"({"b":1,"a":2})")).ok());
  EXPECT_EQ(json.Take().json().values(0), R"({"b":1,"a":2})");
}

TEST(Cells, ColumnsStayDenseAtNulls) {
  for (CellType type :
       {CellType{.type = v1::BOOL}, CellType{.type = v1::INT64}, CellType{.type = v1::DOUBLE},
        CellType{.type = v1::STRING}, CellType{.type = v1::TIMESTAMP}, CellType{v1::INT32, true},
        CellType{v1::FLOAT_VECTOR, false, 2}}) {
    ColumnBuilder builder(type);
    builder.AddNull();
    const bool list = type.array || type.type == v1::FLOAT_VECTOR;
    const char* text = list                         ? "[1,2]"
                       : type.type == v1::TIMESTAMP ? "2001-01-01"
                       : type.type == v1::BOOL      ? "true"
                                                    : "1";
    ASSERT_TRUE(builder.AddText(text).ok()) << TypeName(type);
    const v1::Column column = builder.Take();
    const ColumnReader reader(column);
    EXPECT_EQ(reader.StatusAt(0), v1::NULL_VALUE) << TypeName(type);
    EXPECT_TRUE(reader.JsonAt(0).is_null()) << TypeName(type);
    EXPECT_EQ(reader.StatusAt(1), v1::PRESENT) << TypeName(type);
    EXPECT_FALSE(reader.TextAt(1).empty()) << TypeName(type);
    EXPECT_EQ(builder.bytes(), 0u);
  }
}

TEST(Cells, ARefusedCellIsNotAdded) {
  ColumnBuilder builder({v1::INT64});
  EXPECT_FALSE(builder.AddText("x").ok());
  EXPECT_TRUE(builder.AddText("7").ok());
  builder.AddNull();
  const v1::Column column = builder.Take();
  EXPECT_EQ(column.int64s().values_size(), 2);
  EXPECT_EQ(column.null_rows(0), 1u);
}

TEST(Cells, ArraysStartWhereTheLastEnded) {
  ColumnBuilder builder({v1::STRING, true});
  for (const char* text : {R"(["a"])", "[]", R"(["b","c"])"})
    ASSERT_TRUE(builder.AddText(text).ok());
  const v1::Column column = builder.Take();
  const ColumnReader reader(column);
  EXPECT_EQ(reader.TextAt(1), "[]");
  EXPECT_EQ(reader.TextAt(2), R"(["b","c"])");
}

TEST(Cells, AnswersHaveStatusesAndEventTimes) {
  v1::Column column;
  column.mutable_doubles()->add_values(11);
  column.mutable_doubles()->add_values(0);
  column.add_statuses(v1::PRESENT);
  column.add_statuses(v1::OUTSIDE_MAX_AGE);
  column.mutable_event_timestamps()->add_micros(0);
  column.mutable_event_timestamps()->add_micros(0);
  column.add_event_timestamp_unset_rows(1);
  const ColumnReader reader(column);
  EXPECT_EQ(reader.TextAt(0), "11");
  EXPECT_EQ(reader.EventTimestampAt(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(reader.TextAt(1), "");
  EXPECT_EQ(reader.EventTimestampAt(1), "");
  EXPECT_EQ(reader.StatusAt(1), v1::OUTSIDE_MAX_AGE);
}

}  // namespace
}  // namespace fletch::ctl
