// SPDX-License-Identifier: Apache-2.0
#include "server/flight/ipc_testing.h"

namespace fletch {
namespace {

ArrowField Named(std::string name, ArrowType type, ArrowType element = {}) {
  return {.name = std::move(name), .type = std::move(type), .element = std::move(element)};
}

ArrowField Categories(ArrowType values, ArrowType index) {
  ArrowField field = Named("category", std::move(values));
  field.dictionary = 7;
  field.index = std::move(index);
  return field;
}

// All the types that are written here, with nulls.
std::vector<IpcMessage> Written(size_t row_count) {
  std::mt19937_64 random(row_count);
  std::vector<ArrowField> fields;
  std::vector<Column> columns;
  for (const DataType& type : AllDataTypes()) {
    fields.push_back(ArrowFieldOf(DataTypeName(type), type));
    columns.push_back(RandomColumn(random, type, row_count, /*nullable=*/true));
  }
  IpcBatchWriter writer(0, row_count);
  for (const Column& column : columns) writer.Add(column);
  return {SchemaOf(fields), MessageOf(writer)};
}

std::vector<IpcMessage> Integers() {
  std::vector<ArrowField> fields;
  RawBatch batch(3);
  for (const int bits : {8, 16, 32, 64}) {
    for (const bool is_signed : {true, false}) {
      fields.push_back(Named(std::to_string(bits) + (is_signed ? "s" : "u"),
                             {.kind = ArrowKind::kInt, .bits = bits, .is_signed = is_signed}));
      batch.Fixed(is_signed ? "101" : "", std::string(static_cast<size_t>(bits) / 8 * 3, '\1'));
    }
  }
  return {SchemaOf(fields), batch.Batch()};
}

std::vector<IpcMessage> Times() {
  std::vector<ArrowField> fields;
  RawBatch batch(2);
  for (int unit = 0; unit < 4; ++unit) {
    fields.push_back(Named(
        "t" + std::to_string(unit),
        {.kind = ArrowKind::kTimestamp, .unit = static_cast<TimeUnit>(unit), .timezone = "UTC"}));
    batch.Fixed("", RawBytes<int64_t>({-1, 1'000'000}));
  }
  fields.push_back(Named("d32", {.kind = ArrowKind::kDate, .bits = 32}));
  batch.Fixed("", RawBytes<int32_t>({-1, 11'000}));
  fields.push_back(Named("d64", {.kind = ArrowKind::kDate, .bits = 64}));
  batch.Fixed("10", RawBytes<int64_t>({86'400'000, 0}));
  return {SchemaOf(fields), batch.Batch()};
}

std::vector<IpcMessage> Compressed(IpcCodec codec) {
  const std::vector<ArrowField> fields{Named("x", {.kind = ArrowKind::kFloat, .bits = 64}),
                                       Named("s", {.kind = ArrowKind::kUtf8, .large = true})};
  RawBatch batch(4, codec);
  batch.Fixed("1101", RawBytes<double>({1, 2, 0, 4}));
  batch.Node(4).Buffer("").StoredBuffer(RawBytes<int64_t>({0, 1, 3, 3, 6})).Buffer("abcdef");
  return {SchemaOf(fields), batch.Batch()};
}

std::vector<IpcMessage> Dictionaries() {
  const ArrowField field =
      Categories({.kind = ArrowKind::kUtf8}, {.kind = ArrowKind::kInt, .bits = 8});
  RawBatch values(2);
  values.Node(2).Buffer("").Buffer(RawBytes<int32_t>({0, 3, 5})).Buffer("redno");
  RawBatch delta(1);
  delta.Node(1).Buffer("").Buffer(RawBytes<int32_t>({0, 4})).Buffer("blue");
  RawBatch batch(4);
  batch.Fixed("1011", RawBytes<int8_t>({0, 9, 1, 2}));
  RawBatch short_batch(1);
  short_batch.Fixed("", RawBytes<int8_t>({1}));
  return {SchemaOf({field}), values.Dictionary(7), delta.Dictionary(7, true),
          batch.Batch(),     values.Dictionary(7), short_batch.Batch()};
}

std::vector<IpcMessage> Views() {
  RawBatch batch(3);
  std::string views = RawBytes<int32_t>({3, 0, 0, 0, 13, 0, 0, 2, 13, 0, 1, 0});
  views.replace(4, 3, "abc");
  batch.Node(3).Buffer("").Buffer(views).Buffer("..a long string").Buffer("another of it");
  batch.VariadicCount(2);
  return {SchemaOf({Named("v", {.kind = ArrowKind::kUtf8, .view = true})}), batch.Batch()};
}

std::vector<IpcMessage> Lists() {
  const ArrowType wide{.kind = ArrowKind::kFloat, .bits = 64};
  const std::vector<ArrowField> fields{
      Named("l", {.kind = ArrowKind::kList, .large = true}, wide),
      Named("f", {.kind = ArrowKind::kFixedSizeList, .list_size = 2}, wide),
      Named("n", {.kind = ArrowKind::kList}, {}), Named("nothing", {})};
  RawBatch batch(3);
  // The null row of `l` has elements that count for nothing, and so has its child's null.
  batch.Node(3, 1).Buffer(RawBits("101")).Buffer(RawBytes<int64_t>({1, 2, 3, 5}));
  batch.Node(5, 1).Buffer(RawBits("11011")).Buffer(RawBytes<double>({9, 1, 8, 2, 3}));
  batch.Node(3, 1).Buffer(RawBits("011"));
  batch.Node(6).Buffer("").Buffer(RawBytes<double>({9, 9, 1, 2, 3, 4}));
  batch.Node(3).Buffer("").Buffer(RawBytes<int32_t>({0, 0, 0, 0})).Node(0);
  batch.Node(3, 3);
  return {SchemaOf(fields), batch.Batch()};
}

}  // namespace

std::vector<std::vector<IpcMessage>> SeedStreams() {
  return {Written(0),
          Written(11),
          Integers(),
          Times(),
          Compressed(IpcCodec::kLz4Frame),
          Compressed(IpcCodec::kZstd),
          Dictionaries(),
          Views(),
          Lists()};
}

}  // namespace fletch
