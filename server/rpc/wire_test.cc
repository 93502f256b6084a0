// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/wire.h"

#include <grpcpp/support/slice.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/status.h"
#include "fletch/v1/registry.pb.h"
#include "fletch/v1/serving.pb.h"

namespace fletch {
namespace {

grpc::ByteBuffer Bytes(const std::string& text, size_t slice_bytes = 1u << 20) {
  std::vector<grpc::Slice> slices;
  for (size_t at = 0; at < text.size(); at += slice_bytes) {
    slices.emplace_back(text.substr(at, slice_bytes));
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

std::string Message() {
  v1::GetOnlineFeaturesRequest request;
  request.set_project("demo");
  for (int i = 0; i < 100; ++i) request.add_features("view:field" + std::to_string(i));
  return request.SerializeAsString();
}

TEST(WireTest, ReadsOneSliceAndMany) {
  for (const size_t slice_bytes : {7, 100, 1 << 20}) {
    MessageArena arena;
    auto* request = arena.New<v1::GetOnlineFeaturesRequest>();
    ASSERT_TRUE(ParseMessage(Bytes(Message(), slice_bytes), request).ok()) << slice_bytes;
    EXPECT_EQ(request->features_size(), 100);
    EXPECT_EQ(request->SerializeAsString(), Message());
  }
}

TEST(WireTest, EmptyIsTheEmptyMessage) {
  v1::GetRequest request;
  EXPECT_TRUE(ParseMessage(Bytes(""), &request).ok());
}

TEST(WireTest, CutShortIsMalformed) {
  const std::string whole = Message();
  v1::GetOnlineFeaturesRequest request;
  for (const size_t slice_bytes : {7, 1 << 20}) {
    const absl::Status status =
        ParseMessage(Bytes(whole.substr(0, whole.size() - 1), slice_bytes), &request);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(ErrorReason(status), "MALFORMED_MESSAGE");
    EXPECT_NE(status.message().find("GetOnlineFeaturesRequest"), std::string::npos);
  }
}

TEST(WireTest, BadUtf8NamesTheField) {
  CaptureProtobufLog();
  v1::GetRequest request;
  const absl::Status status = ParseMessage(Bytes(std::string("\x0a\x02\xff\xfe", 4)), &request);
  EXPECT_EQ(ErrorReason(status), "MALFORMED_MESSAGE");
  EXPECT_NE(status.message().find("fletch.v1.GetRequest.project"), std::string::npos)
      << status.message();
  // What was said of one message is not said of the next.
  const absl::Status next = ParseMessage(Bytes("\x0a\x7f"), &request);
  EXPECT_EQ(next.message().find("UTF-8"), std::string::npos) << next.message();
}

TEST(WireTest, RefusesAnswersBeyondTheLimit) {
  v1::GetResponse response;
  response.mutable_object()->mutable_project()->set_description(std::string(1000, 'x'));
  grpc::ByteBuffer bytes;
  const size_t size = response.ByteSizeLong();
  ASSERT_TRUE(SerializeMessage(response, size, &bytes).ok());
  EXPECT_EQ(bytes.Length(), size);
  const absl::Status status = SerializeMessage(response, size - 1, &bytes);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(status), "MESSAGE_TOO_LARGE");
}

TEST(WireTest, ArenasOfOneThreadDoNotShareABlock) {
  MessageArena outer;
  auto* kept = outer.New<v1::GetRequest>();
  kept->set_project(std::string(200, 'a'));
  for (int i = 0; i < 2; ++i) {
    MessageArena inner;
    for (int j = 0; j < 100; ++j) inner.New<v1::GetRequest>()->set_project(std::string(200, 'b'));
  }
  EXPECT_EQ(kept->project(), std::string(200, 'a'));
}

}  // namespace
}  // namespace fletch
