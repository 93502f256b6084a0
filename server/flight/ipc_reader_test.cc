// SPDX-License-Identifier: Apache-2.0
#include "server/flight/ipc_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/limits.h"
#include "base/status.h"
#include "server/flight/ipc_testing.h"

namespace fletch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const ArrowType kWide{.kind = ArrowKind::kFloat, .bits = 64};
const ArrowType kText{.kind = ArrowKind::kUtf8};

ArrowField Named(ArrowType type, ArrowType element = {}) {
  return {.name = "c", .type = std::move(type), .element = std::move(element)};
}

// The whole column of a stream of one field; its last batch.
absl::StatusOr<Column> ReadOne(const ArrowField& field, const std::vector<IpcMessage>& messages,
                               const std::optional<DataType>& wanted = std::nullopt,
                               const IpcLimits& limits = DefaultIpcLimits()) {
  IpcReader reader(limits);
  RETURN_IF_ERROR(reader.Take(SchemaOf({field}).header, "").status());
  IpcReader::Kind kind = IpcReader::Kind::kSchema;
  for (const IpcMessage& message : messages) {
    ASSIGN_OR_RETURN(kind, reader.Take(message.header, message.body));
  }
  EXPECT_EQ(kind, IpcReader::Kind::kBatch);
  return reader.ReadColumn(0, 0, reader.row_count(), wanted);
}

absl::Status Fault(const ArrowField& field, const std::vector<IpcMessage>& messages,
                   const std::optional<DataType>& wanted = std::nullopt) {
  const absl::Status status = ReadOne(field, messages, wanted).status();
  EXPECT_EQ(ErrorField(status), "columns.c") << status;
  return status;
}

template <class T>
Column ReadInt(int bits, bool is_signed, const std::vector<T>& values) {
  RawBatch batch(static_cast<int64_t>(values.size()));
  batch.Fixed("", RawBytes(values));
  return *ReadOne(Named({.kind = ArrowKind::kInt, .bits = bits, .is_signed = is_signed}),
                  {batch.Batch()});
}

TEST(IpcReader, IntegersOfAllWidths) {
  EXPECT_THAT(ReadInt<int8_t>(8, true, {-128, 127}).int32s, ElementsAre(-128, 127));
  EXPECT_THAT(ReadInt<uint8_t>(8, false, {0, 255}).int32s, ElementsAre(0, 255));
  EXPECT_THAT(ReadInt<int16_t>(16, true, {-32768, 5}).int32s, ElementsAre(-32768, 5));
  EXPECT_THAT(ReadInt<uint16_t>(16, false, {65535, 5}).int32s, ElementsAre(65535, 5));
  EXPECT_THAT(ReadInt<int32_t>(32, true, {-7, 5}).int32s, ElementsAre(-7, 5));
  EXPECT_THAT(ReadInt<uint32_t>(32, false, {4294967295, 5}).int64s, ElementsAre(4294967295, 5));
  EXPECT_THAT(ReadInt<int64_t>(64, true, {-1, 5}).int64s, ElementsAre(-1, 5));
  const Column column = ReadInt<uint64_t>(64, false, {3, 5});
  EXPECT_THAT(column.int64s, ElementsAre(3, 5));
  EXPECT_EQ(column.type, (DataType{ValueType::kInt64}));
}

TEST(IpcReader, AnUnsignedIntegerThatDoesNotFitNamesItsRow) {
  const ArrowField field = Named({.kind = ArrowKind::kInt, .bits = 64, .is_signed = false});
  RawBatch batch(3);
  batch.Fixed("101", RawBytes<uint64_t>({3, ~uint64_t{0}, uint64_t{1} << 63}));
  const absl::Status status = Fault(field, {batch.Batch()});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("row 2 is 9223372036854775808"));
}

TEST(IpcReader, TimesAreFlooredToMicroseconds) {
  const auto read = [](TimeUnit unit, std::vector<int64_t> values) {
    RawBatch batch(static_cast<int64_t>(values.size()));
    batch.Fixed("", RawBytes(values));
    return *ReadOne(Named({.kind = ArrowKind::kTimestamp, .unit = unit, .timezone = "Asia/Tokyo"}),
                    {batch.Batch()});
  };
  EXPECT_THAT(read(TimeUnit::kSecond, {-2, 3}).int64s, ElementsAre(-2'000'000, 3'000'000));
  EXPECT_THAT(read(TimeUnit::kMilli, {-2, 3}).int64s, ElementsAre(-2'000, 3'000));
  EXPECT_THAT(read(TimeUnit::kMicro, {-2, 3}).int64s, ElementsAre(-2, 3));
  EXPECT_THAT(read(TimeUnit::kNano, {-1, -1000, -1001, 999, 1000}).int64s,
              ElementsAre(-1, -1, -2, 0, 1));
  EXPECT_EQ(read(TimeUnit::kNano, {0}).type, (DataType{ValueType::kTimestamp}));
}

TEST(IpcReader, DatesAreMidnights) {
  RawBatch days(2);
  days.Fixed("", RawBytes<int32_t>({-1, 1}));
  EXPECT_THAT(ReadOne(Named({.kind = ArrowKind::kDate, .bits = 32}), {days.Batch()})->int64s,
              ElementsAre(-86'400'000'000, 86'400'000'000));
  RawBatch millis(1);
  millis.Fixed("", RawBytes<int64_t>({86'400'000}));
  EXPECT_THAT(ReadOne(Named({.kind = ArrowKind::kDate, .bits = 64}), {millis.Batch()})->int64s,
              ElementsAre(86'400'000'000));
}

TEST(IpcReader, TimesOutsideOfTheYears1To9999AreRefused) {
  const ArrowField field = Named({.kind = ArrowKind::kTimestamp, .unit = TimeUnit::kSecond});
  constexpr int64_t kFirst = limits::kMinTimeMicros / 1'000'000;
  constexpr int64_t kLast = limits::kMaxTimeMicros / 1'000'000;
  RawBatch edges(2);
  edges.Fixed("", RawBytes<int64_t>({kFirst, kLast}));
  EXPECT_TRUE(ReadOne(field, {edges.Batch()}).ok());
  for (const int64_t beyond : {kFirst - 1, kLast + 1, std::numeric_limits<int64_t>::max()}) {
    RawBatch batch(2);
    batch.Fixed("", RawBytes<int64_t>({0, beyond}));
    const absl::Status status = Fault(field, {batch.Batch()});
    EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
    EXPECT_THAT(std::string(status.message()), HasSubstr("row 1"));
  }
}

TEST(IpcReader, TextsWithOffsetsThatDoNotBeginAtZero) {
  RawBatch batch(3);
  batch.Node(3, 1).Buffer(RawBits("101")).Buffer(RawBytes<int32_t>({2, 4, 5, 7}));
  batch.Buffer("..abXcd");
  const Column column = *ReadOne(Named(kText), {batch.Batch()});
  EXPECT_THAT(column.strings, ElementsAre("ab", "", "cd"));
  EXPECT_THAT(column.null_rows, ElementsAre(1));
}

TEST(IpcReader, AnEmptyColumnMayHaveNoOffsets) {
  RawBatch batch(0);
  batch.Node(0).Buffer("").Buffer("").Buffer("");
  EXPECT_THAT(ReadOne(Named(kText), {batch.Batch()})->strings, IsEmpty());
  RawBatch list(0);
  list.Node(0).Buffer("").Buffer("").Node(0).Buffer("").Buffer("");
  const Column column = *ReadOne(Named({.kind = ArrowKind::kList}, kWide), {list.Batch()});
  EXPECT_EQ(column.type, (DataType{ValueType::kDouble, true}));
  EXPECT_THAT(column.lengths, IsEmpty());
}

TEST(IpcReader, OffsetsThatLieAreRefused) {
  for (const std::vector<int32_t>& offsets : std::vector<std::vector<int32_t>>{
           {0, 2, 1}, {0, 1, 9}, {-1, 1, 2}, {std::numeric_limits<int32_t>::min(), 1, 2}}) {
    RawBatch batch(2);
    batch.Node(2).Buffer("").Buffer(RawBytes(offsets)).Buffer("abc");
    EXPECT_THAT(std::string(Fault(Named(kText), {batch.Batch()}).message()), HasSubstr("offsets"));
    RawBatch list(2);
    list.Node(2).Buffer("").Buffer(RawBytes(offsets));
    list.Node(3).Buffer("").Buffer(RawBytes<double>({1, 2, 3}));
    const ArrowField field = Named({.kind = ArrowKind::kList}, kWide);
    EXPECT_THAT(std::string(Fault(field, {list.Batch()}).message()), HasSubstr("offsets"));
  }
}

TEST(IpcReader, ViewsInlineAndInParts) {
  const std::vector<IpcMessage> views = SeedStreams()[7];
  const ArrowField field = Named({.kind = ArrowKind::kUtf8, .view = true});
  EXPECT_THAT(ReadOne(field, {views[1]})->strings,
              ElementsAre("abc", "a long string", "another of it"));
}

TEST(IpcReader, ManyViewsOfOneTextHaveALimit) {
  const ArrowField field = Named({.kind = ArrowKind::kUtf8, .view = true});
  std::string views;
  for (int i = 0; i < 100; ++i) views += RawBytes<int32_t>({1000, 0, 0, 0});
  RawBatch batch(100);
  batch.Node(100).Buffer("").Buffer(views).Buffer(std::string(1000, 'x')).VariadicCount(1);
  EXPECT_TRUE(ReadOne(field, {batch.Batch()}).ok());
  const IpcLimits limits{.body_bytes = 1 << 20, .value_bytes = 99'999};
  const absl::Status status = ReadOne(field, {batch.Batch()}, std::nullopt, limits).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()), HasSubstr("max_flight_value_bytes"));
}

TEST(IpcReader, Lists) {
  const std::vector<IpcMessage> lists = SeedStreams()[8];
  IpcReader reader;
  ASSERT_TRUE(reader.Take(lists[0].header, lists[0].body).ok());
  ASSERT_TRUE(reader.Take(lists[1].header, lists[1].body).ok());
  const Column list = *reader.ReadColumn(0, 0, 3);
  EXPECT_EQ(list.type, (DataType{ValueType::kDouble, true}));
  EXPECT_THAT(list.lengths, ElementsAre(1, 0, 2));
  EXPECT_THAT(list.doubles, ElementsAre(1, 2, 3));
  EXPECT_THAT(list.null_rows, ElementsAre(1));
  EXPECT_THAT(reader.ReadColumn(0, 2, 1)->doubles, ElementsAre(2, 3));
  const Column fixed = *reader.ReadColumn(1, 0, 3);
  EXPECT_EQ(fixed.type, (DataType{ValueType::kFloatVector, false, 2}));
  EXPECT_THAT(fixed.floats, ElementsAre(0, 0, 1, 2, 3, 4));
  EXPECT_THAT(fixed.null_rows, ElementsAre(0));
  EXPECT_THAT(reader.ReadColumn(1, 2, 1)->floats, ElementsAre(3, 4));
  const Column array = *reader.ReadColumn(1, 0, 3, DataType{ValueType::kDouble, true});
  EXPECT_THAT(array.doubles, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(array.lengths, ElementsAre(0, 2, 2));
  const Column nothing = *reader.ReadColumn(2, 0, 3, DataType{ValueType::kString, true});
  EXPECT_EQ(nothing.type, (DataType{ValueType::kString, true}));
  EXPECT_THAT(nothing.lengths, ElementsAre(0, 0, 0));
  const Column null = *reader.ReadColumn(3, 0, 3, DataType{ValueType::kFloatVector, false, 2});
  EXPECT_THAT(null.null_rows, ElementsAre(0, 1, 2));
  EXPECT_EQ(null.floats.size(), 6u);
}

TEST(IpcReader, ListsAsVectorsWhereAVectorIsWanted) {
  const ArrowField field = Named({.kind = ArrowKind::kList}, kWide);
  const DataType vector{ValueType::kFloatVector, false, 2};
  RawBatch batch(3);
  batch.Node(3, 1).Buffer(RawBits("101")).Buffer(RawBytes<int32_t>({0, 2, 2, 4}));
  batch.Node(4).Buffer("").Buffer(RawBytes<double>({1, 2, 3, 4}));
  const Column column = *ReadOne(field, {batch.Batch()}, vector);
  EXPECT_EQ(column.type, vector);
  EXPECT_THAT(column.floats, ElementsAre(1, 2, 0, 0, 3, 4));
  const DataType other{ValueType::kFloatVector, false, 3};
  EXPECT_THAT(std::string(Fault(field, {batch.Batch()}, other).message()),
              HasSubstr("row 0 has 2 elements; the vector's dimension is 3"));
  RawBatch far(1);
  far.Node(1).Buffer("").Buffer(RawBytes<int32_t>({0, 2}));
  far.Node(2).Buffer("").Buffer(RawBytes<double>({1, 1e39}));
  EXPECT_EQ(Fault(field, {far.Batch()}, vector).code(), absl::StatusCode::kOutOfRange);
}

TEST(IpcReader, NullElementsAreRefusedInRowsThatAreNot) {
  RawBatch batch(2);
  batch.Node(2).Buffer("").Buffer(RawBytes<int32_t>({0, 1, 3}));
  batch.Node(3, 1).Buffer(RawBits("110")).Buffer(RawBytes<double>({1, 2, 3}));
  EXPECT_THAT(
      std::string(Fault(Named({.kind = ArrowKind::kList}, kWide), {batch.Batch()}).message()),
      HasSubstr("row 1 has a null as its element 1"));
}

class IpcReaderDictionary : public ::testing::Test {
 protected:
  IpcReaderDictionary() {
    field_.dictionary = 7;
    field_.index = {.kind = ArrowKind::kInt, .bits = 8};
  }

  static IpcMessage Words(const std::vector<std::string>& words, bool is_delta = false) {
    std::vector<int32_t> offsets{0};
    std::string bytes;
    for (const std::string& word : words) {
      bytes += word;
      offsets.push_back(static_cast<int32_t>(bytes.size()));
    }
    const auto count = static_cast<int64_t>(words.size());
    RawBatch values(count);
    values.Node(count).Buffer("").Buffer(RawBytes(offsets)).Buffer(bytes);
    return values.Dictionary(7, is_delta);
  }

  static IpcMessage Indices(const std::vector<int8_t>& indices, std::string_view validity = "") {
    RawBatch batch(static_cast<int64_t>(indices.size()));
    batch.Fixed(validity, RawBytes(indices));
    return batch.Batch();
  }

  ArrowField field_ = Named(kText);
};

TEST_F(IpcReaderDictionary, ValuesReplacementsAndDeltas) {
  const IpcMessage batch = Indices({1, 0, 100, 1}, "1101");
  const Column first = *ReadOne(field_, {Words({"red", "no"}), batch});
  EXPECT_THAT(first.strings, ElementsAre("no", "red", "", "no"));
  EXPECT_THAT(first.null_rows, ElementsAre(2));
  EXPECT_THAT(ReadOne(field_, {Words({"red", "no"}), batch, Words({"a", "b"}), batch})->strings,
              ElementsAre("b", "a", "", "b"));
  EXPECT_THAT(
      ReadOne(field_, {Words({"red"}), Words({"blue", "green"}, true), Indices({2, 1})})->strings,
      ElementsAre("green", "blue"));
}

TEST_F(IpcReaderDictionary, ANullValueIsNull) {
  RawBatch values(2);
  values.Node(2, 1).Buffer(RawBits("10")).Buffer(RawBytes<int32_t>({0, 1, 1})).Buffer("a");
  const Column column = *ReadOne(field_, {values.Dictionary(7), Indices({0, 1, 0})});
  EXPECT_THAT(column.strings, ElementsAre("a", "", "a"));
  EXPECT_THAT(column.null_rows, ElementsAre(1));
}

TEST_F(IpcReaderDictionary, IndicesThatLieAreRefused) {
  for (const int8_t index : {int8_t{2}, int8_t{-1}, int8_t{-128}}) {
    EXPECT_THAT(std::string(Fault(field_, {Words({"red", "no"}), Indices({0, index})}).message()),
                HasSubstr("row 1 has the index " + std::to_string(index)));
  }
  EXPECT_THAT(std::string(Fault(field_, {Indices({0})}).message()), HasSubstr("was not sent"));
  EXPECT_THAT(ReadOne(field_, {Indices({})})->strings, IsEmpty());
}

TEST_F(IpcReaderDictionary, WhatItStandsForHasALimit) {
  const IpcMessage words = Words({std::string(1000, 'x')});
  const IpcMessage batch = Indices(std::vector<int8_t>(100));
  EXPECT_TRUE(ReadOne(field_, {words, batch}).ok());
  const IpcLimits limits{.body_bytes = 1 << 20, .value_bytes = 99'999};
  EXPECT_EQ(ReadOne(field_, {words, batch}, std::nullopt, limits).status().code(),
            absl::StatusCode::kOutOfRange);
  const IpcLimits less{.body_bytes = 1 << 20, .value_bytes = 2000};
  EXPECT_EQ(
      ReadOne(field_, {words, Words({std::string(1000, 'y')}, true), batch}, std::nullopt, less)
          .status()
          .code(),
      absl::StatusCode::kOutOfRange);
}

TEST(IpcReader, CompressedBodies) {
  for (const IpcCodec codec : {IpcCodec::kLz4Frame, IpcCodec::kZstd}) {
    RawBatch batch(5, codec);
    batch.Fixed("11011", RawBytes<double>({1, 2, 0, 4, 5}));
    const Column column = *ReadOne(Named(kWide), {batch.Batch()});
    EXPECT_THAT(column.doubles, ElementsAre(1, 2, 0, 4, 5));
    EXPECT_THAT(column.null_rows, ElementsAre(2));
    RawBatch stored(1, codec);
    stored.Node(1).Buffer("").StoredBuffer(RawBytes<double>({8}));
    EXPECT_THAT(ReadOne(Named(kWide), {stored.Batch()})->doubles, ElementsAre(8));
  }
}

TEST(IpcReader, CompressedBuffersThatLieAreRefused) {
  for (const IpcCodec codec : {IpcCodec::kLz4Frame, IpcCodec::kZstd}) {
    RawBatch batch(4, codec);
    batch.Fixed("", RawBytes<double>({1, 2, 3, 4}));
    const IpcMessage good = batch.Batch();
    for (const int64_t length : {int64_t{31}, int64_t{33}, int64_t{0}, int64_t{-2},
                                 int64_t{200} << 20, std::numeric_limits<int64_t>::max()}) {
      IpcMessage bad = good;
      std::memcpy(bad.body.data(), &length, 8);
      EXPECT_FALSE(ReadOne(Named(kWide), {bad}).ok()) << length;
    }
    for (size_t i = 8; i < good.body.size(); ++i) {
      IpcMessage bad = good;
      bad.body[i] = static_cast<char>(bad.body[i] ^ 0x55);
      if (const auto column = ReadOne(Named(kWide), {bad}); column.ok()) {
        EXPECT_EQ(column->row_count, 4u);
      }
    }
  }
}

TEST(IpcReader, TheDecompressedBodyHasALimit) {
  const std::vector<double> values(100, 3.0);
  RawBatch batch(100, IpcCodec::kZstd);
  batch.Fixed("", RawBytes(values));
  EXPECT_TRUE(ReadOne(Named(kWide), {batch.Batch()}, std::nullopt, {800, 800}).ok());
  const absl::Status status =
      ReadOne(Named(kWide), {batch.Batch()}, std::nullopt, {799, 800}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()), HasSubstr("max_flight_body_bytes"));
}

TEST(IpcReader, TheOrderOfMessages) {
  RawBatch batch(1);
  batch.Fixed("", RawBytes<double>({1}));
  IpcReader reader;
  EXPECT_THAT(std::string(reader.Take(batch.Batch().header, "").status().message()),
              HasSubstr("does not begin with a schema"));
  const IpcMessage schema = SchemaOf({Named(kWide)});
  EXPECT_TRUE(reader.Take(schema.header, "").ok());
  EXPECT_THAT(std::string(reader.Take(schema.header, "").status().message()),
              HasSubstr("second schema"));
  EXPECT_THAT(std::string(reader.Take("rubbish", "").status().message()),
              HasSubstr("no Arrow IPC message"));
  EXPECT_FALSE(reader.Take("", "").ok());
}

TEST(IpcReader, ABatchThatDoesNotFitItsSchema) {
  const auto fault = [](const RawBatch& batch) {
    const absl::Status status = ReadOne(Named(kWide), {batch.Batch()}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(fault(RawBatch(1)), HasSubstr("too few nodes"));
  EXPECT_THAT(fault(RawBatch(1).Node(1)), HasSubstr("too few buffers"));
  EXPECT_THAT(fault(RawBatch(2).Node(1).Buffer("").Buffer(RawBytes<double>({1}))),
              HasSubstr("1 values in a record batch of 2 rows"));
  EXPECT_THAT(fault(RawBatch(2).Node(2).Buffer("").Buffer(RawBytes<double>({1}))),
              HasSubstr("2 values need 16"));
  EXPECT_THAT(fault(RawBatch(9).Node(9, 1).Buffer("x").Buffer(std::string(72, 'x'))),
              HasSubstr("validity bitmap of 1 bytes for 9 values"));
  EXPECT_THAT(fault(RawBatch(1).Fixed("", RawBytes<double>({1})).Fixed("", RawBytes<double>({1}))),
              HasSubstr("2 nodes and 4 buffers"));
}

TEST(IpcReader, ColumnsHaveALimit) {
  std::vector<ArrowField> fields;
  for (size_t i = 0; i < limits::kMaxFlightColumns; ++i) {
    fields.push_back({.name = std::to_string(i), .type = kWide});
  }
  EXPECT_TRUE(IpcReader().Take(SchemaOf(fields).header, "").ok());
  fields.push_back({.name = "one more", .type = kWide});
  const absl::Status status = IpcReader().Take(SchemaOf(fields).header, "").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()), HasSubstr("max_flight_columns"));
}

TEST(IpcReader, NamesComeOnceAndInUtf8) {
  const auto fault = [](const std::vector<std::string>& names) {
    std::vector<ArrowField> fields;
    for (const std::string& name : names) fields.push_back({.name = name, .type = kWide});
    return std::string(IpcReader().Take(SchemaOf(fields).header, "").status().message());
  };
  EXPECT_THAT(fault({"a", "b", "a"}), HasSubstr("column a comes twice"));
  EXPECT_THAT(fault({"a", "\xff"}), HasSubstr("column 1 has no name in UTF-8"));
}

TEST(IpcReader, RowsHaveALimit) {
  constexpr auto kRows = static_cast<int64_t>(limits::kMaxFlightBatchRows);
  EXPECT_TRUE(
      ReadOne(Named({}), {RawBatch(kRows).Node(kRows, kRows).Batch()}, DataType{ValueType::kBool})
          .ok());
  const absl::Status status =
      ReadOne(Named({}), {RawBatch(kRows + 1).Node(kRows + 1, kRows + 1).Batch()}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()), HasSubstr("max_flight_batch_rows"));
  EXPECT_FALSE(ReadOne(Named({}), {RawBatch(-1).Node(-1, 0).Batch()}).ok());
}

}  // namespace
}  // namespace fletch
