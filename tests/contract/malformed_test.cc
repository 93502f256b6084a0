// SPDX-License-Identifier: Apache-2.0
// Bytes that are no request, to every method.
#include <gtest/gtest.h>

#include <string>

#include "tests/contract/fixture.h"

namespace fletch {
namespace {

constexpr const char* kUnary[] = {kApply,   kGet,    kList,    kDeleteObject, kWrite, kDelete,
                                  kRetract, kOnline, kHistory, kSearch,       kStatus};

// Field 1, length-delimited, cut short; a group that never ends; a varint without an end; field
// number 0.
const std::string kBroken[] = {std::string("\x0a\x7f") + "abc", "\x0b", std::string(11, '\xff'),
                               std::string("\x02\x00", 2)};

// Field 1 (project everywhere) holding bytes that are no UTF-8.
const std::string kNotUtf8 = "\x0a\x03\xff\xfe\xfd";

std::string InHeader(const std::string& bytes) {
  return std::string("\x0a") + static_cast<char>(bytes.size()) + bytes;
}

TEST(MalformedTest, UnaryMethodsAnswerInvalidArgumentWithText) {
  WireClient* client = SharedClient();
  ASSERT_NE(client, nullptr);
  const Snapshot before = TakeSnapshot(client);
  for (const char* method : kUnary) {
    SCOPED_TRACE(method);
    for (const std::string& bytes : kBroken) {
      const Outcome outcome = client->Unary(method, bytes);
      EXPECT_EQ(outcome.code, grpc::StatusCode::INVALID_ARGUMENT) << outcome.Text();
      EXPECT_EQ(outcome.reason, "MALFORMED_MESSAGE") << outcome.Text();
      EXPECT_FALSE(outcome.message.empty());
    }
    if (method == std::string(kStatus)) continue;  // it has no field that could hold text
    const Outcome outcome = client->Unary(method, kNotUtf8);
    EXPECT_EQ(outcome.code, grpc::StatusCode::INVALID_ARGUMENT) << outcome.Text();
    EXPECT_EQ(outcome.reason, "MALFORMED_MESSAGE") << outcome.Text();
    EXPECT_NE(outcome.message.find(".project"), std::string::npos) << outcome.Text();
    EXPECT_NE(outcome.message.find("UTF-8"), std::string::npos) << outcome.Text();
  }
  EXPECT_EQ(TakeSnapshot(client), before);
}

TEST(MalformedTest, WriteStreamAcknowledgesAndGoesOn) {
  WireClient* client = SharedClient();
  ASSERT_NE(client, nullptr);
  const Snapshot before = TakeSnapshot(client);
  auto stream = client->Open(kWriteStream);
  uint64_t index = 0;
  for (const std::string& bytes : {kBroken[0], kBroken[1], kBroken[2], kBroken[3], kNotUtf8}) {
    ASSERT_TRUE(stream->Write(bytes));
    const auto answer = stream->Read();
    ASSERT_TRUE(answer.has_value());
    v1::WriteStreamResponse ack;
    ASSERT_TRUE(ack.ParseFromString(*answer));
    EXPECT_EQ(ack.index(), index++);
    EXPECT_EQ(ack.code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(ack.reason(), "MALFORMED_MESSAGE");
    EXPECT_FALSE(ack.message().empty());
  }
  stream->WritesDone();
  EXPECT_FALSE(stream->Read().has_value());
  const Outcome outcome = stream->Finish();
  EXPECT_EQ(outcome.code, grpc::StatusCode::OK) << outcome.Text();
  EXPECT_EQ(TakeSnapshot(client), before);
}

TEST(MalformedTest, JoinEndsWithInvalidArgument) {
  WireClient* client = SharedClient();
  ASSERT_NE(client, nullptr);
  for (const std::string& bytes :
       {kBroken[0], kBroken[1], kBroken[2], kBroken[3], InHeader(kNotUtf8)}) {
    auto stream = client->Open(kJoin);
    ASSERT_TRUE(stream->Write(bytes));
    EXPECT_FALSE(stream->Read().has_value());
    const Outcome outcome = stream->Finish();
    EXPECT_EQ(outcome.code, grpc::StatusCode::INVALID_ARGUMENT) << outcome.Text();
    EXPECT_EQ(outcome.reason, "MALFORMED_MESSAGE") << outcome.Text();
  }
}

TEST(MalformedTest, MessagesOverTheLimitAreResourceExhausted) {
  WireClient* client = SharedClient();
  ASSERT_NE(client, nullptr);
  const Snapshot before = TakeSnapshot(client);
  v1::WriteRequest request = GoodWrite(77);
  // An unknown field of 64 MiB: whatever a newer client may send.
  std::string bytes = request.SerializeAsString();
  bytes += std::string("\xa2\x06\x80\x80\x80\x20", 6) + std::string(64u << 20, 'x');
  const Outcome outcome = client->Unary(kWrite, bytes);
  EXPECT_EQ(outcome.code, grpc::StatusCode::RESOURCE_EXHAUSTED) << outcome.Text();
  EXPECT_FALSE(outcome.message.empty());
  EXPECT_EQ(TakeSnapshot(client), before);
}

}  // namespace
}  // namespace fletch
