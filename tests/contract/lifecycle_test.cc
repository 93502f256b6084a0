// SPDX-License-Identifier: Apache-2.0
// Full queues, draining, stuck clients, a taken port or folder, health.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "tests/contract/daemon_process.h"
#include "tests/contract/fixture.h"

namespace fletch {
namespace {

using grpc::StatusCode;

std::string Header() {
  v1::GetHistoricalFeaturesRequest message;
  *message.mutable_header() = GoodHeader();
  return message.SerializeAsString();
}

std::string Spine() {
  v1::GetHistoricalFeaturesRequest message;
  *message.mutable_spine() = GoodSpine();
  return message.SerializeAsString();
}

// grpc.health.v1's answer for a service: 1 serving, 2 not serving, 0 an error.
int Health(WireClient* client, const std::string& service) {
  const std::string request = "\x0a" + std::string(1, static_cast<char>(service.size())) + service;
  const Outcome outcome = client->Unary("/grpc.health.v1.Health/Check", request);
  return outcome.bytes.size() == 2 && outcome.bytes[0] == '\x08' ? outcome.bytes[1] : 0;
}

// A join that was let in and waits for its client.
std::unique_ptr<WireClient::Stream> OpenJoin(WireClient* client) {
  auto stream = client->Open(kJoin);
  stream->Write(Header());
  EXPECT_TRUE(stream->Read().has_value());
  return stream;
}

TEST(LifecycleTest, HealthIsToldPerService) {
  WireClient* client = SharedClient();
  ASSERT_NE(client, nullptr);
  for (const char* service :
       {"fletch.v1.RegistryService", "fletch.v1.IngestService", "fletch.v1.ServingService",
        "fletch.v1.HistoricalService", "fletch.v1.VectorService", "fletch.v1.AdminService"}) {
    EXPECT_EQ(Health(client, service), 1) << service;
  }
  EXPECT_EQ(Health(client, "fletch.v1.NoService"), 0);
}

TEST(LifecycleTest, ExpiredCallsAreNotWorkedOn) {
  DaemonProcess daemon({"--read-threads=1"});
  ASSERT_TRUE(daemon.WaitUntilReady()) << daemon.Output();
  WireClient client(daemon.address());
  LoadProject(&client);
  // The only read thread waits for a commit that does not come; the search behind it expires in the
  // queue.
  v1::GetOnlineFeaturesRequest waiting = GoodOnline();
  waiting.set_min_seq(1'000'000'000);
  std::thread waiter([&client, bytes = waiting.SerializeAsString()] {
    EXPECT_NE(client.Unary(kOnline, bytes, 1000).code, StatusCode::OK);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  v1::SearchRequest search = GoodSearch();
  search.add_features(
      "face:emb");  // what a hit carries may have to be read: not on a transport thread
  const Outcome outcome = client.Unary(kSearch, search.SerializeAsString(), 200);
  EXPECT_EQ(outcome.code, StatusCode::DEADLINE_EXCEEDED) << outcome.Text();
  waiter.join();
  ASSERT_EQ(client.Ask(kSearch, search).code, StatusCode::OK);  // behind it in the same queue
  const std::string metrics = daemon.Metrics();
  const std::string calls = "fletch_requests_total{code=\"";
  const std::string method = "\",method=\"VectorService/Search\"} 1";
  EXPECT_TRUE(metrics.find(calls + "DEADLINE_EXCEEDED" + method) != std::string::npos ||
              metrics.find(calls + "CANCELLED" + method) != std::string::npos)
      << metrics;
  EXPECT_NE(metrics.find(calls + "OK" + method), std::string::npos) << metrics;
}

TEST(LifecycleTest, FullIsSaidAtOnce) {
  DaemonProcess daemon({"--max-streams=1", "--max-in-flight=3"});
  ASSERT_TRUE(daemon.WaitUntilReady()) << daemon.Output();
  WireClient client(daemon.address());
  LoadProject(&client);
  auto join = OpenJoin(&client);
  auto refused = client.Open(kJoin);
  refused->Write(Header());
  EXPECT_FALSE(refused->Read().has_value());
  const Outcome stream_full = refused->Finish();
  EXPECT_EQ(stream_full.code, StatusCode::RESOURCE_EXHAUSTED) << stream_full.Text();
  EXPECT_EQ(stream_full.reason, "QUEUE_FULL");
  EXPECT_GT(stream_full.retry_ms, 0);

  // One join and one write stream leave room for one call; a look-up that waits for a commit takes
  // it.
  auto writes = client.Open(kWriteStream);
  writes->Write(GoodWrite(5).SerializeAsString());
  ASSERT_TRUE(writes->Read().has_value());
  EXPECT_EQ(client.Ask(kOnline, GoodOnline()).code, StatusCode::OK);
  v1::GetOnlineFeaturesRequest waiting = GoodOnline();
  waiting.set_min_seq(1'000'000'000);
  std::thread waiter([&client, bytes = waiting.SerializeAsString()] {
    const Outcome outcome = client.Unary(kOnline, bytes, 1500);
    EXPECT_TRUE(outcome.code == StatusCode::FAILED_PRECONDITION ||
                outcome.code == StatusCode::DEADLINE_EXCEEDED)
        << outcome.Text();
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const Outcome full = client.Ask(kOnline, GoodOnline());
  EXPECT_EQ(full.code, StatusCode::RESOURCE_EXHAUSTED) << full.Text();
  EXPECT_EQ(full.reason, "QUEUE_FULL");
  EXPECT_GT(full.retry_ms, 0);
  waiter.join();
  EXPECT_EQ(client.Ask(kOnline, GoodOnline()).code, StatusCode::OK) << "room again";
}

TEST(LifecycleTest, DrainFinishesWhatIsAcceptedAndRefusesTheRest) {
  DaemonProcess daemon({"--drain-budget-ms=20000"});
  ASSERT_TRUE(daemon.WaitUntilReady()) << daemon.Output();
  WireClient client(daemon.address());
  LoadProject(&client);
  auto join = OpenJoin(&client);
  auto writes = client.Open(kWriteStream);
  writes->Write(GoodWrite(5).SerializeAsString());
  ASSERT_TRUE(writes->Read().has_value());

  daemon.Signal(SIGTERM);
  EXPECT_FALSE(writes->Read().has_value()) << "an idle write stream is ended";
  const Outcome ended = writes->Finish();
  EXPECT_EQ(ended.code, StatusCode::UNAVAILABLE) << ended.Text();
  EXPECT_EQ(ended.reason, "DRAINING");
  const Outcome refused = client.Ask(kWrite, GoodWrite(6));
  EXPECT_EQ(refused.code, StatusCode::UNAVAILABLE) << refused.Text();
  EXPECT_EQ(refused.reason, "DRAINING");
  EXPECT_GT(refused.retry_ms, 0);
  EXPECT_EQ(client.Ask(kOnline, GoodOnline()).code, StatusCode::UNAVAILABLE);
  EXPECT_EQ(Health(&client, "fletch.v1.ServingService"), 2);
  const auto status = client.Get<v1::GetStatusResponse>(kStatus, v1::GetStatusRequest());
  EXPECT_EQ(status.state(), "draining");

  ASSERT_TRUE(join->Write(Spine())) << "an accepted join goes on";
  const auto answer = join->Read();
  ASSERT_TRUE(answer.has_value());
  v1::GetHistoricalFeaturesResponse rows;
  ASSERT_TRUE(rows.ParseFromString(*answer));
  EXPECT_EQ(rows.row_count(), 2u);
  EXPECT_EQ(daemon.WaitForExit(0), -1);
  join->WritesDone();
  EXPECT_FALSE(join->Read().has_value());
  EXPECT_EQ(join->Finish().code, StatusCode::OK);
  EXPECT_EQ(daemon.WaitForExit(10'000), 0) << daemon.Output();
}

TEST(LifecycleTest, StuckClientsDoNotHoldTheProcess) {
  DaemonProcess daemon({"--drain-budget-ms=2000"});
  ASSERT_TRUE(daemon.WaitUntilReady()) << daemon.Output();
  WireClient client(daemon.address());
  LoadProject(&client);
  auto join = OpenJoin(&client);
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.WaitForExit(4000), 0) << daemon.Output();
  EXPECT_FALSE(join->Read().has_value());
  EXPECT_NE(join->Finish().code, StatusCode::OK);
}

TEST(LifecycleTest, AcknowledgedWritesAreThereAfterARestart) {
  const std::string folder =
      testing::TempDir() + "/fletch_contract_restart_" + std::to_string(getpid());
  Snapshot before;
  {
    DaemonProcess daemon({}, folder);
    ASSERT_TRUE(daemon.WaitUntilReady()) << daemon.Output();
    WireClient client(daemon.address());
    LoadProject(&client);
    before = TakeSnapshot(&client);
    daemon.Signal(SIGINT);
    EXPECT_EQ(daemon.WaitForExit(20'000), 0) << daemon.Output();
  }
  DaemonProcess daemon({}, folder);
  ASSERT_TRUE(daemon.WaitUntilReady()) << daemon.Output();
  WireClient client(daemon.address());
  EXPECT_EQ(TakeSnapshot(&client), before);
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.WaitForExit(20'000), 0) << daemon.Output();
  std::filesystem::remove_all(folder);
}

TEST(LifecycleTest, ATakenPortOrFolderIsAClearMessage) {
  DaemonProcess first;
  ASSERT_TRUE(first.WaitUntilReady()) << first.Output();
  DaemonProcess same_port({}, "", first.address());
  EXPECT_FALSE(same_port.WaitUntilReady());
  EXPECT_EQ(same_port.WaitForExit(10'000), 1);
  EXPECT_NE(same_port.Output().find("--listen"), std::string::npos) << same_port.Output();
  EXPECT_NE(same_port.Output().find(first.address()), std::string::npos) << same_port.Output();
  DaemonProcess same_folder({}, first.data_dir());
  EXPECT_FALSE(same_folder.WaitUntilReady());
  EXPECT_EQ(same_folder.WaitForExit(10'000), 1);
  EXPECT_NE(same_folder.Output().find(first.data_dir()), std::string::npos) << same_folder.Output();
}

TEST(LifecycleTest, UnknownSettingsEndTheProcess) {
  DaemonProcess daemon({"--lisen=1"});
  EXPECT_FALSE(daemon.WaitUntilReady());
  EXPECT_EQ(daemon.WaitForExit(10'000), 2);
  EXPECT_NE(daemon.Output().find("--lisen"), std::string::npos);
}

}  // namespace
}  // namespace fletch
