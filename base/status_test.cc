// SPDX-License-Identifier: Apache-2.0
#include "base/status.h"

#include <gtest/gtest.h>

#include "base/strings.h"

namespace fletch {
namespace {

TEST(Status, CarriesReasonFieldAndRetry) {
  const absl::Status status = WithRetryAfterMs(
      MakeError(absl::StatusCode::kResourceExhausted, "QUEUE_FULL", "the queue is full", "rows[3]"),
      250);
  const absl::Status copy = status;
  EXPECT_EQ(copy.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(copy.message(), "the queue is full");
  EXPECT_EQ(ErrorReason(copy), "QUEUE_FULL");
  EXPECT_EQ(ErrorField(copy), "rows[3]");
  EXPECT_EQ(ErrorRetryAfterMs(copy), 250);
}

TEST(Status, AbsentPartsAreEmpty) {
  for (const absl::Status& status : {absl::OkStatus(), absl::InternalError("x")}) {
    EXPECT_EQ(ErrorReason(status), "");
    EXPECT_EQ(ErrorField(status), "");
    EXPECT_EQ(ErrorRetryAfterMs(status), 0);
  }
}

TEST(Status, PrefixJoinsPaths) {
  EXPECT_EQ(ErrorField(PrefixField(InvalidArgument("m", "columns.t"), "batches[0]")),
            "batches[0].columns.t");
  EXPECT_EQ(ErrorField(PrefixField(InvalidArgument("m", "[4]"), "rows")), "rows[4]");
  EXPECT_EQ(ErrorField(PrefixField(InvalidArgument("m"), "rows")), "rows");
  EXPECT_EQ(ErrorField(PrefixField(InvalidArgument("m", "rows"), "")), "rows");
  EXPECT_TRUE(PrefixField(absl::OkStatus(), "rows").ok());
}

TEST(Status, ShortFormsHaveTheirCodeAndReason) {
  EXPECT_TRUE(absl::IsInvalidArgument(InvalidArgument("m")));
  EXPECT_TRUE(absl::IsNotFound(NotFound("m")));
  EXPECT_TRUE(absl::IsOutOfRange(OutOfRange("m")));
  EXPECT_TRUE(absl::IsDataLoss(DataLoss("m")));
  EXPECT_TRUE(absl::IsFailedPrecondition(FailedPrecondition("LOCKED", "m")));
  EXPECT_EQ(ErrorReason(OutOfRange("m")), "OUT_OF_RANGE");
  EXPECT_EQ(ErrorReason(FailedPrecondition("LOCKED", "m")), "LOCKED");
}

TEST(StatusDeathTest, AnErrorIsNeverOk) {
  EXPECT_DEATH(MakeError(absl::StatusCode::kOk, "R", "m").IgnoreError(), "");
}

absl::StatusOr<int> Half(int n) {
  if (n % 2 != 0) return InvalidArgument("odd");
  return n / 2;
}

absl::StatusOr<int> Quarter(int n) {
  ASSIGN_OR_RETURN(const int half, Half(n));
  ASSIGN_OR_RETURN(const int quarter, Half(half));
  RETURN_IF_ERROR(Half(quarter).status());
  return quarter;
}

TEST(Status, MacrosReturnTheFirstError) {
  EXPECT_EQ(Quarter(8).value(), 2);
  EXPECT_EQ(Quarter(6).status().message(), "odd");
  EXPECT_EQ(Quarter(4).status().message(), "odd");
}

TEST(Strings, CatTakesStdStringViews) {
  const std::string text = "abc";
  EXPECT_EQ(StrCat(std::string_view(text).substr(1), 7, "-", text, FromAbsl(ToAbsl("z"))),
            "bc7-abcz");
}

}  // namespace
}  // namespace fletch
