// SPDX-License-Identifier: Apache-2.0
// Training reads over a channel: groups of batches, order, back-pressure, early ends.
#include "server/rpc/join_stream.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "fletch/v1/historical.grpc.pb.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "server/engine/engine.h"
#include "server/rpc/rpc_host.h"
#include "server/rpc/services.h"
#include "storage/memory_kv_store.h"

namespace fletch {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kNow = 1000 * kSecond;

// User u has x = 100 · u since 10 s and 100 · u + 1 since 20 s, for u below kUsers.
class JoinStreamTest : public testing::Test {
 protected:
  static constexpr int64_t kUsers = 50;
  using Stream =
      grpc::ClientReaderWriter<v1::GetHistoricalFeaturesRequest, v1::GetHistoricalFeaturesResponse>;

  JoinStreamTest() {
    auto engine = Engine::Open(NewMemoryKvStore(), &clock_, &metrics_, {.background = false});
    EXPECT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
    Apply();
    for (const int64_t at : {10, 20}) Write(at * kSecond, at == 10 ? 0 : 1);
    host_.SetServing(engine_.get());
    service_ = MakeHistoricalService(&host_);
    grpc::ServerBuilder builder;
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    stub_ = v1::HistoricalService::NewStub(server_->InProcessChannel(grpc::ChannelArguments()));
  }

  // Hangs when a stream does not finish.
  ~JoinStreamTest() override {
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(20));
    host_.StopExecutors();
  }

  void Apply() {
    v1::ApplyRequest request;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
        "project: 'p' objects { entity { name: 'user' join_keys { name: 'user' type: INT64 } } }"
        "objects { feature_view { name: 'v' entity: 'user' fields { name: 'x' type: INT64 } } }",
        &request));
    ASSERT_TRUE(engine_->Apply(request).ok());
  }

  void Write(int64_t time, int64_t more) {
    Column users{.type = {ValueType::kInt64}, .row_count = kUsers};
    Column values{.type = {ValueType::kInt64}, .row_count = kUsers};
    for (int64_t user = 0; user < kUsers; ++user) {
      users.int64s.push_back(user);
      values.int64s.push_back(100 * user + more);
    }
    WriteRequest request;
    request.project = "p";
    request.batches.push_back(
        {"v", kUsers, {{"user", users}, {"x", values}}, std::vector<int64_t>(kUsers, time)});
    std::promise<absl::StatusOr<WriteReceipt>> done;
    engine_->Write(request, Call{}, [&](auto receipt) { done.set_value(std::move(receipt)); });
    ASSERT_TRUE(done.get_future().get().ok());
  }

  static v1::GetHistoricalFeaturesRequest Header() {
    v1::GetHistoricalFeaturesRequest request;
    request.mutable_header()->set_project("p");
    request.mutable_header()->add_features("v:x");
    return request;
  }

  // Rows that tell where they stand: user (first + i) % 60, at 9 to 21 s.
  static v1::GetHistoricalFeaturesRequest Batch(int64_t first, int64_t rows) {
    v1::GetHistoricalFeaturesRequest request;
    v1::SpineBatch* spine = request.mutable_spine();
    spine->set_row_count(rows);
    auto* users = (*spine->mutable_keys())["user"].mutable_int64s();
    for (int64_t i = first; i < first + rows; ++i) {
      users->add_values(i % 60);
      spine->mutable_timestamps()->add_micros((9 + i % 13) * kSecond);
    }
    return request;
  }
  static void ExpectBatch(const v1::GetHistoricalFeaturesResponse& answer, int64_t first,
                          int64_t rows) {
    ASSERT_EQ(static_cast<int64_t>(answer.row_count()), rows);
    ASSERT_EQ(answer.columns(0).int64s().values_size(), rows);
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t user = (first + i) % 60, time = 9 + (first + i) % 13;
      const bool found = user < kUsers && time >= 10;
      const auto status = answer.columns(0).statuses_size() == 0
                              ? v1::PRESENT
                              : answer.columns(0).statuses(static_cast<int>(i));
      ASSERT_EQ(status, found ? v1::PRESENT : v1::NOT_FOUND) << first + i;
      ASSERT_EQ(answer.columns(0).int64s().values(static_cast<int>(i)),
                found ? 100 * user + (time >= 20 ? 1 : 0) : 0)
          << first + i;
    }
  }

  FakeClock clock_{kNow};
  MetricRegistry metrics_;
  std::unique_ptr<Engine> engine_;
  RpcHost host_{RpcOptions{}, &metrics_, &clock_};
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::HistoricalService::Stub> stub_;
};

TEST_F(JoinStreamTest, TheHeadersAnswerSaysWhatASpineMustBring) {
  grpc::ClientContext context;
  auto stream = stub_->GetHistoricalFeatures(&context);
  ASSERT_TRUE(stream->Write(Header()));
  v1::GetHistoricalFeaturesResponse answer;
  ASSERT_TRUE(stream->Read(&answer));
  EXPECT_EQ(answer.features(0).resolved(), "v@v1:x");
  EXPECT_EQ(answer.features(0).type(), v1::INT64);
  ASSERT_EQ(answer.key_columns_size(), 1);
  EXPECT_EQ(answer.key_columns(0).name(), "user");
  EXPECT_EQ(answer.key_columns(0).type(), v1::INT64);
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&answer));
  EXPECT_TRUE(stream->Finish().ok());
}

// One writes as fast as it can; the other reads slowly at first, so that answers wait.
TEST_F(JoinStreamTest, AnswersComeInOrderHoweverFastBatchesCome) {
  constexpr int kBatches = 300;
  const auto rows_of = [](int i) { return int64_t{1} + i * 37 % 900; };
  grpc::ClientContext context;
  auto stream = stub_->GetHistoricalFeatures(&context);
  std::thread writer([&] {
    EXPECT_TRUE(stream->Write(Header()));
    int64_t first = 0;
    for (int i = 0; i < kBatches; first += rows_of(i++)) {
      EXPECT_TRUE(stream->Write(Batch(first, rows_of(i))));
    }
    stream->WritesDone();
  });
  v1::GetHistoricalFeaturesResponse answer;
  ASSERT_TRUE(stream->Read(&answer));
  int64_t first = 0;
  for (int i = 0; i < kBatches; first += rows_of(i++)) {
    if (i < 20) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ASSERT_TRUE(stream->Read(&answer)) << i;
    ExpectBatch(answer, first, rows_of(i));
  }
  EXPECT_FALSE(stream->Read(&answer));
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(JoinStreamTest, AClientMayWaitForEachAnswer) {
  grpc::ClientContext context;
  auto stream = stub_->GetHistoricalFeatures(&context);
  v1::GetHistoricalFeaturesResponse answer;
  ASSERT_TRUE(stream->Write(Header()));
  ASSERT_TRUE(stream->Read(&answer));
  for (int64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(stream->Write(Batch(i, 3)));
    ASSERT_TRUE(stream->Read(&answer));
    ExpectBatch(answer, i, 3);
  }
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(JoinStreamTest, ABadBatchEndsTheStream) {
  grpc::ClientContext context;
  auto stream = stub_->GetHistoricalFeatures(&context);
  ASSERT_TRUE(stream->Write(Header()));
  for (int i = 0; i < 5; ++i) stream->Write(Batch(i, 4));
  auto bad = Batch(0, 4);
  bad.mutable_spine()->mutable_timestamps()->mutable_micros()->RemoveLast();
  stream->Write(bad);
  stream->WritesDone();
  v1::GetHistoricalFeaturesResponse answer;
  while (stream->Read(&answer)) {
  }
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(status.error_message().find("3 values for 4 rows"), std::string::npos)
      << status.error_message();
}

TEST_F(JoinStreamTest, OrderOfParts) {
  for (const bool header_first : {false, true}) {
    grpc::ClientContext context;
    auto stream = stub_->GetHistoricalFeatures(&context);
    if (header_first) stream->Write(Header());
    stream->Write(header_first ? Header() : Batch(0, 1));
    stream->WritesDone();
    v1::GetHistoricalFeaturesResponse answer;
    while (stream->Read(&answer)) {
    }
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
}

// The fixture's shutdown returns only if these streams finish.
TEST_F(JoinStreamTest, ClientsThatLeaveAreForgotten) {
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    auto stream = stub_->GetHistoricalFeatures(&context);
    stream->Write(Header());
    for (int batch = 0; batch < i; ++batch) stream->Write(Batch(0, 20'000));
    v1::GetHistoricalFeaturesResponse answer;
    if (i % 2 == 0) stream->Read(&answer);
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
}

}  // namespace
}  // namespace fletch
