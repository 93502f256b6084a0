// SPDX-License-Identifier: Apache-2.0
#include "server/engine/proto_column.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/status.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace fletch {
namespace {

v1::Column Parse(const std::string& text) {
  v1::Column column;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &column)) << text;
  return column;
}

TEST(ProtoColumnTest, EveryTypeComesThroughAndGoesBack) {
  for (const std::string text : {
           "bools { values: true values: false }",
           "int32s { values: -1 values: 2147483647 }",
           "int64s { values: -9223372036854775808 values: 3 }",
           "floats { values: 1.5 values: -0.25 }",
           "doubles { values: 1e300 values: -0.25 }",
           "strings { values: 'a' values: '' }",
           "bytes { values: '\\377\\000' values: 'b' }",
           "json { values: '{}' values: '[1]' }",
           "timestamps { micros: -1 micros: 5 }",
           "vectors { dimension: 3 values: [1, 2, 3, 4, 5, 6] }",
           "arrays { lengths: [2, 1] elements { strings { values: ['a', 'b', 'c'] } } }",
           "arrays { lengths: [0, 2] elements { timestamps { micros: [1, 2] } } }",
       }) {
    SCOPED_TRACE(text);
    const v1::Column in = Parse(text);
    absl::StatusOr<Column> column = FromProto(in, 2, "c");
    ASSERT_TRUE(column.ok()) << column.status();
    EXPECT_EQ(column->row_count, 2u);
    v1::Column out;
    ToProto(*std::move(column), &out);
    EXPECT_EQ(out.SerializeAsString(), in.SerializeAsString()) << out.DebugString();
  }
}

TEST(ProtoColumnTest, TypesAreNamed) {
  EXPECT_EQ(DataTypeName(FromProto(Parse("vectors { dimension: 2 values: [1, 2] }"), 1, "")->type),
            DataTypeName({.type = ValueType::kFloatVector, .dimension = 2}));
  const Column array =
      *FromProto(Parse("arrays { lengths: 2 elements { int64s { values: [1, 2] } } }"), 1, "");
  EXPECT_EQ(array.type, (DataType{.type = ValueType::kInt64, .array = true}));
  EXPECT_EQ(array.int64s, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(array.lengths, std::vector<uint64_t>{2});
}

struct BadCase {
  std::string text;
  absl::StatusCode code;
  std::string field;
  std::string message;  // a part of it
};

TEST(ProtoColumnTest, RefusesWithThePathOfTheField) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  constexpr auto kRange = absl::StatusCode::kOutOfRange;
  const std::vector<BadCase> cases = {
      {"", kInvalid, "c", "no values"},
      {"doubles { values: 1 }", kInvalid, "c", "1 values for 2 rows"},
      {"doubles { values: [1, 2, 3] }", kInvalid, "c", "3 values for 2 rows"},
      {"doubles { values: [1, 2] } null_rows: 2", kInvalid, "c.null_rows", "row 2 of 2"},
      {"doubles { values: [1, 2] } null_rows: [1, 0]", kInvalid, "c.null_rows", "ascend"},
      {"doubles { values: [1, 2] } null_rows: [1, 1]", kInvalid, "c.null_rows", "ascend"},
      {"doubles { values: [1, 2] } statuses: PRESENT", kInvalid, "c", "statuses"},
      {"doubles { values: [1, 2] } event_timestamps { }", kInvalid, "c", "event_timestamps"},
      {"vectors { values: [1, 2] }", kRange, "c.vectors.dimension", "is 0"},
      {"vectors { dimension: 4097 }", kRange, "c.vectors.dimension", "4096"},
      {"vectors { dimension: 18446744073709551615 values: [1] }", kRange, "c.vectors.dimension",
       "4096"},
      {"vectors { dimension: 2 values: [1, 2, 3] }", kInvalid, "c", "3 floats"},
      {"vectors { dimension: 2 values: [1, 2] }", kInvalid, "c", "2 floats"},
      {"arrays { lengths: 1 elements { bools { values: true } } }", kInvalid, "c.arrays.lengths",
       "1 values"},
      {"arrays { lengths: [1, 1] elements { bools { values: true } } }", kInvalid,
       "c.arrays.elements", "1 values"},
      {"arrays { lengths: [18446744073709551615, 2] elements { bools { values: true } } }",
       kInvalid, "c.arrays.lengths", "row 0"},
      {"arrays { lengths: [0, 0] elements { arrays { } } }", kInvalid, "c.arrays.elements",
       "arrays"},
      {"arrays { lengths: [0, 0] elements { json { } } }", kInvalid, "c.arrays.elements", "JSON"},
      {"arrays { lengths: [0, 0] elements { vectors { dimension: 1 } } }", kInvalid,
       "c.arrays.elements", "vectors"},
      {"arrays { lengths: [1, 0] elements { bools { values: true } null_rows: 0 } }", kInvalid,
       "c.arrays.elements.null_rows", "never null"},
      {"arrays { lengths: [1, 0] elements { bools { values: true } } } null_rows: 0", kInvalid,
       "c.arrays.lengths", "length 0"},
      {"arrays { lengths: [0, 0] }", kInvalid, "c.arrays.elements", "no values"},
      {"timestamps { micros: [1, 2] rfc3339: 'x' }", kInvalid, "c", "both"},
      {"timestamps { micros: [1, 253402300800000000] }", kRange, "c", "row 1"},
      {"timestamps { rfc3339: ['2001-01-31T12:00:00Z', '2001-02-31T12:00:00Z'] }", kInvalid, "c",
       "row 1"},
      {"timestamps { rfc3339: ['2001-01-31', ''] }", kInvalid, "c", "row 0"},
      {"timestamps { rfc3339: ['2001-01-31T12:00:00Z', ''] }", kInvalid, "c", "row 1"},
      {"timestamps { rfc3339: ['infinite-future', ''] }", kRange, "c", "row 0"},
  };
  for (const BadCase& bad : cases) {
    SCOPED_TRACE(bad.text);
    const absl::Status status = FromProto(Parse(bad.text), 2, "c").status();
    EXPECT_EQ(status.code(), bad.code) << status;
    EXPECT_EQ(ErrorField(status), bad.field);
    EXPECT_NE(std::string(status.message()).find(bad.message), std::string::npos) << status;
  }
}

TEST(ProtoColumnTest, WhatStandsAtNullRowsIsCleared) {
  const Column doubles = *FromProto(Parse("doubles { values: [nan, 2] } null_rows: 0"), 2, "c");
  EXPECT_EQ(doubles.doubles, (std::vector<double>{0, 2}));
  EXPECT_EQ(doubles.null_rows, std::vector<uint64_t>{0});
  const Column vectors =
      *FromProto(Parse("vectors { dimension: 2 values: [1, 2, 3, 4] } null_rows: 1"), 2, "c");
  EXPECT_EQ(vectors.floats, (std::vector<float>{1, 2, 0, 0}));
  const Column times = *FromProto(
      Parse("timestamps { rfc3339: ['', '1970-01-01T00:00:01Z'] } null_rows: 0"), 2, "c");
  EXPECT_EQ(times.int64s, (std::vector<int64_t>{0, 1'000'000}));
  const Column strings = *FromProto(Parse("strings { values: ['x', 'y'] } null_rows: 1"), 2, "c");
  EXPECT_EQ(strings.strings, (std::vector<std::string>{"x", ""}));
}

TEST(ProtoColumnTest, TimesAreFlooredAndBounded) {
  const std::vector<std::pair<std::string, int64_t>> cases = {
      {"1970-01-01T00:00:00Z", 0},
      {"1970-01-01T00:00:00.0000019Z", 1},
      {"1969-12-31T23:59:59.9999999Z", -1},
      {"1969-12-31T23:59:59.9999991Z", -1},
      {"2001-01-31T12:00:00+02:00", 980'935'200'000'000},
      {"0001-01-01T00:00:00Z", limits::kMinTimeMicros},
      {"9999-12-31T23:59:59.999999999Z", limits::kMaxTimeMicros},
  };
  for (const auto& [text, micros] : cases) {
    v1::TimestampColumn column;
    column.add_rfc3339(text);
    const auto times = TimesFromProto(column, 1, "t");
    ASSERT_TRUE(times.ok()) << times.status();
    EXPECT_EQ(*times, std::vector<int64_t>{micros}) << text;
  }
  for (const std::string text :
       {"0000-12-31T23:59:59.999999Z", "10000-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01"}) {
    v1::TimestampColumn column;
    column.add_rfc3339(text);
    const absl::Status status = TimesFromProto(column, 1, "t").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange) << text << " " << status;
    EXPECT_EQ(ErrorField(status), "t");
  }
  for (const int64_t micros : {limits::kMinTimeMicros, limits::kMaxTimeMicros}) {
    v1::TimestampColumn column;
    column.add_micros(micros);
    EXPECT_TRUE(TimesFromProto(column, 1, "t").ok());
    column.set_micros(0, micros < 0 ? micros - 1 : micros + 1);
    EXPECT_EQ(TimesFromProto(column, 1, "t").status().code(), absl::StatusCode::kOutOfRange);
  }
}

TEST(ProtoColumnTest, AnswersCarryStatusesAndTimesOnlyWhenTheySaySomething) {
  Column column;
  column.type.type = ValueType::kInt64;
  column.row_count = 2;
  column.int64s = {7, 0};
  column.statuses = {CellStatus::kPresent, CellStatus::kPresent};
  v1::Column present;
  ToProto(Column(column), &present);
  EXPECT_EQ(present.statuses_size(), 0);
  EXPECT_FALSE(present.has_event_timestamps());

  column.statuses[1] = CellStatus::kOutsideMaxAge;
  column.event_times = std::make_shared<std::vector<int64_t>>(std::vector<int64_t>{5, kUnsetTime});
  v1::Column mixed;
  ToProto(std::move(column), &mixed);
  ASSERT_EQ(mixed.statuses_size(), 2);
  EXPECT_EQ(mixed.statuses(1), v1::OUTSIDE_MAX_AGE);
  ASSERT_EQ(mixed.event_timestamps().micros_size(), 2);
  EXPECT_EQ(mixed.event_timestamps().micros(0), 5);
  EXPECT_EQ(mixed.event_timestamps().micros(1), 0);
  ASSERT_EQ(mixed.event_timestamp_unset_rows_size(), 1);
  EXPECT_EQ(mixed.event_timestamp_unset_rows(0), 1u);
}

}  // namespace
}  // namespace fletch
