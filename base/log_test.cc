// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fletch {
namespace {

TEST(Log, WritesOneJsonObjectALine) {
  testing::internal::CaptureStderr();
  Log(LogLevel::kInfo, "opened \"x\"\n", {{"path", "C:\\d\x01"}, {"rows", "7"}});
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_THAT(line, testing::MatchesRegex(
                        "\\{\"time\":\"[0-9-]+T[0-9:]+\\.[0-9]+Z\",\"level\":\"info\",\"message\":"
                        ".*\\}\n"));
  EXPECT_THAT(line, testing::HasSubstr(R"("message":"opened \"x\"\u000a")"));
  EXPECT_THAT(line, testing::HasSubstr(R"("path":"C:\\d\u0001","rows":"7"})"));
}

TEST(Log, BadUtf8IsReplacedAndGoodIsKept) {
  testing::internal::CaptureStderr();
  Log(LogLevel::kError, "caf\xC3\xA9 \xF0\x9F\x9B\xA9 \xFF \xC3 \xED\xA0\x80 \xC0\x80");
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_THAT(line, testing::HasSubstr("caf\xC3\xA9 \xF0\x9F\x9B\xA9 \\ufffd \\ufffd "
                                       "\\ufffd\\ufffd\\ufffd \\ufffd\\ufffd\""));
}

TEST(Log, LinesBelowTheLevelAreDropped) {
  testing::internal::CaptureStderr();
  Log(LogLevel::kDebug, "hidden");
  SetLogLevel(LogLevel::kDebug);
  Log(LogLevel::kDebug, "shown");
  SetLogLevel(LogLevel::kInfo);
  const std::string lines = testing::internal::GetCapturedStderr();
  EXPECT_THAT(lines, testing::Not(testing::HasSubstr("hidden")));
  EXPECT_THAT(lines, testing::HasSubstr("shown"));
}

}  // namespace
}  // namespace fletch
