// SPDX-License-Identifier: Apache-2.0
// P15: half of the vectors replaced while searching. Churn: 20 rounds of a fifth replaced, then
// half deleted, against a collection that was built of what is left.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <random>
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

// A collection of `entities` keys, each holding one row of a larger set; rows not held come in
// turn.
class Churned {
 public:
  Churned(VectorClient* client, const VectorRows& rows, size_t entities)
      : client_(client), rows_(rows), held_(entities), next_row_(entities) {
    std::iota(held_.begin(), held_.end(), 0);
    VectorRows first{rows.dimension, {rows.row(0), rows.row(0) + entities * rows.dimension}};
    client_->WriteAll(first);
  }

  // Gives these keys other vectors.
  void Replace(const std::vector<int64_t>& keys) {
    VectorRows vectors{rows_.dimension, {}};
    for (int64_t key : keys) {
      held_[static_cast<size_t>(key)] = next_row_;
      vectors.Append(rows_.row(next_row_));
      next_row_ = (next_row_ + 1) % rows_.count();
    }
    client_->Write(keys, vectors);
  }

  void Delete(const std::vector<int64_t>& keys) {
    for (int64_t key : keys) held_[static_cast<size_t>(key)] = kNone;
    client_->Delete(keys);
  }

  bool IsDeleted(uint32_t key) const { return held_[key] == kNone; }

  // What is left, and whose.
  VectorRows Left(std::vector<int64_t>* keys) const {
    VectorRows left{rows_.dimension, {}};
    for (size_t key = 0; key < held_.size(); ++key) {
      if (held_[key] == kNone) continue;
      left.Append(rows_.row(held_[key]));
      keys->push_back(static_cast<int64_t>(key));
    }
    return left;
  }

  // Keys of the nearest that are left.
  Neighbours Truth(const VectorRows& queries) const {
    std::vector<int64_t> keys;
    Neighbours truth = NearestRows(Left(&keys), queries, kTopK);
    for (auto& hits : truth) {
      for (uint32_t& hit : hits) hit = static_cast<uint32_t>(keys[hit]);
    }
    return truth;
  }

 private:
  static constexpr size_t kNone = SIZE_MAX;

  VectorClient* const client_;
  const VectorRows& rows_;
  std::vector<size_t> held_;  // row of each key
  size_t next_row_;
};

std::vector<int64_t> Shuffled(size_t count, uint64_t seed) {
  std::vector<int64_t> keys(count);
  std::iota(keys.begin(), keys.end(), 0);
  std::shuffle(keys.begin(), keys.end(), std::mt19937_64(seed));
  return keys;
}

void InParts(const std::vector<int64_t>& keys, size_t part,
             const std::function<void(const std::vector<int64_t>&)>& work) {
  for (size_t begin = 0; begin < keys.size(); begin += part) {
    const size_t end = std::min(keys.size(), begin + part);
    work(
        {keys.begin() + static_cast<ptrdiff_t>(begin), keys.begin() + static_cast<ptrdiff_t>(end)});
  }
}

// The share of exact answers found, asked back to back while the collection changes.
double RecallNow(VectorClient* client, const VectorRows& queries, size_t count) {
  Neighbours truth, found;
  for (size_t q = 0; q < std::min(count, queries.count()); ++q) {
    v1::SearchRequest request = client->Request(queries.row(q));
    found.push_back(HitKeys(client->Search(request)));
    request.mutable_params()->set_exact(true);
    truth.push_back(HitKeys(client->Search(request)));
  }
  return Recall(truth, found);
}

double Qps(const Server& daemon, const Load& load, int repeats) {
  std::vector<double> qps;
  for (int i = 0; i < repeats; ++i) qps.push_back(RunLoad(daemon, load).qps);
  return Median(qps);
}

}  // namespace

int RunP15(const Options& options) {
  auto set =
      LoadSet(options, options.set.empty() ? "glove100" : options.set, 200'000, 1000, 20'000);
  if (!set) return 1;
  const size_t entities = set->rows.count() / 2;
  const std::string name = std::to_string(entities) + " of " + set->name;
  const TempFolder folder;
  const Server daemon(FletchdCommand(options.fletchd, folder.path()), folder.path() + "/port");
  VectorClient client(daemon, set->rows.dimension);
  client.Declare();
  Churned churned(&client, set->rows, entities);
  client.Settle();
  const Load load{kSearchMethod, client.Serialised(set->queries), 1, options.quick ? 0.3 : 5.0};
  const double recall = Recall(churned.Truth(set->queries), client.SearchAll(set->queries));
  const double qps = Qps(daemon, load, options.repeats);
  std::vector<int64_t> half = Shuffled(entities, 3);
  half.resize(entities / 2);
  std::vector<double> meanwhile_recall, meanwhile_qps;
  std::thread writer([&] {
    auto next = SteadyClock::now();
    InParts(half, 20, [&](const auto& keys) {
      churned.Replace(keys);
      next += std::chrono::microseconds(options.quick ? 10'000 : 20'000);
      std::this_thread::sleep_until(next);
    });
  });
  const auto writing = std::chrono::duration<double>(options.quick ? 1.5 : 45.0);
  for (const auto begin = SteadyClock::now(); SteadyClock::now() - begin < writing;) {
    meanwhile_qps.push_back(RunLoad(daemon, load).qps / qps);
    meanwhile_recall.push_back(RecallNow(&client, set->queries, 200));
  }
  writer.join();
  client.Settle();
  const double after_recall = Recall(churned.Truth(set->queries), client.SearchAll(set->queries));
  const double after_qps = Qps(daemon, load, options.repeats);
  Result("P15", "search QPS once half is replaced and settled / before, " + name, {after_qps / qps})
      .AtLeast(0.95)
      .Detail("qps_before", {qps})
      .Detail("qps_after", {after_qps})
      .Detail("recall_before", {recall})
      .Detail("recall_after", {after_recall})
      .Print();
  Result("P15", "search QPS while half is replaced, 1,000 a second / before, " + name,
         meanwhile_qps)
      .AtLeast(0.75)
      .Detail("recall_meanwhile", meanwhile_recall)
      .Print();
  return 0;
}

int RunChurn(const Options& options) {
  auto set =
      LoadSet(options, options.set.empty() ? "glove100" : options.set, 200'000, 1000, 10'000);
  if (!set) return 1;
  const size_t entities = set->rows.count() / 2;
  const std::string name = std::to_string(entities) + " of " + set->name;
  const TempFolder folder, fresh_folder;
  const Server daemon(FletchdCommand(options.fletchd, folder.path()), folder.path() + "/port");
  VectorClient client(daemon, set->rows.dimension);
  client.Declare();
  Churned churned(&client, set->rows, entities);
  const int rounds = options.quick ? 2 : 20;
  std::vector<double> recalls;
  for (int round = 0; round < rounds; ++round) {
    std::vector<int64_t> keys = Shuffled(entities, 100 + static_cast<uint64_t>(round));
    keys.resize(entities / 5);
    InParts(keys, 500, [&](const auto& part) { churned.Replace(part); });
    client.Settle();
    recalls.push_back(Recall(churned.Truth(set->queries), client.SearchAll(set->queries)));
  }
  std::vector<int64_t> half = Shuffled(entities, 4);
  half.resize(entities / 2);
  VectorRows gone{set->rows.dimension, {}};  // vectors of some deleted ones, looked for below
  for (size_t i = 0; i < 500; ++i) gone.Append(set->rows.row(static_cast<size_t>(half[i])));
  InParts(half, 500, [&](const auto& part) { churned.Delete(part); });
  client.Settle();
  const Neighbours found = client.SearchAll(set->queries), near_gone = client.SearchAll(gone);
  size_t deleted_returned = 0;
  for (const Neighbours* answers : {&found, &near_gone}) {
    for (const auto& hits : *answers)
      deleted_returned += static_cast<size_t>(std::count_if(
          hits.begin(), hits.end(), [&](uint32_t key) { return churned.IsDeleted(key); }));
  }
  const Neighbours truth = churned.Truth(set->queries);
  std::vector<int64_t> keys;
  const VectorRows left = churned.Left(&keys);
  const Server fresh_daemon(FletchdCommand(options.fletchd, fresh_folder.path()),
                            fresh_folder.path() + "/port");
  VectorClient fresh(fresh_daemon, left.dimension);
  fresh.Declare();
  fresh.WriteAll(left);
  fresh.Settle();
  const double fresh_recall =
      Recall(NearestRows(left, set->queries, kTopK), fresh.SearchAll(set->queries));
  const double recall = Recall(truth, found);
  const auto audit = client.Audit(options.quick ? 100 : 1000, /*reachability=*/true);
  Result("churn",
         "recall after " + std::to_string(rounds) +
             " rounds of a fifth replaced, then half deleted, less a fresh build's, " + name,
         {recall - fresh_recall})
      .Unit("recall")
      .AtLeast(-0.01)
      .Detail("recall", {recall})
      .Detail("fresh_recall", {fresh_recall})
      .Detail("recall_of_rounds", recalls)
      .Detail("unreachable", {static_cast<double>(audit.unreachable())})
      .Detail("audited_recall", {audit.recall()})
      .Detail("deleted_returned", {static_cast<double>(deleted_returned)})
      .Print();
  return 0;
}

}  // namespace fletch::bench
