// SPDX-License-Identifier: Apache-2.0
#include "storage/entity_key.h"

#include <algorithm>
#include <map>
#include <random>
#include <string>

#include "base/limits.h"
#include "base/status.h"
#include "gtest/gtest.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

std::string Encode(const std::vector<KeyValue>& values) {
  std::string out;
  for (const KeyValue& value : values) {
    if (const int64_t* number = std::get_if<int64_t>(&value)) {
      AppendInt64Key(*number, &out);
    } else {
      AppendStringKey(std::get<std::string>(value), &out);
    }
  }
  return out;
}

std::vector<KeyFieldSchema> RandomFields(std::mt19937_64& random) {
  std::vector<KeyFieldSchema> fields(1 + random() % 3);
  for (auto& field : fields)
    field = {"k", random() % 2 == 0 ? ValueType::kInt64 : ValueType::kString};
  return fields;
}

// Few different values, many that begin alike.
std::vector<KeyValue> RandomKey(const std::vector<KeyFieldSchema>& fields,
                                std::mt19937_64& random) {
  static constexpr int64_t kNumbers[] = {INT64_MIN, -256, -1, 0, 1, 23, 123, INT64_MAX};
  static const std::string kBytes(
      "\x00\x01\xFF"
      "ab",
      5);
  std::vector<KeyValue> key;
  for (const auto& field : fields) {
    if (field.type == ValueType::kInt64) {
      key.emplace_back(kNumbers[random() % std::size(kNumbers)]);
    } else {
      std::string text(random() % 4, ' ');
      for (char& c : text) c = kBytes[random() % kBytes.size()];
      key.emplace_back(std::move(text));
    }
  }
  return key;
}

// std::string compares chars as unsigned bytes, so vectors of KeyValue compare as the keys should.
TEST(EntityKeyTest, OrderInjectivityAndRoundTrip) {
  std::mt19937_64 random = SeededRandom();
  for (int i = 0; i < 100'000; ++i) {
    const auto fields = RandomFields(random);
    const auto a = RandomKey(fields, random);
    const auto b = RandomKey(fields, random);
    const std::string ea = Encode(a);
    const std::string eb = Encode(b);
    ASSERT_EQ(a < b, ea < eb);
    ASSERT_EQ(a == b, ea == eb);
    if (a != b) {
      ASSERT_FALSE(eb.starts_with(ea));
    }
    ASSERT_EQ(DecodeKey(fields, ea).value(), a);
    ASSERT_EQ(KeyLength(fields, ea + eb).value(), ea.size());
  }
}

TEST(EntityKeyTest, EveryTruncationAndExtensionIsDataLoss) {
  std::mt19937_64 random = SeededRandom();
  for (int i = 0; i < 2'000; ++i) {
    const auto fields = RandomFields(random);
    const std::string whole = Encode(RandomKey(fields, random));
    for (size_t size = 0; size < whole.size(); ++size) {
      const std::vector<char> exact(whole.begin(),
                                    whole.begin() + static_cast<long>(size));  // ASan sees its end
      const std::string_view cut(exact.data(), exact.size());
      ASSERT_EQ(DecodeKey(fields, cut).status().code(), absl::StatusCode::kDataLoss);
      ASSERT_EQ(KeyLength(fields, cut).status().code(), absl::StatusCode::kDataLoss);
    }
    ASSERT_EQ(DecodeKey(fields, whole + "x").status().code(), absl::StatusCode::kDataLoss);
    std::string flipped = whole;
    flipped[random() % flipped.size()] ^= static_cast<char>(1 << (random() % 8));
    const std::vector<char> exact(flipped.begin(), flipped.end());
    const auto decoded = DecodeKey(fields, {exact.data(), exact.size()});
    if (decoded.ok()) {
      ASSERT_EQ(Encode(*decoded), flipped);
    }
  }
}

TEST(EntityKeyTest, ConcatenationsDoNotMeet) {
  EXPECT_NE(Encode({int64_t{1}, int64_t{23}}), Encode({int64_t{12}, int64_t{3}}));
  EXPECT_NE(Encode({std::string("1"), std::string("23")}),
            Encode({std::string("12"), std::string("3")}));
}

TEST(EntityKeyTest, AppendKeyTakesOneRow) {
  Column number{.type = {ValueType::kInt64}, .row_count = 2, .int64s = {4, 5}};
  Column text{.type = {ValueType::kString}, .row_count = 2, .strings = {"x", "y"}};
  const Column* columns[] = {&text, &number};
  std::string key;
  AppendKey(columns, 1, &key);
  EXPECT_EQ(key, Encode({std::string("y"), int64_t{5}}));
}

TEST(EntityKeyTest, CheckNamesRowAndPath) {
  const KeyFieldSchema text{"code", ValueType::kString};
  const KeyFieldSchema number{"id", ValueType::kInt64};
  const auto error = [](const KeyFieldSchema& field, const Column& column, size_t rows) {
    const absl::Status status = CheckKeyColumn(field, column, rows, "keys.k");
    if (!status.ok()) {
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_EQ(ErrorField(status), "keys.k");
    }
    return std::string(status.message());
  };
  const std::string longest(limits::kMaxKeyValueBytes, 'x');
  Column column{.type = {ValueType::kString}, .row_count = 2, .strings = {"a", longest}};
  EXPECT_EQ(error(text, column, 2), "");
  EXPECT_EQ(error(text, column, 3), "2 values where there are 3 rows");
  EXPECT_EQ(error(number, column, 2), "STRING values where the key id is INT64");
  column.strings[1] += "x";
  EXPECT_EQ(error(text, column, 2), "row 1 has 1025 bytes; a key has at most 1024");
  column.strings[1] = "";
  EXPECT_EQ(error(text, column, 2), "row 1 is empty; a key must not be");
  column.strings[1] = "\xC3";
  EXPECT_EQ(error(text, column, 2), "row 1 is not UTF-8");
  column.null_rows = {0};
  EXPECT_EQ(error(text, column, 2), "row 0 is null; a key must not be");
  Column numbers{.type = {ValueType::kInt64}, .row_count = 2, .int64s = {4, 5}};
  EXPECT_EQ(error(number, numbers, 2), "");
}

}  // namespace
}  // namespace fletch
