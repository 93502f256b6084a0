// SPDX-License-Identifier: Apache-2.0
#include "joined_output.h"

#include <gtest/gtest.h>

#include <sstream>

#include "result.h"

namespace fletch::ctl {
namespace {

google::protobuf::RepeatedPtrField<v1::Column> Answer() {
  google::protobuf::RepeatedPtrField<v1::Column> columns;
  v1::Column& column = *columns.Add();
  column.mutable_strings()->add_values("a,b");
  column.mutable_strings()->add_values("");
  column.add_statuses(v1::PRESENT);
  column.add_statuses(v1::OUT_OF_RETENTION);
  column.mutable_event_timestamps()->add_micros(1'000'000);
  column.mutable_event_timestamps()->add_micros(0);
  column.add_event_timestamp_unset_rows(1);
  return columns;
}

const std::vector<SpineRow> kRows = {{RecordCell(std::string("1")), RecordCell(Json(2.5))},
                                     {RecordCell(), RecordCell(std::string())}};

TEST(JoinedOutput, WritesCsv) {
  std::ostringstream out;
  JoinedOutput output(out, RecordFormat::kCsv, true, true);
  ASSERT_TRUE(output.Begin({"label", "x"}, {"v:f"}).ok());
  ASSERT_TRUE(output.Write(kRows, Answer()).ok());
  EXPECT_EQ(out.str(),
            "label,x,v:f,v:f__status,v:f__event_timestamp\n"
            "1,2.5,\"a,b\",PRESENT,1970-01-01T00:00:01Z\n"
            ",\"\",,OUT_OF_RETENTION,\n");
}

TEST(JoinedOutput, WritesJsonLines) {
  std::ostringstream out;
  JoinedOutput output(out, RecordFormat::kJsonLines, false, false);
  ASSERT_TRUE(output.Begin({"label", "x"}, {"v:f"}).ok());
  ASSERT_TRUE(output.Write(kRows, Answer()).ok());
  EXPECT_EQ(
      out.str(),
      "{\"label\":\"1\",\"x\":2.5,\"v:f\":\"a,b\"}\n{\"label\":null,\"x\":\"\",\"v:f\":null}\n");
}

TEST(JoinedOutput, WritesJsonEventTimestamps) {
  std::ostringstream out;
  JoinedOutput output(out, RecordFormat::kJsonLines, true, true);
  ASSERT_TRUE(output.Begin({}, {"v:f"}).ok());
  ASSERT_TRUE(output.Write({{}, {}}, Answer()).ok());
  EXPECT_EQ(out.str(),
            "{\"v:f\":\"a,b\",\"v:f__status\":\"PRESENT\","
            "\"v:f__event_timestamp\":\"1970-01-01T00:00:01Z\"}\n"
            "{\"v:f\":null,\"v:f__status\":\"OUT_OF_RETENTION\",\"v:f__event_timestamp\":null}\n");
}

TEST(JoinedOutput, RefusesAColumnThatIsAlsoAFeature) {
  std::ostringstream out;
  JoinedOutput output(out, RecordFormat::kCsv, true, false);
  EXPECT_EQ(ExitCode(output.Begin({"v:f"}, {"v:f"})), 2);
  EXPECT_EQ(ExitCode(output.Begin({"v:f__status"}, {"v:f"})), 2);
  EXPECT_TRUE(output.Begin({"v:f__event_timestamp"}, {"v:f"}).ok()) << "not asked for";
}

TEST(JoinedOutput, WritesTheHeaderWithTheFirstRowsOrAtTheEnd) {
  std::ostringstream out;
  JoinedOutput output(out, RecordFormat::kCsv, false, false);
  ASSERT_TRUE(output.Begin({"x"}, {"v:f"}).ok());
  EXPECT_EQ(out.str(), "") << "the read may still be refused";
  ASSERT_TRUE(output.Finish().ok());
  EXPECT_EQ(out.str(), "x,v:f\n");
}

TEST(JoinedOutput, SaysThatAFileCannotBeWritten) {
  OutputArgs args;
  args.file = "/nonexistent/joined.csv";
  EXPECT_EQ(ExitCode(JoinedOutput::Open(args, RecordFormat::kCsv).status()), 2);
}

TEST(OutputFormat, FollowsTheOptionThenJsonThenTheName) {
  EXPECT_EQ(*OutputFormat({.file = "a.jsonl", .format = "csv"}, true), RecordFormat::kCsv);
  EXPECT_EQ(*OutputFormat({.file = "a.csv"}, true), RecordFormat::kJsonLines);
  EXPECT_EQ(*OutputFormat({.file = "a.jsonl"}, false), RecordFormat::kJsonLines);
  EXPECT_EQ(*OutputFormat({}, false), RecordFormat::kCsv);
}

}  // namespace
}  // namespace fletch::ctl
