// SPDX-License-Identifier: Apache-2.0
#include "storage/text_check.h"

#include <string>

#include "gtest/gtest.h"

namespace fletch {
namespace {

// The definition, one code point at a time: encode it and see that it is taken.
std::string Encode(uint32_t c) {
  std::string out;
  if (c < 0x80) {
    out = {static_cast<char>(c)};
  } else if (c < 0x800) {
    out = {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
  } else if (c < 0x10000) {
    out = {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 63)),
           static_cast<char>(0x80 | (c & 63))};
  } else {
    out = {static_cast<char>(0xF0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 63)),
           static_cast<char>(0x80 | (c >> 6 & 63)), static_cast<char>(0x80 | (c & 63))};
  }
  return out;
}

TEST(Utf8Test, EveryCodePointButSurrogates) {
  for (uint32_t c = 0; c < 0x120000; ++c) {
    const bool right = c <= 0x10FFFF && !(c >= 0xD800 && c <= 0xDFFF);
    const std::string text = Encode(c);
    ASSERT_EQ(IsUtf8(text), right) << std::hex << c;
    ASSERT_EQ(IsUtf8("12345678" + text + "x"), right) << std::hex << c;
    if (text.size() > 1) {
      ASSERT_FALSE(IsUtf8(text.substr(0, text.size() - 1))) << std::hex << c;
    }
  }
}

TEST(Utf8Test, EveryPairOfBytesThatIsNoCodePoint) {
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const bool right =
          (a < 0x80 && b < 0x80) || (a >= 0xC2 && a <= 0xDF && b >= 0x80 && b <= 0xBF);
      ASSERT_EQ(IsUtf8(std::string{static_cast<char>(a), static_cast<char>(b)}), right)
          << a << " " << b;
    }
  }
  EXPECT_FALSE(IsUtf8("\xE0\x80\x80"));      // overlong
  EXPECT_FALSE(IsUtf8("\xF0\x80\x80\x80"));  // overlong
}

TEST(JsonTest, Accepts) {
  for (const std::string text :
       {"null", " true ", "0", "-0", "-12.5e+3", "1E9", "1e999", "\"\"", "\"a\\u00e9\\n\\\"\"",
        "[]", "{}", "[ ]", "{ }", "[1,2,[3,{}]]", "{\"a\":1,\"b\":[null,{\"c\":\"é\"}]}",
        "\t{\n\"a\" : 1 , \"a\" : 2 }\r\n", "\"\x7f\""}) {
    EXPECT_TRUE(IsJson(text)) << text;
  }
}

TEST(JsonTest, Refuses) {
  for (const std::string text :
       {"",          " ",       "nul",      "nulll",       "True",       "01",    "-",
        "1.",        ".5",      "1e",       "+1",          "0x1",        "NaN",   "Infinity",
        "\"",        "\"\n\"",  "\"\\x\"",  "\"\\u12g4\"", "\"\\",       "[",     "]",
        "[1",        "[1,",     "[1,]",     "[,]",         "[1 2]",      "{",     "}",
        "{\"a\"",    "{\"a\":", "{\"a\":1", "{\"a\":1,",   "{\"a\":1,}", "{a:1}", "{1:1}",
        "{\"a\" 1}", "{]",      "[}",       "1 2",         "{} []",      "'a'",   "\"\xff\"",
        "// 1"}) {
    EXPECT_FALSE(IsJson(text)) << text;
  }
  EXPECT_FALSE(IsJson(std::string("1\0", 2)));
  EXPECT_FALSE(IsJson(std::string("\"\0\"", 3)));
}

TEST(JsonTest, DeepNestingCostsNoStack) {
  const std::string open(1'000'000, '[');
  const std::string close(1'000'000, ']');
  EXPECT_TRUE(IsJson(open + close));
  EXPECT_FALSE(IsJson(open + close.substr(1)));
  EXPECT_FALSE(IsJson(open + close + "]"));
}

}  // namespace
}  // namespace fletch
