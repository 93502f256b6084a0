// SPDX-License-Identifier: Apache-2.0
// The client against a server of its own making, so that every answer and error is chosen here.
#include "fletch/client.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"
#include "fletch/v1/errors.pb.h"
#include "fletch/v1/historical.grpc.pb.h"
#include "fletch/v1/ingest.grpc.pb.h"
#include "fletch/v1/registry.grpc.pb.h"
#include "grpc_errors.h"

namespace fletch::client {
namespace {

template <typename Message>
void AddDetail(v1::ErrorStatus& status, const char* type, const Message& message) {
  google::protobuf::Any& any = *status.add_details();
  any.set_type_url(absl::StrCat("type.googleapis.com/google.rpc.", type));
  any.set_value(message.SerializeAsString());
}

grpc::Status Refusal() {
  v1::ErrorInfo info;
  info.set_reason("QUEUE_FULL");
  v1::BadRequest request;
  request.add_field_violations()->set_field("objects[0].entity.name");
  v1::RetryInfo retry;
  retry.mutable_retry_delay()->set_nanos(250'000'000);
  v1::ErrorStatus status;
  AddDetail(status, "ErrorInfo", info);
  AddDetail(status, "BadRequest", request);
  AddDetail(status, "RetryInfo", retry);
  return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "the queue is full",
                      status.SerializeAsString());
}

class Registry : public v1::RegistryService::Service {
  grpc::Status Apply(grpc::ServerContext*, const v1::ApplyRequest* request,
                     v1::ApplyResponse* response) override {
    if (request->objects_size() > 0) return Refusal();
    response->add_changes()->set_name(request->project());
    return grpc::Status::OK;
  }
  grpc::Status Get(grpc::ServerContext* context, const v1::GetRequest*, v1::GetResponse*) override {
    while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return grpc::Status::CANCELLED;
  }
};

// Refuses a request whose id is "bad", ends the stream at "end", answers no sooner than after 20
// ms.
class Ingest : public v1::IngestService::Service {
  grpc::Status WriteStream(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::WriteStreamResponse, v1::WriteRequest>* stream) override {
    v1::WriteRequest request;
    for (uint64_t index = 0; stream->Read(&request); ++index) {
      if (request.request_id() == "end") return Refusal();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      v1::WriteStreamResponse response;
      response.set_index(index);
      if (request.request_id() == "bad") {
        response.set_code(3);
        response.set_message("no such field");
        response.set_reason("INVALID_ARGUMENT");
        response.set_field("batches[0].columns.x");
      } else {
        response.mutable_result()->set_rows(request.batches(0).row_count());
        response.mutable_result()->set_commit_seq(index + 10);
      }
      stream->Write(response);
    }
    return grpc::Status::OK;
  }
};

// Answers each spine batch with its row count and a column of 64 KiB, so that nothing fits the
// transport's buffers.
class Historical : public v1::HistoricalService::Service {
  grpc::Status GetHistoricalFeatures(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::GetHistoricalFeaturesResponse, v1::GetHistoricalFeaturesRequest>*
          stream) override {
    v1::GetHistoricalFeaturesRequest request;
    while (stream->Read(&request)) {
      v1::GetHistoricalFeaturesResponse response;
      if (request.has_header()) {
        if (request.header().feature_service() == "nosuch") return Refusal();
        response.add_features()->set_ref(request.header().project());
        response.add_key_columns()->set_name("airport");
        response.add_context_columns()->set_name("hour");
      } else {
        response.set_row_count(request.spine().row_count());
        response.add_columns()->mutable_strings()->add_values(std::string(1 << 16, 'x'));
      }
      stream->Write(response);
    }
    return grpc::Status::OK;
  }
  // Keeps rows; when the set is named "full", no more than nine.
  grpc::Status CreateTrainingSet(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::CreateTrainingSetResponse, v1::CreateTrainingSetRequest>* stream)
      override {
    v1::CreateTrainingSetRequest request;
    v1::TrainingSet set;
    while (stream->Read(&request)) {
      v1::CreateTrainingSetResponse response;
      if (request.has_header()) {
        set.set_name(request.header().name());
        set.set_project(request.header().read().project());
      }
      set.set_row_count(set.row_count() + request.spine().row_count());
      if (set.name() == "full" && set.row_count() >= 10) return Refusal();
      response.set_row_count(set.row_count());
      if (request.has_finish()) *response.mutable_training_set() = set;
      stream->Write(response);
    }
    return grpc::Status::OK;
  }
  grpc::Status DeleteTrainingSet(grpc::ServerContext*, const v1::DeleteTrainingSetRequest* request,
                                 v1::DeleteTrainingSetResponse*) override {
    return request->project() == "demo" && request->name() == "q1" ? grpc::Status::OK : Refusal();
  }
};

class ClientTest : public testing::Test {
 protected:
  void SetUp() override {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&registry_);
    builder.RegisterService(&ingest_);
    builder.RegisterService(&historical_);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  void TearDown() override { server_->Shutdown(); }

  Client Connected(Options options = {.project = "demo"}) {
    return *Client::Connect(address_, std::move(options));
  }

  static v1::WriteRequest Request(uint64_t rows, const std::string& id = "") {
    v1::WriteRequest request;
    request.set_request_id(id);
    request.add_batches()->set_row_count(rows);
    return request;
  }

  Registry registry_;
  Ingest ingest_;
  Historical historical_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

TEST_F(ClientTest, PutsTheProjectInUnlessOneIsNamed) {
  Client client = Connected();
  EXPECT_EQ(client.Apply({})->changes(0).name(), "demo");
  v1::ApplyRequest request;
  request.set_project("other");
  EXPECT_EQ(client.Apply(request)->changes(0).name(), "other");
}

TEST_F(ClientTest, CarriesCodeMessageReasonFieldAndRetryHint) {
  v1::ApplyRequest request;
  request.add_objects();
  const absl::Status status = Connected().Apply(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "the queue is full");
  EXPECT_EQ(ErrorReason(status), "QUEUE_FULL");
  EXPECT_EQ(ErrorField(status), "objects[0].entity.name");
  EXPECT_EQ(ErrorRetryAfter(status), absl::Milliseconds(250));
}

TEST_F(ClientTest, EndsACallAtItsDeadline) {
  Client client = Connected({.call_timeout = absl::Milliseconds(100)});
  EXPECT_EQ(client.Get({}).status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(Connect, SaysThatNobodyAnswers) {
  auto client = Client::Connect("127.0.0.1:1", {.connect_timeout = absl::Milliseconds(200)});
  EXPECT_EQ(client.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ErrorReason(client.status()), "CONNECTION_FAILED");
  EXPECT_NE(client.status().message().find("127.0.0.1:1"), std::string::npos);
}

TEST_F(ClientTest, WriteStreamCountsCommitsAndKeepsTheFirstRefusal) {
  std::vector<uint64_t> acked;
  Client client = Connected();
  WriteStream stream =
      client.OpenWriteStream({.on_ack = [&](const WriteAck& ack) { acked.push_back(ack.index); }});
  for (const char* id : {"", "bad", ""}) ASSERT_TRUE(stream.Send(Request(5, id)).ok());
  const absl::StatusOr<WriteSummary> summary = stream.Finish();
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->requests_committed, 2u);
  EXPECT_EQ(summary->requests_refused, 1u);
  EXPECT_EQ(summary->rows_committed, 10u);
  EXPECT_EQ(summary->last_commit_seq, 12u);
  EXPECT_EQ(ErrorField(summary->first_refusal), "batches[0].columns.x");
  EXPECT_EQ(ErrorReason(summary->first_refusal), "INVALID_ARGUMENT");
  EXPECT_EQ(acked, (std::vector<uint64_t>{0, 1, 2}));
  EXPECT_EQ(stream.Finish().status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ClientTest, SendWaitsForRoom) {
  Client client = Connected();
  WriteStream stream = client.OpenWriteStream({.in_flight_max = 2});
  for (uint64_t sent = 1; sent <= 8; ++sent) {
    ASSERT_TRUE(stream.Send(Request(1)).ok());
    // At most two are open, so all but two are acknowledged by now.
    EXPECT_GE(stream.Progress().requests_committed + 2, sent);
  }
  EXPECT_EQ(stream.Finish()->requests_committed, 8u);
}

TEST_F(ClientTest, AStreamTheDaemonEndsSaysWhy) {
  Client client = Connected();
  WriteStream stream = client.OpenWriteStream({.in_flight_max = 1});
  absl::Status status = stream.Send(Request(1, "end"));
  if (status.ok()) status = stream.Send(Request(1));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(stream.Send(Request(1)).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ClientTest, AnUnfinishedStreamCanBeDropped) {
  Client client = Connected();
  WriteStream stream = client.OpenWriteStream();
  EXPECT_TRUE(stream.Send(Request(1)).ok());
}

TEST_F(ClientTest, TrainingReadSendsAndReadsAtOnce) {
  constexpr uint64_t kBatches = 200;  // 12 MiB each way: more than the transport buffers
  uint64_t given = 0;
  std::vector<uint64_t> rows;
  const absl::Status status = Connected().GetHistoricalFeatures(
      {},
      [&]() -> absl::StatusOr<std::optional<v1::SpineBatch>> {
        if (given == kBatches) return std::nullopt;
        v1::SpineBatch batch;
        batch.set_row_count(++given);
        (*batch.mutable_keys())["k"] = Strings({std::string(1 << 16, 'y')});
        return batch;
      },
      [&](v1::GetHistoricalFeaturesResponse response) {
        if (response.features_size() > 0) {
          EXPECT_EQ(response.features(0).ref(), "demo");
        } else {
          rows.push_back(response.row_count());
        }
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  ASSERT_EQ(rows.size(), kBatches);
  for (uint64_t i = 0; i < kBatches; ++i) EXPECT_EQ(rows[i], i + 1);
}

TEST_F(ClientTest, TrainingReadStopsWithTheErrorOfSourceOrSink) {
  const auto endless = []() -> absl::StatusOr<std::optional<v1::SpineBatch>> {
    return v1::SpineBatch();
  };
  const auto broken = []() -> absl::StatusOr<std::optional<v1::SpineBatch>> {
    return absl::DataLossError("line 3");
  };
  const auto accept = [](const v1::GetHistoricalFeaturesResponse&) { return absl::OkStatus(); };
  const auto refuse = [](const v1::GetHistoricalFeaturesResponse&) {
    return absl::AbortedError("disk full");
  };
  EXPECT_EQ(Connected().GetHistoricalFeatures({}, broken, accept).message(), "line 3");
  EXPECT_EQ(Connected().GetHistoricalFeatures({}, endless, refuse).message(), "disk full");
  int answers = 0;
  const auto refuse_the_second = [&](const v1::GetHistoricalFeaturesResponse&) {
    return ++answers == 2 ? absl::AbortedError("disk full") : absl::OkStatus();
  };
  EXPECT_EQ(Connected().GetHistoricalFeatures({}, endless, refuse_the_second).message(),
            "disk full");
}

// A source of `batches` batches of one row.
SpineSource Batches(int batches) {
  return [left = batches]() mutable -> absl::StatusOr<std::optional<v1::SpineBatch>> {
    if (left-- == 0) return std::nullopt;
    v1::SpineBatch batch;
    batch.set_row_count(1);
    return batch;
  };
}

TEST_F(ClientTest, TrainingReadAsksTheSourceAfterTheHeadersAnswerAndWhenThereIsRoom) {
  std::atomic<int> answered = -1;  // 0 with the header's
  int given = 0;
  const SpineSource source = [&]() -> absl::StatusOr<std::optional<v1::SpineBatch>> {
    EXPECT_LE(given - answered, 2);
    EXPECT_GE(answered, 0) << "asked before the header's answer was taken";
    if (++given > 50) return std::nullopt;
    v1::SpineBatch batch;
    batch.set_row_count(1);
    return batch;
  };
  const auto sink = [&](const v1::GetHistoricalFeaturesResponse&) {
    ++answered;
    return absl::OkStatus();
  };
  EXPECT_TRUE(Connected().GetHistoricalFeatures({}, source, sink, {.in_flight_max = 3}).ok());
  EXPECT_EQ(answered, 50);
}

TEST_F(ClientTest, DescribesATrainingReadWithoutASpine) {
  const auto answer = Connected().DescribeHistoricalFeatures({});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->features(0).ref(), "demo");
  EXPECT_EQ(answer->key_columns(0).name(), "airport");
  EXPECT_EQ(answer->context_columns(0).name(), "hour");
  v1::HistoricalHeader header;
  header.set_feature_service("nosuch");
  EXPECT_EQ(ErrorReason(Connected().DescribeHistoricalFeatures(header).status()), "QUEUE_FULL");
}

TEST_F(ClientTest, CreatesATrainingSetWholeOrNotAtAll) {
  v1::TrainingSetHeader header;
  header.set_name("q1");
  std::vector<uint64_t> kept;
  const auto on_rows = [&](uint64_t rows) {
    kept.push_back(rows);
    return absl::OkStatus();
  };
  const auto set = Connected().CreateTrainingSet(header, Batches(3), on_rows);
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(set->project(), "demo");
  EXPECT_EQ(set->row_count(), 3u);
  EXPECT_EQ(kept, (std::vector<uint64_t>{0, 1, 2, 3, 3}));
  EXPECT_EQ(Connected().CreateTrainingSet(header, Batches(3))->row_count(), 3u);
  header.set_name("full");
  EXPECT_EQ(ErrorReason(Connected().CreateTrainingSet(header, Batches(1000)).status()),
            "QUEUE_FULL");
  const auto broken = []() -> absl::StatusOr<std::optional<v1::SpineBatch>> {
    return absl::DataLossError("line 3");
  };
  EXPECT_EQ(Connected().CreateTrainingSet(header, broken).status().message(), "line 3");
}

TEST_F(ClientTest, TrainingSetCallsNameTheProject) {
  v1::DeleteTrainingSetRequest request;
  request.set_name("q1");
  EXPECT_TRUE(Connected().DeleteTrainingSet(request).ok());
}

TEST(Columns, HoldValuesAndNulls) {
  const v1::Column column = Doubles({1.5, 0, 2.5}, {1});
  EXPECT_EQ(column.doubles().values_size(), 3);
  EXPECT_EQ(column.null_rows(0), 1u);
  EXPECT_EQ(Vectors(2, {1, 2, 3, 4}).vectors().values_size(), 4);
  EXPECT_EQ(Times({absl::FromUnixNanos(-1)}).micros(0), -1) << "floored, not cut";
}

TEST(Columns, StatusesLeftOutMeanPresent) {
  v1::Column column;
  EXPECT_EQ(Statuses(column, 2), (std::vector<v1::CellStatus>{v1::PRESENT, v1::PRESENT}));
  column.add_statuses(v1::NOT_FOUND);
  EXPECT_EQ(Statuses(column, 1), std::vector<v1::CellStatus>{v1::NOT_FOUND});
}

TEST(Time, ReadsWhatPeopleWrite) {
  constexpr int64_t kNoon = 980942400000000;
  for (const char* text : {"2001-01-31T12:00:00Z", "2001-01-31T13:00:00+01:00",
                           "2001-01-31 12:00:00Z", "2001-01-31 12:00:00", "2001-01-31T12:00"}) {
    EXPECT_EQ(*ParseTimeMicros(text), kNoon) << text;
  }
  EXPECT_EQ(*ParseTimeMicros("2001-01-31"), kNoon - 43'200'000'000);
  EXPECT_EQ(*ParseTimeMicros("2001-01-31T12:00:00.0000019Z"), kNoon + 1);
  EXPECT_EQ(*ParseTimeMicros("1969-12-31T23:59:59.9999999Z"), -1);
  EXPECT_EQ(*ParseTimeMicros("0001-01-01T00:00:00Z"), -62135596800000000);
  EXPECT_EQ(*ParseTimeMicros("9999-12-31T23:59:59.999999Z"), 253402300799999999);
}

TEST(Time, RefusesTheRest) {
  for (const char* text :
       {"", "infinite-future", "2001", "yesterday", "2001-02-30T00:00:00Z", "10000-01-01T00:00:00Z",
        "0000-12-31T00:00:00Z", "2001-01-31T12:00:00Zx", "980942400"}) {
    EXPECT_FALSE(ParseTimeMicros(text).ok()) << text;
  }
}

TEST(Time, FormatsWhatItReads) {
  EXPECT_EQ(FormatTimeMicros(980942400500000), "2001-01-31T12:00:00.5Z");
  EXPECT_EQ(FormatTimeMicros(-62135596800000000), "0001-01-01T00:00:00Z");
}

}  // namespace
}  // namespace fletch::client
