// SPDX-License-Identifier: Apache-2.0
#include "batcher.h"

#include <gtest/gtest.h>

#include <sstream>

#include "result.h"

namespace fletch::ctl {
namespace {

BatcherOptions Options() {
  return {.columns = {{"airport", {.type = v1::STRING}},
                      {"delay", {.type = v1::INT64}},
                      {"note", {.type = v1::STRING}}},
          .keys = {"airport"},
          .timestamp_column = "t"};
}

// The batches of a file, or the error.
absl::StatusOr<std::vector<ColumnBatch>> Batches(const std::string& text, RecordFormat format,
                                                 BatcherOptions options = Options()) {
  std::istringstream in(text);
  CTL_ASSIGN(auto reader, OpenRecords(in, format));
  Batcher batcher(std::move(options));
  std::vector<ColumnBatch> batches;
  while (true) {
    CTL_ASSIGN(const bool more, reader->Next());
    if (batcher.row_count() > 0 && (!more || batcher.MustTakeBefore(*reader))) {
      batches.push_back(batcher.Take());
    }
    if (!more) return batches;
    CTL_RETURN_IF_ERROR(batcher.Add(*reader));
  }
}

std::string Error(const std::string& text, RecordFormat format) {
  const auto batches = Batches(text, format);
  EXPECT_EQ(ExitCode(batches.status()), 2);
  return std::string(batches.status().message());
}

TEST(Batcher, CsvBecomesColumns) {
  const auto batches =
      Batches("delay,airport,t\n5,SFO,2001-01-01\n,JFK,1970-01-01T00:00:01Z\n", RecordFormat::kCsv);
  ASSERT_TRUE(batches.ok()) << batches.status();
  ASSERT_EQ(batches->size(), 1u);
  const ColumnBatch& batch = batches->front();
  EXPECT_EQ(batch.row_count, 2u);
  EXPECT_EQ(batch.first_line, 2u);
  EXPECT_EQ(batch.last_line, 3u);
  ASSERT_EQ(batch.columns.size(), 2u)
      << "a column left out is left out, so that its default counts";
  EXPECT_EQ(batch.columns[0].first, "delay");
  EXPECT_EQ(batch.columns[0].second.null_rows(0), 1u);
  EXPECT_EQ(batch.columns[1].second.strings().values(1), "JFK");
  EXPECT_EQ(batch.timestamps.micros(1), 1'000'000);
}

TEST(Batcher, JsonLinesWithOtherFieldsStartANewBatch) {
  const auto batches = Batches(R"({"airport":"SFO","t":"2001-01-01","delay":1}
{"airport":"SFO","t":"2001-01-02","delay":null}

{"airport":"SFO","t":"2001-01-03"}
{"airport":"SFO","t":"2001-01-04"}
)",
                               RecordFormat::kJsonLines);
  ASSERT_TRUE(batches.ok()) << batches.status();
  ASSERT_EQ(batches->size(), 2u);
  EXPECT_EQ((*batches)[0].columns.size(), 2u);
  EXPECT_EQ((*batches)[0].columns[1].second.null_rows(0), 1u) << "an explicit null is one";
  EXPECT_EQ((*batches)[1].columns.size(), 1u) << "a field left out is left out";
  EXPECT_EQ((*batches)[1].first_line, 4u);
}

TEST(Batcher, RowsAndBytesBoundABatch) {
  BatcherOptions options = Options();
  options.rows_max = 2;
  const std::string rows = "airport,t\nA,2001-01-01\nB,2001-01-01\nC,2001-01-01\n";
  EXPECT_EQ(Batches(rows, RecordFormat::kCsv, options)->size(), 2u);
  options = Options();
  options.bytes_max = 1;
  EXPECT_EQ(Batches(rows, RecordFormat::kCsv, options)->size(), 3u);
}

TEST(Batcher, NamesLineAndColumnOfWhatIsWrong) {
  EXPECT_EQ(Error("airport,t,delay\nSFO,2001-01-01,soon\n", RecordFormat::kCsv),
            "line 2: delay: 'soon' is not of type INT64; right is a whole number of 64 bits");
  EXPECT_EQ(Error("airport,t\n,2001-01-01\n", RecordFormat::kCsv),
            "line 2: airport is empty; it must have a value");
  EXPECT_EQ(Error("airport,t,dealy\nSFO,2001-01-01,1\n", RecordFormat::kCsv),
            "line 2: no column 'dealy' in the view; it has airport, delay, note and the time in t");
  EXPECT_EQ(Error("t\n2001-01-01\n", RecordFormat::kCsv),
            "line 2: no column for the key 'airport'");
  EXPECT_EQ(Error("airport,time\nSFO,2001-01-01\n", RecordFormat::kCsv).substr(0, 24),
            "line 2: no column 'time'");
  EXPECT_EQ(Error("airport,t\nSFO\n", RecordFormat::kCsv),
            "line 2: 1 cells, but the header has 2 columns");
  EXPECT_EQ(Error("airport,airport\n", RecordFormat::kCsv),
            "line 1: two columns are named 'airport'");
  EXPECT_EQ(Error("", RecordFormat::kCsv),
            "the file is empty; a header row with the names is needed");
  EXPECT_EQ(Error("{\"airport\"\n", RecordFormat::kJsonLines).substr(0, 26),
            "line 1: not a JSON object;");
}

TEST(Batcher, ASpineMayHaveOtherColumns) {
  BatcherOptions options = Options();
  options.ignore_others = true;
  const auto batches = Batches("label,airport,t\n1,SFO,2001-01-01\n", RecordFormat::kCsv, options);
  ASSERT_TRUE(batches.ok()) << batches.status();
  EXPECT_EQ(batches->front().columns.size(), 1u);
}

TEST(FormatOf, GoesByNameAndSendsParquetToPython) {
  EXPECT_EQ(*FormatOf("a.csv", ""), RecordFormat::kCsv);
  EXPECT_EQ(*FormatOf("-", ""), RecordFormat::kCsv);
  EXPECT_EQ(*FormatOf("a.ndjson", ""), RecordFormat::kJsonLines);
  EXPECT_EQ(*FormatOf("a.csv", "jsonl"), RecordFormat::kJsonLines);
  EXPECT_EQ(ExitCode(FormatOf("a.txt", "").status()), 2);
  EXPECT_NE(FormatOf("a.parquet", "").status().message().find("python3 -m fletch write"),
            std::string::npos);
}

}  // namespace
}  // namespace fletch::ctl
