// SPDX-License-Identifier: Apache-2.0
// Restart after kill -9, and with damaged index files (P9's vectors and features). Scale: a million
// vectors.
#include <signal.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <thread>

#include "load.h"
#include "processes.h"
#include "report.h"
#include "vector_client.h"
#include "vector_set.h"

namespace fletch::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr size_t kTopK = 10;

double MillisSince(SteadyClock::time_point begin) {
  return std::chrono::duration<double, std::milli>(SteadyClock::now() - begin).count();
}

std::vector<std::string> IndexFiles(const std::string& folder) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder + "/data/index")) {
    if (entry.is_regular_file()) files.push_back(entry.path().string());
  }
  return files;
}

void FlipBit(const std::string& path) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  const auto at = static_cast<std::streamoff>(std::filesystem::file_size(path) / 2);
  file.seekg(at);
  const char byte = static_cast<char>(file.get() ^ 1);
  file.seekp(at);
  file.put(byte);
}

// What a start came to.
struct Start {
  double ready_seconds = 0;
  double first_millis = 0;    // the first search
  double graph_seconds = 0;   // from ready until a graph answers
  double recall_at_once = 0;  // of the first searches
  double recall_settled = 0;
  std::string first_strategy;
};

class RestartBench {
 public:
  RestartBench(const Options& options, VectorSet set, size_t feature_rows)
      : set_(std::move(set)),
        truth_(NearestRows(set_.rows, set_.queries, kTopK)),
        command_(FletchdCommand(options.fletchd, folder_.path())),
        port_(folder_.path() + "/port"),
        name_(set_.name + " and " + std::to_string(feature_rows) + " feature rows") {
    Server daemon(command_, port_);
    VectorClient client(daemon, set_.rows.dimension);
    client.Declare();
    client.WriteAll(set_.rows);
    client.WriteFeatures(feature_rows, 10);
    client.Settle();
    client.AwaitFile();
    client.Write({0}, {set_.rows.dimension,
                       {set_.rows.row(0), set_.rows.row(0) + set_.rows.dimension}});  // synced
    daemon.End(SIGKILL);
  }

  void Report(int repeats) {
    std::vector<double> ready, first, graph, recall;
    std::string strategy;
    for (int i = 0; i < repeats; ++i) {
      const Start start = Restart(SIGKILL);
      ready.push_back(start.ready_seconds);
      first.push_back(start.first_millis);
      graph.push_back(start.graph_seconds);
      recall.push_back(start.recall_at_once);
      strategy = start.first_strategy;
    }
    Result("P9", "seconds from exec to ready after kill -9, " + name_, ready)
        .Unit("s")
        .AtMost(3.0)
        .Detail("first_query_ms", first)
        .Detail("ready_to_graph_s", graph)
        .Detail("recall_at_once", recall)
        .Note("first_strategy", strategy)
        .Print();
  }

  // One run a file.
  void ReportDamage() {
    for (const std::string& file : IndexFiles(folder_.path())) {
      FlipBit(file);
      const Start start = Restart(SIGTERM, /*await_file=*/true);
      Result("restart",
             "recall at once, with a flipped bit in " +
                 std::filesystem::relative(file, folder_.path() + "/data").string() + ", " + name_,
             {start.recall_at_once})
          .Unit("recall")
          .AtLeast(1.0)
          .Detail("ready_s", {start.ready_seconds})
          .Detail("first_query_ms", {start.first_millis})
          .Detail("ready_to_graph_s", {start.graph_seconds})
          .Detail("recall_settled", {start.recall_settled})
          .Note("first_strategy", start.first_strategy)
          .Print();
    }
  }

 private:
  Start Restart(int end, bool await_file = false) {
    Start start;
    Server daemon(command_, port_);
    const auto ready = SteadyClock::now();
    start.ready_seconds = daemon.seconds_to_ready();
    VectorClient client(daemon, set_.rows.dimension);
    v1::SearchRequest request = client.Request(set_.queries.row(0));
    request.set_explain(true);
    const auto asked = SteadyClock::now();
    v1::SearchResponse response = client.Search(request);
    start.first_millis = MillisSince(asked);
    start.first_strategy = response.plan().strategy();
    const size_t few = std::min<size_t>(20, set_.queries.count());
    const VectorRows at_once{
        set_.queries.dimension,
        {set_.queries.row(0), set_.queries.row(0) + few * set_.queries.dimension}};
    start.recall_at_once = Recall({truth_.begin(), truth_.begin() + static_cast<ptrdiff_t>(few)},
                                  client.SearchAll(at_once));
    while (response.plan().strategy() != "graph") {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      response = client.Search(request);
    }
    start.graph_seconds = MillisSince(ready) / 1000;
    start.recall_settled = Recall(truth_, client.SearchAll(set_.queries));
    if (await_file) client.AwaitFile();
    daemon.End(end);
    return start;
  }

  const VectorSet set_;
  const Neighbours truth_;
  const TempFolder folder_;
  const std::vector<std::string> command_;
  const std::string port_;
  const std::string name_;
};

}  // namespace

int RunRestart(const Options& options) {
  auto set = LoadSet(options, options.set.empty() ? "glove100" : options.set, 340'000, 1000);
  if (!set) return 1;
  RestartBench bench(options, *std::move(set), options.quick ? 20'000 : 1'000'000);
  bench.Report(options.quick ? 1 : options.repeats);
  bench.ReportDamage();
  return 0;
}

int RunScale(const Options& options) {
  auto set =
      LoadSet(options, options.set.empty() ? "clustered128-1m" : options.set, 1'000'000, 1000);
  if (!set) return 1;
  const double count = static_cast<double>(set->rows.count());
  const TempFolder folder;
  const Server daemon(FletchdCommand(options.fletchd, folder.path()), folder.path() + "/port");
  VectorClient client(daemon, set->rows.dimension);
  client.Declare();
  const double cpu = daemon.CpuMicros();
  const auto begin = SteadyClock::now();
  client.WriteAll(set->rows);
  const double write_seconds = MillisSince(begin) / 1000;
  client.Settle();
  const double settled_seconds = MillisSince(begin) / 1000;
  const double build_cpu = (daemon.CpuMicros() - cpu) / 1e6;
  const Neighbours truth = NearestRows(set->rows, set->queries, kTopK);
  for (double wanted : {0.90, 0.95, 0.98, 0.99}) {
    auto with = [&](size_t, v1::SearchRequest* request) {
      request->mutable_params()->set_target_recall(wanted);
    };
    const double recall = Recall(truth, client.SearchAll(set->queries, with));
    std::vector<double> qps, p50, p99, micros;
    for (int i = 0; i < options.repeats; ++i) {
      const LoadResult result = RunLoad(
          daemon,
          {kSearchMethod, client.Serialised(set->queries, with), 4, options.quick ? 0.1 : 3.0});
      qps.push_back(result.qps);
      p50.push_back(result.p50_micros);
      p99.push_back(result.p99_micros);
      micros.push_back(result.server_cpu_micros);
    }
    char what[96];
    std::snprintf(what, sizeof what, "search QPS, 4 in flight, target recall %.2f, ", wanted);
    Result("scale", what + set->name, qps)
        .Unit("QPS")
        .Detail("recall", {recall})
        .Detail("cpu_us", micros)
        .Detail("p50_us", p50)
        .Detail("p99_us", p99)
        .Print();
  }
  const v1::DescribeIndexResponse index = client.Describe();
  Result("scale", "seconds to write and build, " + set->name, {settled_seconds})
      .Unit("s")
      .Detail("write_s", {write_seconds})
      .Detail("cpu_s", {build_cpu})
      .Detail("anonymous_bytes_a_vector", {daemon.MemoryOf(folder.path()).anonymous / count})
      .Detail("graph_bytes_a_vector", {static_cast<double>(index.graph_bytes()) / count})
      .Detail("full_precision_bytes_a_vector", {static_cast<double>(index.vector_bytes()) / count})
      .Detail("other_bytes_a_vector", {static_cast<double>(index.other_bytes()) / count})
      .Print();
  return 0;
}

}  // namespace fletch::bench
