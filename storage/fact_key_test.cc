// SPDX-License-Identifier: Apache-2.0
#include "storage/fact_key.h"

#include <random>
#include <string>
#include <tuple>

#include "gtest/gtest.h"
#include "storage/entity_key.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

ViewSchema Schema() {
  ViewSchema schema;
  schema.view_id = 7;
  schema.name = "flights";
  schema.join_keys = {{"airport", ValueType::kString}, {"gate", ValueType::kInt64}};
  schema.event_keys = {{"carrier", ValueType::kString}, {"number", ValueType::kInt64}};
  return schema;
}

std::string Key(const std::string& text, int64_t number) {
  std::string key;
  AppendStringKey(text, &key);
  AppendInt64Key(number, &key);
  return key;
}

FactKey RandomKey(std::mt19937_64& random) {
  const std::string texts[] = {"", "a", std::string("a\0", 2), "ab", "\xFF"};
  const auto number = [&] { return static_cast<int64_t>(random() % 5) - 2; };
  FactKey key{
      7, {Key(texts[random() % 5], number()), number(), random() % 2 == 0, ""}, random() % 4};
  if (!key.identity.tombstone) key.identity.event_key = Key(texts[random() % 5], number());
  return key;
}

TEST(FactKeyTest, RoundTripAndOrderNewestFirst) {
  std::mt19937_64 random = SeededRandom();
  const ViewSchema schema = Schema();
  for (int i = 0; i < 100'000; ++i) {
    const FactKey a = RandomKey(random);
    const FactKey b = RandomKey(random);
    const std::string ea = EncodeFactKey(a);
    const std::string eb = EncodeFactKey(b);
    const auto decoded = DecodeFactKey(schema, ea);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    ASSERT_EQ(decoded->identity, a.identity);
    ASSERT_EQ(decoded->commit_seq, a.commit_seq);
    ASSERT_TRUE(ea.starts_with(FactPrefix(7, a.identity.entity_key)));
    ASSERT_LT(ea, FactPrefixEnd(FactPrefix(7, a.identity.entity_key)));
    ASSERT_LT(ea, ViewPrefixEnd(7));
    ASSERT_EQ(eb >= FactPrefixEnd(FactPrefix(7, a.identity.entity_key)),
              b.identity.entity_key > a.identity.entity_key);
    ASSERT_EQ(ea >= FactSeekKey(FactPrefix(7, a.identity.entity_key), b.identity.event_time),
              a.identity.event_time <= b.identity.event_time);
    const auto order =
        [](const FactKey& k) {  // of one entity: greater is newer, so earlier in the family
          return std::tuple(k.identity.event_time, k.commit_seq, k.identity.tombstone,
                            k.identity.event_key);
        };
    if (a.identity.entity_key == b.identity.entity_key) {
      ASSERT_EQ(ea<eb, order(a)> order(b));
    } else {
      ASSERT_EQ(ea < eb, a.identity.entity_key < b.identity.entity_key);
    }
  }
}

TEST(FactKeyTest, DamagedBytesAreDataLossOrAnotherKey) {
  std::mt19937_64 random = SeededRandom();
  const ViewSchema schema = Schema();
  const auto decode = [&](const std::string& bytes) {
    const std::vector<char> exact(bytes.begin(), bytes.end());  // ASan sees its end
    return DecodeFactKey(schema, {exact.data(), exact.size()});
  };
  for (int i = 0; i < 2'000; ++i) {
    const std::string whole = EncodeFactKey(RandomKey(random));
    for (size_t size = 0; size < whole.size(); ++size) {
      ASSERT_EQ(decode(whole.substr(0, size)).status().code(), absl::StatusCode::kDataLoss) << size;
    }
    ASSERT_EQ(decode(whole + "x").status().code(), absl::StatusCode::kDataLoss);
    std::string flipped = whole;
    flipped[random() % flipped.size()] ^= static_cast<char>(1 << (random() % 8));
    const auto decoded = decode(flipped);
    if (decoded.ok()) {
      ASSERT_EQ(EncodeFactKey(*decoded), flipped);
    } else {
      ASSERT_EQ(decoded.status().code(), absl::StatusCode::kDataLoss);
    }
  }
}

}  // namespace
}  // namespace fletch
