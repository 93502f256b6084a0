// SPDX-License-Identifier: Apache-2.0
// P1 and P2: online reads against an echo server that returns the same bytes.
#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>

#include "fletch/v1/ingest.grpc.pb.h"
#include "fletch/v1/registry.grpc.pb.h"
#include "fletch/v1/serving.grpc.pb.h"
#include "load.h"
#include "processes.h"
#include "report.h"

namespace fletch::bench {
namespace {

constexpr char kMethod[] = "/fletch.v1.ServingService/GetOnlineFeatures";
constexpr int64_t kEventMicros = 1'700'000'000'000'000;

struct Shape {
  std::string bar;
  int keys;
  int views;
  int fields;  // a view
  double least_qps;
  double most_cpu;
};

std::string KeyName(int entity) { return "user_" + std::to_string(entity); }
std::string ViewName(int view) { return "view_" + std::to_string(view); }
std::string FieldName(int field) { return "f" + std::to_string(field); }

void MustSucceed(const grpc::Status& status, const char* what) {
  if (status.ok()) return;
  std::fprintf(stderr, "fletch-bench: %s: %s\n", what, status.error_message().c_str());
  std::exit(1);
}

void Declare(const std::shared_ptr<grpc::Channel>& channel, const Shape& shape) {
  v1::ApplyRequest request;
  request.set_project("bench");
  v1::Entity* entity = request.add_objects()->mutable_entity();
  entity->set_name("user");
  entity->add_join_keys()->set_name("user");
  entity->mutable_join_keys(0)->set_type(v1::STRING);
  for (int v = 0; v < shape.views; ++v) {
    v1::FeatureView* view = request.add_objects()->mutable_feature_view();
    view->set_name(ViewName(v));
    view->set_entity("user");
    for (int f = 0; f < shape.fields; ++f) {
      v1::Field* field = view->add_fields();
      field->set_name(FieldName(f));
      field->set_type(v1::DOUBLE);
    }
  }
  grpc::ClientContext context;
  v1::ApplyResponse response;
  MustSucceed(v1::RegistryService::NewStub(channel)->Apply(&context, request, &response), "Apply");
}

// Every entity has a row in every view.
void Fill(const std::shared_ptr<grpc::Channel>& channel, const Shape& shape, int entities) {
  auto stub = v1::IngestService::NewStub(channel);
  constexpr int kRows = 1000;
  std::mt19937_64 random(1);
  for (int begin = 0; begin < entities; begin += kRows) {
    v1::WriteRequest request;
    request.set_project("bench");
    request.set_durability(v1::BUFFERED);
    for (int v = 0; v < shape.views; ++v) {
      v1::RowBatch* batch = request.add_batches();
      batch->set_feature_view(ViewName(v));
      batch->set_row_count(kRows);
      for (int row = 0; row < kRows; ++row) {
        (*batch->mutable_columns())["user"].mutable_strings()->add_values(KeyName(begin + row));
        batch->mutable_event_timestamps()->add_micros(kEventMicros);
      }
      for (int f = 0; f < shape.fields; ++f) {
        auto* values = (*batch->mutable_columns())[FieldName(f)].mutable_doubles();
        for (int row = 0; row < kRows; ++row)
          values->add_values(static_cast<double>(random() % 100000) / 7);
      }
    }
    grpc::ClientContext context;
    v1::WriteResponse response;
    MustSucceed(stub->Write(&context, request, &response), "Write");
  }
}

std::vector<std::string> MakeRequests(const Shape& shape, int entities) {
  std::mt19937_64 random(2);
  std::vector<std::string> requests;
  for (int i = 0; i < 512; ++i) {
    v1::GetOnlineFeaturesRequest request;
    request.set_project("bench");
    for (int v = 0; v < shape.views; ++v) {
      for (int f = 0; f < shape.fields; ++f) request.add_features(ViewName(v) + ":" + FieldName(f));
    }
    request.set_row_count(shape.keys);
    auto* keys = (*request.mutable_keys())["user"].mutable_strings();
    for (int k = 0; k < shape.keys; ++k)
      keys->add_values(KeyName(static_cast<int>(random() % entities)));
    requests.push_back(request.SerializeAsString());
  }
  return requests;
}

int RunShape(const Options& options, const Shape& shape) {
  const int entities = 50'000;
  TempFolder folder;
  Server daemon(FletchdCommand(options.fletchd, folder.path()), folder.path() + "/port");
  auto channel = grpc::CreateChannel(daemon.address(), grpc::InsecureChannelCredentials());
  Declare(channel, shape);
  Fill(channel, shape, entities);
  Load load{kMethod, MakeRequests(shape, entities), 32, options.quick ? 0.5 : 3.0};
  const std::string reply = CallOnce(daemon, kMethod, load.requests[0]);
  v1::GetOnlineFeaturesResponse parsed;
  if (!parsed.ParseFromString(reply) || parsed.columns_size() != shape.views * shape.fields ||
      parsed.columns(0).doubles().values_size() != shape.keys ||
      parsed.columns(0).statuses_size() != 0) {
    std::fprintf(stderr, "fletch-bench: the daemon's answer is not %d present columns\n",
                 shape.views * shape.fields);
    return 1;
  }
  std::ofstream(folder.path() + "/reply", std::ios::binary) << reply;
  Server echo({SelfPath(), "echo-server", "--reply", folder.path() + "/reply", "--port-file",
               folder.path() + "/echo-port"},
              folder.path() + "/echo-port");
  Load warm = load;
  warm.seconds = load.seconds / 3;
  RunLoad(daemon, warm);
  RunLoad(echo, warm);
  std::vector<double> qps_ratio, cpu_ratio, ours_qps, echo_qps, ours_cpu, echo_cpu, p50, p99, p999,
      echo_p99;
  for (int i = 0; i < options.repeats; ++i) {
    LoadResult ours = RunLoad(daemon, load), limit = RunLoad(echo, load);
    qps_ratio.push_back(ours.qps / limit.qps);
    cpu_ratio.push_back(ours.server_cpu_micros / limit.server_cpu_micros);
    ours_qps.push_back(ours.qps);
    echo_qps.push_back(limit.qps);
    ours_cpu.push_back(ours.server_cpu_micros);
    echo_cpu.push_back(limit.server_cpu_micros);
    p50.push_back(ours.p50_micros);
    p99.push_back(ours.p99_micros);
    p999.push_back(ours.p999_micros);
    echo_p99.push_back(limit.p99_micros);
  }
  const std::string what = std::to_string(shape.keys) + " keys x " +
                           std::to_string(shape.views * shape.fields) + " doubles, 32 in flight";
  Result(shape.bar, "QPS / echo QPS, " + what, qps_ratio)
      .AtLeast(shape.least_qps)
      .Detail("qps", ours_qps)
      .Detail("echo_qps", echo_qps)
      .Detail("p50_us", p50)
      .Detail("p99_us", p99)
      .Detail("p999_us", p999)
      .Detail("echo_p99_us", echo_p99)
      .Detail("reply_bytes", {static_cast<double>(reply.size())})
      .Print();
  Result(shape.bar, "server CPU a request / echo's, " + what, cpu_ratio)
      .AtMost(shape.most_cpu)
      .Detail("cpu_us", ours_cpu)
      .Detail("echo_cpu_us", echo_cpu)
      .Print();
  return 0;
}

}  // namespace

int RunP1(const Options& options) { return RunShape(options, {"P1", 1, 1, 10, 0.80, 1.35}); }
int RunP2(const Options& options) { return RunShape(options, {"P2", 100, 5, 10, 0.60, 1.60}); }

}  // namespace fletch::bench
