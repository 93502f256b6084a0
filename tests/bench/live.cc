// SPDX-License-Identifier: Apache-2.0
// P7: search while vectors arrive, each looked for by its own vector in the very next call.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <random>
#include <set>
#include <thread>

#include "load.h"
#include "processes.h"
#include "report.h"
#include "vector_client.h"
#include "vector_set.h"

namespace fletch::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr size_t kPerWrite = 20;
constexpr size_t kWritesPerSecond = 50;  // 1,000 vectors a second

// Rows of the set in a random order, moved a little, so that each arriving vector is nobody else's.
class Arrivals {
 public:
  explicit Arrivals(const VectorRows& rows) : rows_(rows) {}

  VectorRows Next() {
    std::normal_distribution<float> normal(0, 0.01f);
    VectorRows next{rows_.dimension, {}};
    for (size_t i = 0; i < kPerWrite; ++i) {
      const float* row = rows_.row(random_() % rows_.count());
      for (size_t d = 0; d < rows_.dimension; ++d) next.values.push_back(row[d] + normal(random_));
    }
    return next;
  }

 private:
  const VectorRows& rows_;
  std::mt19937_64 random_{17};
};

// At an even pace, 50 times a second: 20 vectors are written and looked for; or, idle, 20 stored
// ones are looked for, so that both phases search as much.
class Feeder {
 public:
  Feeder(VectorClient* client, const VectorRows& rows, size_t stored)
      : client_(client), stored_(stored), arrivals_(rows) {}
  ~Feeder() { Stop(); }

  void Start(bool write) {
    stopping_ = false;
    thread_ = std::thread([this, write] {
      auto next = SteadyClock::now();
      while (!stopping_) {
        write ? WriteAndLook() : Look();
        next += std::chrono::microseconds(1'000'000 / kWritesPerSecond);
        std::this_thread::sleep_until(next);
      }
    });
  }
  void Stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }

  uint64_t written() const { return written_; }
  uint64_t lost() const { return lost_; }

 private:
  v1::BatchSearchResponse LookFor(const VectorRows& vectors, uint64_t min_seq) {
    v1::BatchSearchRequest request;
    *request.mutable_common() = client_->Request(vectors.row(0));
    request.mutable_common()->clear_vector();
    request.mutable_common()->set_min_seq(min_seq);
    request.set_query_count(vectors.count());
    request.mutable_vectors()->Add(vectors.values.begin(), vectors.values.end());
    return client_->BatchSearch(request);
  }

  // Keys go round through all and a quarter more, so that four in five replace a vector.
  void WriteAndLook() {
    const VectorRows vectors = arrivals_.Next();
    std::vector<int64_t> keys;
    for (size_t i = 0; i < kPerWrite; ++i)
      keys.push_back(static_cast<int64_t>((next_key_ + i) % (stored_ + stored_ / 4)));
    next_key_ += 7919 * kPerWrite;
    const uint64_t seq = client_->Write(keys, vectors);
    const auto found = LookFor(vectors, seq);
    const std::vector<uint32_t> hits = HitKeys(found.hits());
    size_t at = 0;
    for (size_t i = 0; i < keys.size(); ++i) {
      const auto begin = hits.begin() + static_cast<ptrdiff_t>(at);
      at += found.hit_counts(static_cast<int>(i));
      const auto end = hits.begin() + static_cast<ptrdiff_t>(at);
      lost_ += std::find(begin, end, static_cast<uint32_t>(keys[i])) == end;
    }
    written_ += keys.size();
  }

  void Look() { LookFor(arrivals_.Next(), 0); }

  VectorClient* const client_;
  const size_t stored_;
  Arrivals arrivals_;
  size_t next_key_ = 0;
  std::thread thread_;
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> written_{0}, lost_{0};
};

struct Phase {
  std::vector<double> p50, p99, qps, cpu;
  std::set<uint64_t> graphs;  // sizes that the graph had: a change is a merge

  void Measure(const Server& daemon, const Load& load, VectorClient* client) {
    const LoadResult result = RunLoad(daemon, load);
    p50.push_back(result.p50_micros);
    p99.push_back(result.p99_micros);
    qps.push_back(result.qps);
    cpu.push_back(result.server_cpu_micros);
    graphs.insert(client->Describe().graph_vectors());
  }
};

std::vector<double> Over(const std::vector<double>& values, double reference) {
  std::vector<double> ratios;
  for (double value : values) ratios.push_back(value / reference);
  return ratios;
}

}  // namespace

int RunP7(const Options& options) {
  auto set =
      LoadSet(options, options.set.empty() ? "glove100" : options.set, 350'000, 1000, 20'000);
  if (!set) return 1;
  const TempFolder folder;
  const Server daemon(FletchdCommand(options.fletchd, folder.path()), folder.path() + "/port");
  VectorClient client(daemon, set->rows.dimension);
  client.Declare();
  client.WriteAll(set->rows);
  client.Settle();
  const Load load{kSearchMethod, client.Serialised(set->queries), 1, options.quick ? 0.8 : 20.0};
  const int idle_windows = 3, live_windows = options.quick ? 8 : 30;
  Feeder feeder(&client, set->rows, set->rows.count());
  Phase idle, live, after;
  feeder.Start(/*write=*/false);
  for (int i = 0; i < idle_windows; ++i) idle.Measure(daemon, load, &client);
  feeder.Stop();
  const auto begin = SteadyClock::now();
  feeder.Start(/*write=*/true);
  for (int i = 0; i < live_windows; ++i) live.Measure(daemon, load, &client);
  feeder.Stop();
  const double seconds = std::chrono::duration<double>(SteadyClock::now() - begin).count();
  client.Settle();
  feeder.Start(/*write=*/false);
  for (int i = 0; i < idle_windows; ++i) after.Measure(daemon, load, &client);
  feeder.Stop();
  Result("P7", "search p99 while vectors arrive / idle, " + set->name,
         Over(live.p99, Median(idle.p99)))
      .AtMost(1.5)
      .Detail("p50_us", live.p50)
      .Detail("p99_us", live.p99)
      .Detail("idle_p50_us", idle.p50)
      .Detail("idle_p99_us", idle.p99)
      .Detail("idle_after_p99_us", after.p99)
      .Detail("arrived", {static_cast<double>(feeder.written())})
      .Detail("arrived_per_s", {static_cast<double>(feeder.written()) / seconds})
      .Detail("not_found_in_next_call", {static_cast<double>(feeder.lost())})
      .Detail("graph_changes", {static_cast<double>(live.graphs.size()) - 1})
      .Print();
  Result("P7", "search QPS while vectors arrive / idle, " + set->name,
         Over(live.qps, Median(idle.qps)))
      .AtLeast(0.9)
      .Detail("qps", live.qps)
      .Detail("idle_qps", idle.qps)
      .Detail("idle_after_qps", after.qps)
      .Print();
  return feeder.lost() == 0 ? 0 : 1;
}

}  // namespace fletch::bench
