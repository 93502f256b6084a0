// SPDX-License-Identifier: Apache-2.0
// The examples of FORMAT.md and tests/golden/storage.txt, which must decode for ever, against the
// code.
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "gtest/gtest.h"
#include "storage/entity_key.h"
#include "storage/fact_block.h"
#include "storage/fact_store.h"
#include "storage/row_codec.h"

namespace fletch {
namespace {

constexpr char kHexDigits[] = "0123456789ABCDEF";

std::string Hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    if (!out.empty()) out += ' ';
    out += kHexDigits[static_cast<uint8_t>(c) >> 4];
    out += kHexDigits[c & 15];
  }
  return out;
}

std::string Unhex(const std::string& text) {
  std::istringstream in(text);
  std::string out;
  for (std::string byte; in >> byte;) out += static_cast<char>(std::stoi(byte, nullptr, 16));
  return out;
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(std::string(FLETCH_SOURCE_DIR) + "/" + path);
  EXPECT_TRUE(in.good()) << path;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// Name -> bytes, as the file has them.
std::map<std::string, std::string> Golden() {
  std::istringstream in(ReadFile("tests/golden/storage.txt"));
  std::map<std::string, std::string> golden;
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(": ");
    if (line[0] != '#' && colon != std::string::npos)
      golden[line.substr(0, colon)] = Unhex(line.substr(colon + 2));
  }
  return golden;
}

std::string TextKey(std::string_view value) {
  std::string key;
  AppendStringKey(value, &key);
  return key;
}

std::string IntKey(int64_t value) {
  std::string key;
  AppendInt64Key(value, &key);
  return key;
}

ViewSchema Schema(bool event_key) {
  ViewSchema schema;
  schema.view_id = 3;
  schema.join_keys = {{"user", ValueType::kInt64}};
  if (event_key) schema.event_keys = {{"carrier", ValueType::kString}};
  const auto field = [](const char* name, DataType type) {
    FieldSchema out;
    out.name = name;
    out.type = type;
    return out;
  };
  schema.fields = {field("count", {ValueType::kInt64}),
                   field("mean", {ValueType::kDouble}),
                   field("code", {ValueType::kString}),
                   field("open", {ValueType::kBool}),
                   field("shape", {ValueType::kFloatVector, false, 2}),
                   field("tags", {ValueType::kString, true})};
  return schema;
}

const FactKey kFact{3, {IntKey(7), 100'000'000, false, ""}, 1};
const FactKey kEventFact{3, {IntKey(7), 100'000'000, false, TextKey("AA")}, 1};
const FactKey kTombstone{3, {IntKey(7), 125'000'000, true, ""}, 5};

std::string Row() {
  const Column count{.type = {ValueType::kInt64}, .row_count = 1, .int64s = {7}};
  const Column mean{.type = {ValueType::kDouble}, .row_count = 1, .doubles = {0}, .null_rows = {0}};
  const Column code{.type = {ValueType::kString}, .row_count = 1, .strings = {"SFO"}};
  const Column open{.type = {ValueType::kBool}, .row_count = 1, .bools = {1}};
  const Column shape{
      .type = {ValueType::kFloatVector, false, 2}, .row_count = 1, .floats = {1, -2}};
  const Column tags{
      .type = {ValueType::kString, true}, .row_count = 1, .strings = {"a", ""}, .lengths = {2}};
  const RowLayout layout(Schema(false).fields);
  return RowEncoder(&layout, {&count, &mean, &code, &open, &shape, &tags}).Encode(0);
}

std::string Value(FactForm form) {
  KvBatch batch;
  AddFact({form == FactForm::kTombstone ? kTombstone : kFact, form, Row()}, &batch);
  return batch.ops()[0].value;
}

FactView View(const FactKey& key, FactForm form, std::string_view identity, std::string_view row) {
  return {{key.identity.event_time, key.commit_seq, key.identity.tombstone, identity.substr(1),
           identity},
          form,
          row};
}

std::string Block() {
  const std::string row = Row();
  FactBlockBuilder builder;
  builder.Add(View(kTombstone, FactForm::kTombstone, std::string_view("\0", 1), ""));
  builder.Add(View(kFact, FactForm::kRow, "\1", row));
  return builder.Finish();
}

std::string EventBlock() {
  FactKey key = kEventFact;
  key.commit_seq = 4;
  FactBlockBuilder builder;
  builder.Add(View(key, FactForm::kRetraction, "\1" + Complement(TextKey("AA")), ""));
  return builder.Finish();
}

// What today's code writes.
std::map<std::string, std::string> Written() {
  return {{"key_int", IntKey(7)},
          {"key_int_negative", IntKey(-1)},
          {"key_string", TextKey("SFO")},
          {"key_zero", TextKey(std::string_view("a\0b", 3))},
          {"key_composite", TextKey("SFO") + IntKey(7)},
          {"fact_key", EncodeFactKey(kFact)},
          {"fact_key_event", EncodeFactKey(kEventFact)},
          {"fact_key_tombstone", EncodeFactKey(kTombstone)},
          {"fact_value_row", Value(FactForm::kRow)},
          {"fact_value_tombstone", Value(FactForm::kTombstone)},
          {"fact_value_retraction", Value(FactForm::kRetraction)},
          {"block_key", FactBlockKey(FactPrefix(3, IntKey(7)), 100'000'000)},
          {"block", Block()},
          {"block_event", EventBlock()},
          {"row", Row()},
          {"latest_key", LatestKey(3, IntKey(7))},
          {"latest_row", EncodeLatest({Latest::State::kRow, 100'000'000, 1, 4, Row()})},
          {"latest_tombstone", EncodeLatest({Latest::State::kTombstone, 125'000'000, 5, 5, ""})}};
}

TEST(GoldenTest, TheCodeWritesWhatTheFormatSays) {
  const std::map<std::string, std::string> golden = Golden();
  const std::string format = ReadFile("storage/FORMAT.md");
  for (const auto& [name, bytes] : Written()) {
    ASSERT_TRUE(golden.contains(name)) << name << ": " << Hex(bytes);
    EXPECT_EQ(Hex(bytes), Hex(golden.at(name))) << name;
    EXPECT_NE(format.find("`" + name + ": " + Hex(bytes) + "`"), std::string::npos)
        << name << ": " << Hex(bytes);
  }
  EXPECT_EQ(golden.size(), Written().size());
}

TEST(GoldenTest, KeysDecode) {
  const auto golden = Golden();
  const std::vector<KeyFieldSchema> text = {{"k", ValueType::kString}};
  const std::vector<KeyFieldSchema> number = {{"k", ValueType::kInt64}};
  EXPECT_EQ(DecodeKey(number, golden.at("key_int_negative")).value(),
            (std::vector<KeyValue>{int64_t{-1}}));
  EXPECT_EQ(DecodeKey(text, golden.at("key_zero")).value(),
            (std::vector<KeyValue>{std::string("a\0b", 3)}));
  EXPECT_EQ(
      DecodeKey({{"a", ValueType::kString}, {"b", ValueType::kInt64}}, golden.at("key_composite"))
          .value(),
      (std::vector<KeyValue>{std::string("SFO"), int64_t{7}}));
  for (const auto& [name, expected, event_key] : {std::tuple{"fact_key", kFact, false},
                                                  {"fact_key_event", kEventFact, true},
                                                  {"fact_key_tombstone", kTombstone, true}}) {
    const FactKey key = DecodeFactKey(Schema(event_key), golden.at(name)).value();
    EXPECT_EQ(key.identity, expected.identity) << name;
    EXPECT_EQ(key.commit_seq, expected.commit_seq) << name;
  }
}

TEST(GoldenTest, BlocksDecode) {
  const auto golden = Golden();
  const FactBlock block = FactBlock::Parse(golden.at("block")).value();
  ASSERT_EQ(block.count(), 2u);
  EXPECT_TRUE(block.Check().ok());
  const FactView deleted = block.Read(0).value();
  EXPECT_EQ(deleted.at.event_time, 125'000'000);
  EXPECT_EQ(deleted.at.commit_seq, 5u);
  EXPECT_EQ(deleted.form, FactForm::kTombstone);
  const FactView row = block.Read(1).value();
  EXPECT_EQ(row.at.event_time, 100'000'000);
  EXPECT_EQ(row.at.commit_seq, 1u);
  EXPECT_EQ(row.row, golden.at("row"));
  const FactBlock events = FactBlock::Parse(golden.at("block_event")).value();
  const FactView retracted = events.Read(0).value();
  EXPECT_EQ(retracted.form, FactForm::kRetraction);
  EXPECT_FALSE(retracted.at.tombstone);
  EXPECT_EQ(Complement(retracted.at.event_key_complement), TextKey("AA"));
}

TEST(GoldenTest, RowsDecode) {
  const auto golden = Golden();
  const RowLayout layout(Schema(false).fields);
  const Latest latest = DecodeLatest(golden.at("latest_row")).value();
  EXPECT_EQ(latest.state, Latest::State::kRow);
  EXPECT_EQ(latest.event_time, 100'000'000);
  EXPECT_EQ(latest.commit_seq, 1u);
  EXPECT_EQ(latest.changed_seq, 4u);
  EXPECT_EQ(DecodeLatest(golden.at("latest_tombstone")).value().state, Latest::State::kTombstone);
  for (const std::string& bytes :
       {golden.at("row"), golden.at("fact_value_row").substr(1), latest.row}) {
    const RowView row = RowView::Parse(&layout, bytes).value();
    EXPECT_EQ(row.GetInt(0), 7);
    EXPECT_TRUE(row.is_null(1));
    EXPECT_EQ(row.GetBytes(2), "SFO");
    EXPECT_TRUE(row.GetBool(3));
    EXPECT_EQ(row.GetVector(4), (std::vector<float>{1, -2}));
    Column tags{.type = layout.type(5)};
    row.AppendTo(5, &tags);
    EXPECT_EQ(tags.strings, (std::vector<std::string>{"a", ""}));
  }
}

}  // namespace
}  // namespace fletch
