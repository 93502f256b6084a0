// SPDX-License-Identifier: Apache-2.0
#include "csv.h"

#include <gtest/gtest.h>

#include <random>
#include <sstream>

namespace fletch::ctl {
namespace {

using Records = std::vector<std::vector<std::string>>;

// All records; nulls as "<null>", an error as its message alone.
Records Parse(const std::string& text) {
  std::istringstream in(text);
  CsvReader reader(in);
  Records records;
  while (true) {
    auto record = reader.Next();
    if (!record.ok()) return {{std::string(record.status().message())}};
    if (!record->has_value()) return records;
    records.emplace_back();
    for (const CsvCell& cell : **record) {
      records.back().push_back(cell.IsNull() ? "<null>" : cell.text);
    }
  }
}

TEST(Csv, ReadsPlainRecords) {
  EXPECT_EQ(Parse("a,b\n1,2\n"), (Records{{"a", "b"}, {"1", "2"}}));
  EXPECT_EQ(Parse("a,b\r\n1,2"), (Records{{"a", "b"}, {"1", "2"}})) << "CRLF, no last line end";
  EXPECT_EQ(Parse(""), Records{});
  EXPECT_EQ(Parse("a"), (Records{{"a"}}));
}

TEST(Csv, TellsNothingFromAnEmptyText) {
  EXPECT_EQ(Parse("x,,\"\"\n"), (Records{{"x", "<null>", ""}}));
  EXPECT_EQ(Parse(",\n"), (Records{{"<null>", "<null>"}}));
}

TEST(Csv, QuotesHoldCommasQuotesAndLines) {
  EXPECT_EQ(Parse("\"a,b\",\"say \"\"hi\"\"\",\"two\r\nlines\"\n"),
            (Records{{"a,b", "say \"hi\"", "two\r\nlines"}}));
}

TEST(Csv, SkipsAByteOrderMark) {
  EXPECT_EQ(Parse("\xEF\xBB\xBF"
                  "a,b\n"),
            (Records{{"a", "b"}}));
  EXPECT_EQ(Parse("\xEF\xBB\xBF"
                  "\"a\",b\n"),
            (Records{{"a", "b"}}));
}

TEST(Csv, RefusesWhatIsNotRfc4180AndNamesTheLine) {
  EXPECT_EQ(Parse("a\nb\"c\n")[0][0], "line 2: a quote inside a cell that does not begin with one");
  EXPECT_EQ(Parse("a\n\"b\"c\n")[0][0],
            "line 2: text after a closing quote; write a quote inside a quoted cell twice");
  EXPECT_EQ(Parse("a\n\n\"b\n\n")[0][0], "line 3: a quoted cell is never closed");
  EXPECT_EQ(Parse("a\rb\n")[0][0], "line 1: a carriage return without a line feed");
}

TEST(Csv, NamesTheLineOnWhichARecordBegins) {
  std::istringstream in("a\n\"x\ny\"\nb\n");
  CsvReader reader(in);
  for (uint64_t line : {1, 2, 4}) {
    ASSERT_TRUE(reader.Next()->has_value());
    EXPECT_EQ(reader.line(), line);
  }
}

TEST(Csv, ReadsBackWhatCsvFieldWrote) {
  const unsigned seed = std::random_device()();
  std::mt19937 random(seed);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::string> cells(1 + random() % 5);
    std::string line;
    for (std::string& cell : cells) {
      for (unsigned n = random() % 6; n > 0; --n) cell.push_back("a,\"\r\n \xC3"[random() % 7]);
      line += (line.empty() ? "" : ",") + CsvField(cell);
    }
    ASSERT_EQ(Parse(line + "\n"), Records{cells}) << "seed " << seed << ", line " << line;
  }
}

}  // namespace
}  // namespace fletch::ctl
