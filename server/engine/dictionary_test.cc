// SPDX-License-Identifier: Apache-2.0
#include "server/engine/dictionary.h"

#include <map>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

std::string RandomText(std::mt19937_64* random) {
  // Few short ones, so that they come again; now and then one longer than a block.
  const size_t length = (*random)() % 500 == 0 ? 70'000 : (*random)() % 4;
  std::string text(length, '\0');
  for (char& c : text) c = static_cast<char>((*random)() % 8);
  return text;
}

TEST(DictionaryTest, IsEqualToAMap) {
  std::mt19937_64 random = SeededRandom();
  Dictionary dictionary;
  std::map<std::string, Ordinal> model;
  for (int i = 0; i < 5000; ++i) {
    const std::string text = RandomText(&random);
    const auto known = model.find(text);
    EXPECT_EQ(dictionary.Find(text),
              known == model.end() ? std::optional<Ordinal>() : std::optional(known->second));
    const auto expected = model.emplace(text, static_cast<Ordinal>(model.size())).first->second;
    EXPECT_EQ(dictionary.Add(text), expected);
    EXPECT_EQ(dictionary.size(), model.size());
  }
  uint64_t texts = 0;
  for (const auto& [text, ordinal] : model) {
    EXPECT_EQ(dictionary.text(ordinal), text);
    EXPECT_EQ(dictionary.Find(text), ordinal);
    texts += text.size();
  }
  EXPECT_GE(dictionary.bytes(), texts);
}

TEST(DictionaryTest, AnEmptyOneFindsNothing) {
  Dictionary dictionary;
  EXPECT_EQ(dictionary.Find("x"), std::nullopt);
  EXPECT_EQ(dictionary.Find(""), std::nullopt);
}

TEST(DictionaryTest, ReadersSeeWhatIsAddedMeanwhile) {
  constexpr uint32_t kTexts = 30'000;
  Dictionary dictionary;
  std::thread writer([&] {
    for (uint32_t i = 0; i < kTexts; ++i) dictionary.Add(std::to_string(i));
  });
  std::vector<std::thread> readers;
  for (int r = 0; r < 2; ++r) {
    readers.emplace_back([&] {
      for (uint32_t size = 0; size < kTexts;) {
        size = dictionary.size();
        if (size == 0) continue;
        ASSERT_EQ(dictionary.text(size - 1), std::to_string(size - 1));
        ASSERT_EQ(dictionary.Find(std::to_string(size / 2)), size / 2);
      }
    });
  }
  writer.join();
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace fletch
