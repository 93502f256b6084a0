// SPDX-License-Identifier: Apache-2.0
// P4: search in process, one thread, against hnswlib at equal recall.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <random>
#include <set>

#include "index/vector_index.h"
#include "reference_hnswlib.h"
#include "report.h"

namespace fletch::bench {
namespace {

constexpr size_t kTopK = 10;

// Clustered directions, as embeddings are, normalised. Made, not real: real sets come with the
// search issue.
std::vector<std::vector<float>> MakeVectors(size_t count, size_t dimension, size_t clusters,
                                            uint64_t seed) {
  std::mt19937_64 random(7);
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> centres(clusters, std::vector<float>(dimension));
  for (auto& centre : centres) {
    for (float& x : centre) x = normal(random);
  }
  random.seed(seed);
  std::vector<std::vector<float>> vectors(count, std::vector<float>(dimension));
  for (auto& vector : vectors) {
    const auto& centre = centres[random() % clusters];
    double squares = 0;
    for (size_t i = 0; i < dimension; ++i) {
      vector[i] = centre[i] + 0.7f * normal(random);
      squares += static_cast<double>(vector[i]) * vector[i];
    }
    for (float& x : vector) x = static_cast<float>(x / std::sqrt(squares));
  }
  return vectors;
}

double Seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class SearchBench {
 public:
  SearchBench(size_t count, size_t dimension, size_t queries)
      : data_(MakeVectors(count, dimension, count / 100, 11)),
        queries_(MakeVectors(queries, dimension, count / 100, 12)),
        ours_(VectorMetric::kDot, dimension),
        reference_(dimension, count) {
    for (uint32_t i = 0; i < count; ++i) ours_.Add(data_[i]);
    build_seconds_ = Seconds([&] {
      if (!ours_.BuildGraph([](RowId) { return true; }, [] { return false; }).ok()) std::abort();
    });
    reference_build_seconds_ = Seconds([&] {
      for (uint32_t i = 0; i < count; ++i) reference_.Add(data_[i].data(), i);
    });
    for (const auto& query : queries_) truth_.push_back(Ours(query, 0, /*exact=*/true));
  }

  std::vector<uint32_t> Ours(const std::vector<float>& query, size_t ef, bool exact) const {
    auto accept = [](RowId) { return true; };
    auto tie_before = [](RowId a, RowId b) { return a < b; };
    auto check = [] { return absl::OkStatus(); };
    IndexQuery q{.vector = query,
                 .top_k = kTopK,
                 .ef = ef,
                 .exact = exact,
                 .accept = accept,
                 .tie_before = tie_before,
                 .selectivity = 1.0,
                 .check = check};
    auto answer = ours_.Search(q);
    if (!answer.ok()) std::abort();
    std::vector<uint32_t> rows;
    for (const IndexHit& hit : answer->hits) rows.push_back(hit.row);
    return rows;
  }

  // Recall and queries a second of one ef.
  template <typename Search>
  std::pair<double, double> Measure(const Search& search) const {
    std::vector<std::vector<uint32_t>> found(queries_.size());
    const double seconds = Seconds([&] {
      for (size_t i = 0; i < queries_.size(); ++i) found[i] = search(queries_[i]);
    });
    double hits = 0;
    for (size_t i = 0; i < queries_.size(); ++i) {
      const std::set<uint32_t> truth(truth_[i].begin(), truth_[i].end());
      for (uint32_t row : found[i]) hits += truth.count(row);
    }
    return {hits / static_cast<double>(kTopK * queries_.size()),
            static_cast<double>(queries_.size()) / seconds};
  }

  // The least ef that reaches `recall`, by doubling and halving.
  template <typename SearchWithEf>
  size_t FindEf(double recall, const SearchWithEf& search) const {
    size_t low = kTopK, high = kTopK;
    auto reaches = [&](size_t ef) {
      return Measure([&](const auto& q) { return search(q, ef); }).first >= recall;
    };
    while (!reaches(high) && high < 4000) low = high, high *= 2;
    while (high - low > std::max<size_t>(1, low / 20)) {
      const size_t middle = (low + high) / 2;
      (reaches(middle) ? high : low) = middle;
    }
    return high;
  }

  void Report(double recall, int repeats) {
    auto ours = [&](const std::vector<float>& q, size_t ef) { return Ours(q, ef, false); };
    auto reference = [&](const std::vector<float>& q, size_t ef) {
      return reference_.Search(q.data(), kTopK, ef);
    };
    const size_t ef = FindEf(recall, ours), reference_ef = FindEf(recall, reference);
    std::vector<double> ratios, qps, reference_qps, recalls, reference_recalls;
    for (int i = 0; i < repeats; ++i) {
      auto [r, q] = Measure([&](const auto& query) { return ours(query, ef); });
      auto [rr, rq] = Measure([&](const auto& query) { return reference(query, reference_ef); });
      ratios.push_back(q / rq);
      qps.push_back(q);
      reference_qps.push_back(rq);
      recalls.push_back(r);
      reference_recalls.push_back(rr);
    }
    Result("P4",
           "QPS / hnswlib's at recall@10 " + std::to_string(recall).substr(0, 4) + ", " +
               std::to_string(data_.size()) + " x " + std::to_string(data_[0].size()) +
               "-d made clusters",
           ratios)
        .AtLeast(2.0)
        .Detail("qps", qps)
        .Detail("hnswlib_qps", reference_qps)
        .Detail("recall", recalls)
        .Detail("hnswlib_recall", reference_recalls)
        .Detail("ef", {static_cast<double>(ef)})
        .Detail("hnswlib_ef", {static_cast<double>(reference_ef)})
        .Detail("build_s", {build_seconds_})
        .Detail("hnswlib_build_s", {reference_build_seconds_})
        .Print();
  }

 private:
  const std::vector<std::vector<float>> data_, queries_;
  VectorIndex ours_;
  mutable ReferenceHnsw reference_;
  std::vector<std::vector<uint32_t>> truth_;
  double build_seconds_ = 0, reference_build_seconds_ = 0;
};

}  // namespace

int RunP4(const Options& options) {
  SearchBench bench(options.quick ? 10'000 : 100'000, 100, options.quick ? 200 : 1000);
  bench.Report(0.95, options.repeats);
  bench.Report(0.98, options.repeats);
  return 0;
}

}  // namespace fletch::bench
