// SPDX-License-Identifier: Apache-2.0
#include "server/daemon.h"

#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/engine.h"
#include "server/flight/flight_service.h"
#include "server/metrics_http.h"
#include "server/rpc/rpc_host.h"
#include "server/rpc/services.h"
#include "server/rpc/wire.h"
#include "storage/rocksdb_kv_store.h"

namespace fletch {
namespace {

constexpr int kMaxMetadataBytes = 16 << 10;  // a token and a trace header fit well
constexpr int kMaxStreamsPerConnection =
    4096;                            // calls at once; admission refuses earlier and says so
constexpr int kMaxGrpcThreads = 64;  // reflection is served by blocking threads

RpcOptions RpcOptionsOf(const Config& config) {
  RpcOptions options;
  options.read_threads = static_cast<int>(config.read_threads);
  options.write_threads = static_cast<int>(config.write_threads);
  options.join_threads = static_cast<int>(config.join_threads);
  options.read_queue = config.read_queue;
  options.write_queue = config.write_queue;
  options.max_streams = config.max_streams;
  options.max_in_flight = config.max_in_flight;
  options.max_in_flight_bytes = config.max_in_flight_bytes;
  options.max_message_bytes = config.max_message;
  options.access_log = LogLevelOf(config) == LogLevel::kDebug;
  return options;
}

// gRPC's own words, in our form. Its errors are mostly about clients that went away.
void LogFromGrpc(gpr_log_func_args* args) {
  Log(LogLevel::kDebug, "grpc", {{"detail", args->message}});
}

// Ends the process when it is not called off in time: a drain must not last for ever.
class Watchdog {
 public:
  explicit Watchdog(int64_t budget_ms) : thread_([this, budget_ms] { Watch(budget_ms); }) {}
  ~Watchdog() {
    {
      MutexLock lock(&mu_);
      off_ = true;
      wake_.NotifyAll();
    }
    thread_.join();
  }

 private:
  void Watch(int64_t budget_ms) {
    const int64_t end = SteadyMicros() + budget_ms * 1000;
    MutexLock lock(&mu_);
    while (!off_) {
      const int64_t left_ms = (end - SteadyMicros()) / 1000;
      if (left_ms <= 0) {
        Log(LogLevel::kError, "the drain budget is over, work was cut off",
            {{"drain_budget_ms", StrCat(budget_ms)}});
        _exit(1);
      }
      wake_.WaitForMs(&mu_, left_ms);
    }
  }

  Mutex mu_;
  CondVar wake_;
  bool off_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

// "HOST:PORT" of gRPC, then of the metrics (an empty line: off). Whoever waits for the file never
// reads half of it.
absl::Status WritePortFile(const std::string& path, const std::string& address,
                           const std::string& metrics_address) {
  const std::string temporary = path + ".tmp";
  std::ofstream file(temporary, std::ios::trunc);
  file << address << "\n" << metrics_address << "\n";
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(temporary, path, error);
  if (!file || error) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "PORT_FILE",
                     StrCat("cannot write ", path, ", the port_file"));
  }
  return absl::OkStatus();
}

}  // namespace

// In the order in which they are made; destroyed in the other.
struct Daemon::Parts {
  explicit Parts(const Config& c) : config(c) {}

  const Config config;
  SystemClock clock;
  MetricRegistry metrics;
  std::unique_ptr<RpcHost> host;
  std::unique_ptr<Engine> engine;
  std::vector<NamedService> services;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<MetricsHttp> metrics_http;
  std::string address;
  int port = 0;

  absl::Status Listen();
  absl::Status OpenEngine();
  absl::Status Announce();
  void SetHealth(bool serving);
  void Stop();
};

absl::Status Daemon::Parts::Listen() {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.AddListeningPort(config.listen, grpc::InsecureServerCredentials(), &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT,
                             0);  // a second daemon must not share the port
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreamsPerConnection);
  builder.SetMaxReceiveMessageSize(static_cast<int>(config.max_message));
  builder.SetMaxSendMessageSize(static_cast<int>(config.max_message));
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
  grpc::ResourceQuota quota("fletchd");
  quota.SetMaxThreads(kMaxGrpcThreads);
  builder.SetResourceQuota(quota);
  services = MakeServices(host.get());
  services.push_back(MakeFlightService(host.get()));
  for (const NamedService& service : services) builder.RegisterService(service.service.get());
  server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return MakeError(
        absl::StatusCode::kUnavailable, "ADDRESS_IN_USE",
        StrCat("cannot listen on ", config.listen,
               ": the port is in use (another fletchd?) or the address is not this machine's; "
               "choose another with --listen"));
  }
  SetHealth(false);
  address = StrCat(config.listen.substr(0, config.listen.rfind(':')), ":", port);
  return absl::OkStatus();
}

absl::Status Daemon::Parts::OpenEngine() {
  RocksDbOptions store_options;
  store_options.block_cache_bytes = config.block_cache;
  ASSIGN_OR_RETURN(std::unique_ptr<KvStore> store,
                   OpenRocksDbKvStore(config.data_dir, store_options));
  EngineOptions options;
  options.online_budget_bytes = config.online_budget;
  options.window_budget_bytes = config.window_budget;
  options.vector_budget_bytes = config.vector_budget;
  options.index_folder = config.data_dir + "/index";
  options.join_threads = config.join_threads;
  options.parity_sample = static_cast<double>(config.parity_sample_ppm) / 1e6;
  options.recall_sample = static_cast<double>(config.recall_sample_ppm) / 1e6;
  ASSIGN_OR_RETURN(engine, Engine::Open(std::move(store), &clock, &metrics, options));
  return absl::OkStatus();
}

absl::Status Daemon::Parts::Announce() {
  host->SetServing(engine.get());
  SetHealth(true);
  const std::string& listen = config.metrics_listen;
  const std::string metrics_address =
      metrics_http == nullptr
          ? ""
          : StrCat(listen.substr(0, listen.rfind(':')), ":", metrics_http->port());
  if (!config.port_file.empty()) {
    RETURN_IF_ERROR(WritePortFile(config.port_file, address, metrics_address));
  }
  Log(LogLevel::kInfo, "ready",
      {{"address", address},
       {"metrics_address", metrics_address},
       {"data_dir", config.data_dir},
       {"applied_seq", StrCat(engine->applied_seq())}});
  return absl::OkStatus();
}

void Daemon::Parts::SetHealth(bool serving) {
  grpc::HealthCheckServiceInterface* health = server->GetHealthCheckService();
  health->SetServingStatus(serving);
  for (const NamedService& service : services) health->SetServingStatus(service.name, serving);
}

void Daemon::Parts::Stop() {
  const auto budget_ms = static_cast<int64_t>(config.drain_budget_ms);
  const Watchdog watchdog(budget_ms);
  if (server != nullptr) {
    Log(LogLevel::kInfo, "draining", {{"in_flight", StrCat(host->admission()->in_flight())}});
    SetHealth(false);
    host->admission()->BeginDrain();
    // The last quarter is for calls that are cut off, and for closing the store.
    if (!host->admission()->WaitUntilEmpty(budget_ms * 3 / 4)) {
      Log(LogLevel::kWarning, "calls are cut off",
          {{"in_flight", StrCat(host->admission()->in_flight())}});
    }
    server->Shutdown(std::chrono::system_clock::now());
    server->Wait();
  }
  host->StopExecutors();
  engine.reset();
  Log(LogLevel::kInfo, "stopped");
}

Daemon::Daemon(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Daemon::~Daemon() { Stop(); }

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(const Config& config) {
  SetLogLevel(LogLevelOf(config));
  gpr_set_log_function(&LogFromGrpc);
  CaptureProtobufLog();
  auto parts = std::make_unique<Parts>(config);
  parts->host = std::make_unique<RpcHost>(RpcOptionsOf(config), &parts->metrics, &parts->clock);
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(parts)));
  Parts* p = daemon->parts_.get();
  RETURN_IF_ERROR(p->Listen());
  if (!config.metrics_listen.empty()) {
    ASSIGN_OR_RETURN(p->metrics_http, MetricsHttp::Start(config.metrics_listen, &p->metrics));
  }
  RETURN_IF_ERROR(p->OpenEngine());
  RETURN_IF_ERROR(p->Announce());
  return daemon;
}

void Daemon::Stop() {
  if (parts_ == nullptr) return;
  parts_->Stop();
  parts_.reset();
}

const std::string& Daemon::address() const { return parts_->address; }

}  // namespace fletch
