// SPDX-License-Identifier: Apache-2.0
// P6: filtered search at every selectivity, with the filter's field random, or ordered by nearness
// to the queries.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <random>
#include <utility>

#include "exact_scan.h"
#include "load.h"
#include "processes.h"
#include "report.h"
#include "vector_client.h"
#include "vector_set.h"

namespace fletch::bench {
namespace {

constexpr size_t kTopK = 10;
constexpr size_t kAnchors = 4;
const std::vector<double> kSelectivities = {1, 0.5, 0.1, 0.01, 0.001, 0.0001};
const std::vector<double> kQuickSelectivities = {0.5, 0.1, 0.01};

// A row passes when low <= field < high. Every field is a permutation of the row numbers.
struct Range {
  std::string field;
  const std::vector<int64_t>* values;
  int64_t low, high;

  bool Passes(size_t row) const { return (*values)[row] >= low && (*values)[row] < high; }
};

enum class Kind { kRandom, kNear, kFar };
constexpr std::pair<Kind, const char*> kKinds[] = {
    {Kind::kRandom, "random"}, {Kind::kNear, "near"}, {Kind::kFar, "far"}};

// Rows with one shuffled field and, for each anchor (a row), the rank by nearness to it. Queries
// are rows near the anchors, moved a little; query q belongs to anchor q % kAnchors.
struct FilterWorld {
  VectorRows rows;
  VectorRows queries;
  IntFields fields;
};

std::string AnchorField(size_t anchor) { return "rank_" + std::to_string(anchor); }

FilterWorld MakeWorld(VectorRows rows, size_t queries) {
  FilterWorld world{std::move(rows), {}, {}};
  const size_t count = world.rows.count(), dimension = world.rows.dimension;
  std::mt19937_64 random(5);
  std::vector<int64_t> shuffled(count);
  std::iota(shuffled.begin(), shuffled.end(), 0);
  std::shuffle(shuffled.begin(), shuffled.end(), random);
  world.fields["shuffled"] = shuffled;
  std::vector<std::vector<uint32_t>> by_nearness(kAnchors, std::vector<uint32_t>(count));
  std::vector<float> scores(count);
  for (size_t a = 0; a < kAnchors; ++a) {
    ScanAll(world.rows.values.data(), count, dimension, world.rows.row(random() % count),
            scores.data());
    auto& order = by_nearness[a];
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(),
              [&](uint32_t x, uint32_t y) { return scores[x] > scores[y]; });
    auto& rank = world.fields[AnchorField(a)];
    rank.resize(count);
    for (size_t i = 0; i < count; ++i) rank[order[i]] = static_cast<int64_t>(i);
  }
  world.queries.dimension = dimension;
  std::normal_distribution<float> normal(0, 0.2f / std::sqrt(static_cast<float>(dimension)));
  for (size_t q = 0; q < queries; ++q) {
    std::vector<float> query(dimension);
    const float* near = world.rows.row(by_nearness[q % kAnchors][random() % (count / 100)]);
    for (size_t d = 0; d < dimension; ++d) query[d] = near[d] + normal(random);
    world.queries.Append(query.data());
  }
  return world;
}

class FilterBench {
 public:
  FilterBench(const Options& options, std::string name, FilterWorld world)
      : options_(options),
        name_(std::move(name)),
        world_(std::move(world)),
        daemon_(FletchdCommand(options.fletchd, folder_.path()), folder_.path() + "/port"),
        client_(daemon_, world_.rows.dimension),
        tiny_(daemon_, world_.rows.dimension, "tiny") {
    std::vector<std::string> names;
    for (const auto& [field, values] : world_.fields) names.push_back(field);
    client_.Declare(names);
    tiny_.Declare();
    VectorRows few{world_.rows.dimension, {}};
    for (size_t i = 0; i < kTopK; ++i) few.Append(world_.rows.row(i));
    tiny_.WriteAll(few);
    client_.WriteAll(world_.rows, world_.fields);
    client_.Settle();
  }

  void ReportAll() {
    const Neighbours truth = NearestRows(world_.rows, world_.queries, kTopK);
    unfiltered_recall_ = Recall(truth, client_.SearchAll(world_.queries));
    for (const auto& [kind, kind_name] : kKinds) {
      for (double selectivity : options_.quick ? kQuickSelectivities : kSelectivities)
        Report(kind, kind_name, selectivity);
    }
  }

 private:
  // Of each query.
  std::vector<Range> RangesOf(Kind kind, double selectivity) const {
    const int64_t count = static_cast<int64_t>(world_.rows.count());
    const int64_t matches = static_cast<int64_t>(selectivity * static_cast<double>(count) + 0.5);
    std::vector<Range> ranges;
    for (size_t q = 0; q < world_.queries.count(); ++q) {
      const std::string field = kind == Kind::kRandom ? "shuffled" : AnchorField(q % kAnchors);
      const int64_t low = kind == Kind::kFar ? count - matches : 0;
      ranges.push_back({field, &world_.fields.at(field), low, low + matches});
    }
    return ranges;
  }

  static void SetFilter(const Range& range, v1::SearchRequest* request) {
    v1::Between* between = request->mutable_filter()->mutable_between();
    between->set_ref("items:" + range.field);
    between->mutable_low()->set_int_value(range.low);
    between->mutable_high()->set_int_value(range.high - 1);
  }

  LoadResult Timed(const VectorClient& client,
                   const std::function<void(size_t, v1::SearchRequest*)>& with) const {
    return RunLoad(daemon_, {kSearchMethod, client.Serialised(world_.queries, with), 1,
                             options_.quick ? 0.03 : 1.0});
  }

  // The median query's time to score the matches, listed beforehand, in process.
  double ScanMicros(const std::vector<Range>& ranges) const {
    std::vector<double> micros;
    std::vector<float> scores(world_.rows.count());
    for (size_t q = 0; q < std::min<size_t>(world_.queries.count(), 20); ++q) {
      std::vector<uint32_t> matches;
      for (uint32_t i = 0; i < scores.size(); ++i) {
        if (ranges[q].Passes(i)) matches.push_back(i);
      }
      micros.push_back(1e6 * ThreadCpuSeconds([&] {
                         ScanListed(world_.rows.values.data(), matches.data(), matches.size(),
                                    world_.rows.dimension, world_.queries.row(q), scores.data());
                       }));
    }
    return Median(micros);
  }

  void Report(Kind kind, const char* kind_name, double selectivity) {
    const std::vector<Range> ranges = RangesOf(kind, selectivity);
    auto with = [&](size_t q, v1::SearchRequest* request) { SetFilter(ranges[q], request); };
    const Neighbours truth =
        NearestRows(world_.rows, world_.queries, kTopK,
                    [&](size_t q, size_t row) { return ranges[q].Passes(row); });
    const Neighbours found = client_.SearchAll(world_.queries, with);
    size_t short_answers = 0;
    for (size_t q = 0; q < truth.size(); ++q) short_answers += found[q].size() < truth[q].size();
    v1::SearchRequest explained = client_.Request(world_.queries.row(0));
    with(0, &explained);
    explained.set_explain(true);
    const v1::SearchPlan plan = client_.Search(explained).plan();
    std::vector<double> ratios, over_unfiltered, p50, p99, cpu, unfiltered, scan, overhead;
    for (int i = 0; i < options_.repeats; ++i) {
      const LoadResult ours = Timed(client_, with), plain = Timed(client_, {});
      overhead.push_back(Timed(tiny_, {}).p50_micros);
      scan.push_back(ScanMicros(ranges));
      ratios.push_back(ours.p50_micros /
                       std::min(overhead.back() + scan.back(), plain.p50_micros / selectivity));
      over_unfiltered.push_back(ours.p50_micros / plain.p50_micros);
      p50.push_back(ours.p50_micros);
      p99.push_back(ours.p99_micros);
      cpu.push_back(ours.server_cpu_micros);
      unfiltered.push_back(plain.p50_micros);
    }
    char what[160];
    std::snprintf(what, sizeof what, "filtered p50 / the better reference's, %g %% %s, %s",
                  selectivity * 100, kind_name, name_.c_str());
    Result("P6", what, ratios)
        .AtMost(1.5)
        .Detail("recall", {Recall(truth, found)})
        .Detail("short_share",
                {static_cast<double>(short_answers) / static_cast<double>(truth.size())})
        .Detail("p50_us", p50)
        .Detail("p99_us", p99)
        .Detail("cpu_us", cpu)
        .Detail("times_unfiltered", over_unfiltered)
        .Detail("unfiltered_p50_us", unfiltered)
        .Detail("unfiltered_recall", {unfiltered_recall_})
        .Detail("scan_of_matches_us", scan)
        .Detail("call_us", overhead)
        .Note("strategy", plan.strategy())
        .Note("reason", plan.reason())
        .Print();
  }

  const Options& options_;
  const std::string name_;
  const FilterWorld world_;
  const TempFolder folder_;
  const Server daemon_;
  VectorClient client_, tiny_;
  double unfiltered_recall_ = 0;
};

}  // namespace

int RunP6(const Options& options) {
  std::vector<std::pair<std::string, size_t>> sets = {{"glove100", 100'000},
                                                      {"clustered128-1m", 1'000'000}};
  if (!options.set.empty()) sets = {{options.set, 1'000'000}};
  if (options.quick) sets = {{"made", 10'000}};
  for (const auto& [name, rows] : sets) {
    auto set = LoadSet(options, name, rows, 1);
    if (!set) return 1;
    FilterBench(options, set->name, MakeWorld(std::move(set->rows), options.quick ? 40 : 200))
        .ReportAll();
  }
  return 0;
}

}  // namespace fletch::bench
