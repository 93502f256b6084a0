// SPDX-License-Identifier: Apache-2.0
#include "server/flight/ipc_writer.h"

#include <gtest/gtest.h>

#include "server/flight/ipc_reader.h"
#include "server/flight/ipc_schema.h"
#include "server/flight/ipc_testing.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

template <class T>
std::vector<T> Sub(const std::vector<T>& values, size_t begin, size_t count) {
  if (values.empty()) return {};
  return {values.begin() + static_cast<ptrdiff_t>(begin),
          values.begin() + static_cast<ptrdiff_t>(begin + count)};
}

// Rows of a column, by a plain loop.
Column Rows(const Column& in, size_t begin, size_t count) {
  Column out{.type = in.type, .row_count = count};
  size_t from = begin;
  size_t values = count;
  if (in.type.array) {
    from = values = 0;
    for (size_t i = 0; i < begin; ++i) from += in.lengths[i];
    for (size_t i = 0; i < count; ++i) values += in.lengths[begin + i];
    out.lengths = Sub(in.lengths, begin, count);
  } else if (in.type.is_vector()) {
    from *= in.type.dimension;
    values *= in.type.dimension;
  }
  out.bools = Sub(in.bools, from, values);
  out.int32s = Sub(in.int32s, from, values);
  out.int64s = Sub(in.int64s, from, values);
  out.floats = Sub(in.floats, from, values);
  out.doubles = Sub(in.doubles, from, values);
  out.strings = Sub(in.strings, from, values);
  for (const uint64_t row : in.null_rows) {
    if (row >= begin && row < begin + count) out.null_rows.push_back(row - begin);
  }
  return out;
}

void ExpectSame(const Column& got, const Column& want) {
  EXPECT_EQ(got.row_count, want.row_count);
  EXPECT_EQ(got.bools, want.bools);
  EXPECT_EQ(got.int32s, want.int32s);
  EXPECT_EQ(got.int64s, want.int64s);
  EXPECT_EQ(RawBytes(got.floats), RawBytes(want.floats));
  EXPECT_EQ(RawBytes(got.doubles), RawBytes(want.doubles));
  EXPECT_EQ(got.strings, want.strings);
  EXPECT_EQ(got.lengths, want.lengths);
  EXPECT_EQ(got.null_rows, want.null_rows);
}

TEST(IpcWriter, WhatIsWrittenIsRead) {
  std::mt19937_64 random = SeededRandom();
  for (int round = 0; round < 50; ++round) {
    const size_t all = random() % 300;
    const size_t begin = all == 0 ? 0 : random() % all;
    const size_t count = all == begin ? 0 : random() % (all - begin + 1);
    std::vector<Column> columns;
    std::vector<ArrowField> fields;
    for (const DataType& type : AllDataTypes()) {
      columns.push_back(RandomColumn(random, type, all, random() % 2 == 0));
      fields.push_back(ArrowFieldOf(DataTypeName(type), type));
    }
    IpcBatchWriter writer(begin, count);
    for (const Column& column : columns) writer.Add(column);
    const IpcMessage schema = SchemaOf(fields);
    const IpcMessage batch = MessageOf(writer);
    IpcReader reader;
    ASSERT_EQ(*reader.Take(schema.header, schema.body), IpcReader::Kind::kSchema);
    EXPECT_EQ(reader.fields(), fields);
    ASSERT_EQ(*reader.Take(batch.header, batch.body), IpcReader::Kind::kBatch);
    ASSERT_EQ(reader.row_count(), count);
    for (size_t i = 0; i < columns.size(); ++i) {
      SCOPED_TRACE(fields[i].name);
      const absl::StatusOr<Column> got = reader.ReadColumn(i, 0, count);
      ASSERT_TRUE(got.ok()) << got.status();
      ExpectSame(*got, Rows(columns[i], begin, count));
    }
  }
}

TEST(IpcWriter, AnswersHaveNullsWhereTheirStatusesSaySo) {
  Column column{.type = {ValueType::kInt64}, .row_count = 3, .int64s = {1, 0, 3}};
  column.statuses = {CellStatus::kPresent, CellStatus::kNotFound, CellStatus::kPresent};
  const std::vector<int64_t> times{5, kUnsetTime, -7};
  const std::vector<uint64_t> seqs{10, 11, 12};
  const std::vector<std::string_view> texts{"a", "", "ccc"};
  IpcBatchWriter writer(1, 2);
  writer.Add(column);
  writer.AddStatuses(column.statuses);
  writer.AddStatuses({});
  writer.AddTimes(times);
  writer.AddInt64s(seqs);
  writer.AddTexts(texts);
  writer.AddNoTimes();
  const ArrowType int8{.kind = ArrowKind::kInt, .bits = 8};
  const IpcMessage schema = SchemaOf({ArrowFieldOf("v", {ValueType::kInt64}),
                                      {.name = "s", .type = int8},
                                      {.name = "none", .type = int8},
                                      ArrowFieldOf("t", {ValueType::kTimestamp}),
                                      ArrowFieldOf("q", {ValueType::kInt64}),
                                      ArrowFieldOf("x", {ValueType::kString}),
                                      ArrowFieldOf("never", {ValueType::kTimestamp})});
  const IpcMessage batch = MessageOf(writer);
  EXPECT_EQ(batch.body.size() % 8, 0u);
  IpcReader reader;
  ASSERT_TRUE(reader.Take(schema.header, schema.body).ok());
  ASSERT_TRUE(reader.Take(batch.header, batch.body).ok());
  const Column value = *reader.ReadColumn(0, 0, 2);
  EXPECT_EQ(value.int64s, (std::vector<int64_t>{0, 3}));
  EXPECT_EQ(value.null_rows, (std::vector<uint64_t>{0}));
  EXPECT_EQ(reader.ReadColumn(1, 0, 2)->int32s, (std::vector<int32_t>{2, 0}));
  EXPECT_EQ(reader.ReadColumn(2, 0, 2)->int32s, (std::vector<int32_t>{0, 0}));
  EXPECT_EQ(reader.ReadColumn(3, 0, 2)->int64s, (std::vector<int64_t>{0, -7}));
  EXPECT_EQ(reader.ReadColumn(3, 0, 2)->null_rows, (std::vector<uint64_t>{0}));
  EXPECT_EQ(reader.ReadColumn(4, 0, 2)->int64s, (std::vector<int64_t>{11, 12}));
  EXPECT_EQ(reader.ReadColumn(5, 0, 2)->strings, (std::vector<std::string>{"", "ccc"}));
  EXPECT_EQ(reader.ReadColumn(6, 0, 2)->null_rows, (std::vector<uint64_t>{0, 1}));
}

TEST(IpcSchema, EncapsulatedMessagesSayTheirPaddedLength) {
  const std::string framed = Encapsulated("abcdefghi");
  ASSERT_EQ(framed.size(), 24u);
  EXPECT_EQ(framed.substr(0, 8), std::string("\xff\xff\xff\xff\x10\0\0\0", 8));
  EXPECT_EQ(framed.substr(8, 9), "abcdefghi");
}

}  // namespace
}  // namespace fletch
