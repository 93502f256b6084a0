// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/grpc_status.h"

#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

#include <string>

#include "base/status.h"
#include "fletch/v1/errors.pb.h"

namespace fletch {
namespace {

template <class Message>
bool Detail(const grpc::Status& status, const std::string& type, Message* out) {
  v1::ErrorStatus details;
  if (!details.ParseFromString(status.error_details())) return false;
  for (const auto& any : details.details()) {
    if (any.type_url() == "type.googleapis.com/google.rpc." + type) {
      return out->ParseFromString(any.value());
    }
  }
  return false;
}

TEST(GrpcStatusTest, CarriesReasonFieldAndRetry) {
  const grpc::Status status = ToGrpcStatus(WithRetryAfterMs(
      MakeError(absl::StatusCode::kResourceExhausted, "QUEUE_FULL", "too much", "batches[0]"),
      1500));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(), "too much");
  v1::ErrorInfo info;
  ASSERT_TRUE(Detail(status, "ErrorInfo", &info));
  EXPECT_EQ(info.reason(), "QUEUE_FULL");
  EXPECT_EQ(info.domain(), "fletch");
  v1::BadRequest bad_request;
  ASSERT_TRUE(Detail(status, "BadRequest", &bad_request));
  EXPECT_EQ(bad_request.field_violations(0).field(), "batches[0]");
  EXPECT_EQ(bad_request.field_violations(0).description(), "too much");
  v1::RetryInfo retry;
  ASSERT_TRUE(Detail(status, "RetryInfo", &retry));
  EXPECT_EQ(retry.retry_delay().seconds(), 1);
  EXPECT_EQ(retry.retry_delay().nanos(), 500'000'000);
}

TEST(GrpcStatusTest, LeavesOutWhatIsNotThere) {
  const grpc::Status status = ToGrpcStatus(absl::CancelledError("gone"), "id-1");
  v1::ErrorInfo info;
  ASSERT_TRUE(Detail(status, "ErrorInfo", &info));
  EXPECT_EQ(info.reason(), "CANCELLED");
  EXPECT_EQ(info.metadata().at("request_id"), "id-1");
  v1::BadRequest bad_request;
  EXPECT_FALSE(Detail(status, "BadRequest", &bad_request));
  v1::RetryInfo retry;
  EXPECT_FALSE(Detail(status, "RetryInfo", &retry));
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
}

TEST(GrpcStatusTest, AQuestionAboutLostCommitsIsNoFaultOfTheServer) {
  EXPECT_TRUE(IsServerFault(DataLoss("a file is damaged")));
  EXPECT_TRUE(IsServerFault(absl::InternalError("a bug")));
  EXPECT_TRUE(IsServerFault(absl::UnknownError("a bug")));
  EXPECT_FALSE(IsServerFault(
      MakeError(absl::StatusCode::kDataLoss, "LOST_COMMIT", "known_at 7 is lost", "known_at")));
  EXPECT_FALSE(IsServerFault(InvalidArgument("no")));
  EXPECT_FALSE(IsServerFault(absl::OkStatus()));
}

TEST(GrpcStatusTest, LongErrorsFitIntoTrailers) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "é";
  const grpc::Status status = ToGrpcStatus(InvalidArgument(text, text));
  // Percent-encoding triples the message, base64 adds a third to the details; clients allow 8 KiB.
  EXPECT_LT(status.error_message().size() * 3 + status.error_details().size() * 4 / 3, 8000u);
  EXPECT_EQ(CutText("aé", 2), "a…");
  EXPECT_EQ(CutText("aé", 3), "aé");
}

}  // namespace
}  // namespace fletch
