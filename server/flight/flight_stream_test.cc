// SPDX-License-Identifier: Apache-2.0
#include "server/flight/flight_stream.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/status.h"
#include "server/flight/flight_data.h"
#include "server/flight/flight_wire.grpc.pb.h"
#include "server/rpc/wire.h"

namespace fletch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

grpc::ByteBuffer Text(const std::string& text) {
  flight::FlightData data;
  data.set_app_metadata(text);
  grpc::ByteBuffer bytes;
  EXPECT_TRUE(SerializeMessage(data, 64u << 20, &bytes).ok());
  return bytes;
}

std::string TextOf(const grpc::ByteBuffer& bytes) {
  flight::FlightData data;
  EXPECT_TRUE(ParseMessage(bytes, &data).ok());
  return data.app_metadata();
}

// "xN" is answered with N times "x", a step each; "later" by another thread; "fail" is an error.
class Repeater final : public FlightStream {
 public:
  Repeater(Method* method, grpc::CallbackServerContext* context, const Options& options,
           std::atomic<int>* steps)
      : FlightStream(method, context, options), steps_(steps) {}

 private:
  absl::StatusOr<Next> Step(std::vector<grpc::ByteBuffer> input, bool closed) override {
    ++*steps_;
    if (closed) {
      Send(Text("end"));
      return Next::kDone;
    }
    for (const grpc::ByteBuffer& message : input) {
      const std::string text = TextOf(message);
      if (text == "fail") return InvalidArgument("as was asked", "columns.x");
      if (text == "later") {
        AnswerLater();
      } else {
        what_ = text.substr(0, text.size() - 1);
        left_ = text.back() - '0';
      }
    }
    if (left_ > 0) {
      Send(Text(what_));
      --left_;
    }
    return left_ > 0 ? Next::kMore : Next::kInput;
  }

  void AnswerLater() {
    auto self = std::static_pointer_cast<Repeater>(shared_from_this());
    std::thread([self, place = Owe()] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      self->Answer(place, Text("late"));
    }).detach();
  }

  std::atomic<int>* const steps_;
  std::string what_;
  int left_ = 0;
};

using RawService = flight::FlightService::WithRawCallbackMethod_DoExchange<
    flight::FlightService::WithRawCallbackMethod_DoGet<flight::FlightService::Service>>;

class FlightStreamTest : public ::testing::Test, public RawService {
 protected:
  FlightStreamTest() {
    host_.SetServing(nullptr);
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    stub_ = flight::FlightService::NewStub(grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
                                                               grpc::InsecureChannelCredentials()));
  }
  ~FlightStreamTest() override {
    EXPECT_TRUE(Empty());
    server_->Shutdown();
    server_->Wait();
    host_.StopExecutors();
  }

  RawBidi* DoExchange(grpc::CallbackServerContext* context) override {
    return FlightStream::StartBidi(
        std::make_shared<Repeater>(&method_, context, options_, &steps_));
  }
  RawWriter* DoGet(grpc::CallbackServerContext* context, const grpc::ByteBuffer*) override {
    return FlightStream::StartWriter(
        std::make_shared<Repeater>(&method_, context, options_, &steps_));
  }

  // Waits until no call is in flight.
  bool Empty() {
    for (int i = 0; i < 500 && host_.admission()->in_flight() > 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return host_.admission()->in_flight() == 0;
  }

  using Stream = grpc::ClientReaderWriter<flight::FlightData, flight::FlightData>;

  static bool Write(Stream* stream, const std::string& text) {
    flight::FlightData data;
    data.set_app_metadata(text);
    return stream->Write(data);
  }
  static std::vector<std::string> ReadAll(Stream* stream) {
    std::vector<std::string> texts;
    flight::FlightData data;
    while (stream->Read(&data)) texts.push_back(data.app_metadata());
    return texts;
  }

  static RpcOptions Limits() {
    RpcOptions options;
    options.max_streams = 2;
    return options;
  }

  FlightStream::Options options_;
  std::atomic<int> steps_{0};
  MetricRegistry metrics_;
  SystemClock clock_;
  RpcHost host_{Limits(), &metrics_, &clock_};
  Method method_{&host_, "FlightService/Test"};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<flight::FlightService::Stub> stub_;
};

TEST_F(FlightStreamTest, AMessageMayHaveAnyNumberOfAnswers) {
  grpc::ClientContext context;
  const auto stream = stub_->DoExchange(&context);
  for (const char* text : {"a3", "b0", "c1", "d2"}) EXPECT_TRUE(Write(stream.get(), text));
  stream->WritesDone();
  EXPECT_THAT(ReadAll(stream.get()), ElementsAre("a", "a", "a", "c", "d", "d", "end"));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(FlightStreamTest, AnAnswerIsNotKeptUntilTheNextMessage) {
  grpc::ClientContext context;
  const auto stream = stub_->DoExchange(&context);
  flight::FlightData data;
  for (const char* text : {"a1", "b1"}) {
    EXPECT_TRUE(Write(stream.get(), text));
    ASSERT_TRUE(stream->Read(&data));
    EXPECT_EQ(data.app_metadata(), std::string(1, text[0]));
  }
  stream->WritesDone();
  EXPECT_THAT(ReadAll(stream.get()), ElementsAre("end"));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(FlightStreamTest, AStepThatLingersGetsAllThatComesUntilTheClientCloses) {
  options_ = {.in_messages = 16, .step_messages = 16, .linger_ms = 30'000, .linger_ms_max = 60'000};
  grpc::ClientContext context;
  const auto stream = stub_->DoExchange(&context);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(Write(stream.get(), "a0"));
  EXPECT_TRUE(Write(stream.get(), "b1"));
  stream->WritesDone();
  EXPECT_THAT(ReadAll(stream.get()), ElementsAre("b", "end"));
  EXPECT_EQ(steps_, 2);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(FlightStreamTest, WhoWaitsForEachAnswerIsLingeredForOnce) {
  options_ = {.in_messages = 16, .step_messages = 16, .linger_ms = 500, .linger_ms_max = 1000};
  grpc::ClientContext context;
  const auto stream = stub_->DoExchange(&context);
  const int64_t begin = SteadyMicros();
  constexpr int kExchanges = 30;
  flight::FlightData data;
  for (int i = 0; i < kExchanges; ++i) {
    EXPECT_TRUE(Write(stream.get(), "a1"));
    ASSERT_TRUE(stream->Read(&data));
  }
  EXPECT_LT(SteadyMicros() - begin, kExchanges / 2 * 500'000);
  stream->WritesDone();
  EXPECT_THAT(ReadAll(stream.get()), ElementsAre("end"));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(FlightStreamTest, ACancelEndsALinger) {
  options_ = {.in_messages = 16, .step_messages = 16, .linger_ms = 60'000, .linger_ms_max = 60'000};
  grpc::ClientContext context;
  const auto stream = stub_->DoExchange(&context);
  EXPECT_TRUE(Write(stream.get(), "a1"));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Empty());  // long before the linger's end
}

TEST_F(FlightStreamTest, LateAnswersKeepTheirPlaces) {
  options_.out_messages = 8;
  grpc::ClientContext context;
  const auto stream = stub_->DoExchange(&context);
  for (const char* text : {"later", "a1", "later", "b1"}) EXPECT_TRUE(Write(stream.get(), text));
  stream->WritesDone();
  EXPECT_THAT(ReadAll(stream.get()), ElementsAre("late", "a", "late", "b", "end"));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(FlightStreamTest, AnErrorComesBehindWhatWasOwed) {
  options_.out_messages = 8;
  grpc::ClientContext context;
  const auto stream = stub_->DoExchange(&context);
  for (const char* text : {"a2", "later", "fail", "b1"}) Write(stream.get(), text);
  stream->WritesDone();
  EXPECT_THAT(ReadAll(stream.get()), ElementsAre("a", "a", "late"));
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "columns.x: as was asked");
}

TEST_F(FlightStreamTest, ACallWithoutMessagesRunsToItsEnd) {
  grpc::ClientContext context;
  const auto reader = stub_->DoGet(&context, {});
  flight::FlightData data;
  ASSERT_TRUE(reader->Read(&data));
  EXPECT_EQ(data.app_metadata(), "end");
  EXPECT_FALSE(reader->Read(&data));
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(FlightStreamTest, WhoDoesNotReadStopsTheWork) {
  grpc::ClientContext context;
  const auto stream = stub_->DoExchange(&context);
  const std::string large(1u << 20, 'x');
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(Write(stream.get(), large + "9"));
  int before = -1;
  for (int i = 0; i < 200 && before != steps_; ++i) {
    before = steps_;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  EXPECT_LT(steps_, 20) << "36 answers of 1 MiB were made ready for nobody";
  stream->WritesDone();
  EXPECT_THAT(ReadAll(stream.get()), SizeIs(37));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(FlightStreamTest, ACancelledStreamEnds) {
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    const auto stream = stub_->DoExchange(&context);
    for (const char* text : {"later", "a9", "later", "b9"}) Write(stream.get(), text);
    if (i % 2 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(i));
    context.TryCancel();
    ReadAll(stream.get());
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
    ASSERT_TRUE(Empty());
  }
}

TEST_F(FlightStreamTest, StreamsHaveALimit) {
  grpc::ClientContext contexts[3];
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < 2; ++i) {
    streams.push_back(stub_->DoExchange(&contexts[i]));
    EXPECT_TRUE(Write(streams.back().get(), "a1"));
    flight::FlightData data;
    EXPECT_TRUE(streams.back()->Read(&data));
  }
  const auto refused = stub_->DoExchange(&contexts[2]);
  EXPECT_THAT(ReadAll(refused.get()), IsEmpty());
  const grpc::Status status = refused->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("max_streams"));
  for (const auto& stream : streams) {
    stream->WritesDone();
    EXPECT_THAT(ReadAll(stream.get()), ElementsAre("end"));
    EXPECT_TRUE(stream->Finish().ok());
  }
}

TEST_F(FlightStreamTest, DrainingEndsThoseThatWantItTo) {
  options_.ends_when_draining = true;
  options_.out_messages = 8;
  grpc::ClientContext put_context;
  const auto put = stub_->DoExchange(&put_context);
  flight::FlightData data;
  EXPECT_TRUE(Write(put.get(), "a1"));
  EXPECT_TRUE(put->Read(&data));
  EXPECT_TRUE(Write(put.get(), "later"));
  options_.ends_when_draining = false;
  grpc::ClientContext join_context;
  const auto join = stub_->DoExchange(&join_context);
  EXPECT_TRUE(Write(join.get(), "b1"));
  EXPECT_TRUE(join->Read(&data));
  while (steps_ < 3) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  host_.admission()->BeginDrain();
  EXPECT_THAT(ReadAll(put.get()), ElementsAre("late"));
  EXPECT_EQ(put->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(Write(join.get(), "c1"));
  join->WritesDone();
  EXPECT_THAT(ReadAll(join.get()), ElementsAre("c", "end"));
  EXPECT_TRUE(join->Finish().ok());
}

}  // namespace
}  // namespace fletch
