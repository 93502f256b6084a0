// SPDX-License-Identifier: Apache-2.0
// P4: search in process, one thread, against hnswlib at equal recall.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "index/vector_index.h"
#include "reference_hnswlib.h"
#include "report.h"
#include "vector_set.h"

namespace fletch::bench {
namespace {

constexpr size_t kTopK = 10;
constexpr size_t kMaxRows = 350'000;
constexpr size_t kMaxQueries = 1000;

class SearchBench {
 public:
  explicit SearchBench(VectorSet set)
      : set_(std::move(set)),
        truth_(NearestRows(set_.rows, set_.queries, kTopK)),
        ours_({.metric = VectorMetric::kCosine, .dimension = set_.rows.dimension}),
        reference_(set_.rows.dimension, set_.rows.count()) {
    for (size_t i = 0; i < set_.rows.count(); ++i) {
      ours_.Add({set_.rows.row(i), set_.rows.dimension});
    }
    build_seconds_ = ThreadCpuSeconds([&] {
      const absl::Status built =
          ours_.ExtendGraph([](RowId) { return true; }, [] { return false; }, [](double) {});
      if (!built.ok()) std::abort();
    });
    reference_build_seconds_ = ThreadCpuSeconds([&] {
      for (uint32_t i = 0; i < set_.rows.count(); ++i) reference_.Add(set_.rows.row(i), i);
    });
  }

  // CPU time of one thread, ours and the reference in turn: other work on the machine costs both
  // the same.
  void Report(double recall, int repeats) {
    const size_t ef =
        LeastEf(recall, kTopK, [&](size_t e) { return Recall(truth_, SearchOurs(e)); });
    const size_t reference_ef =
        LeastEf(recall, kTopK, [&](size_t e) { return Recall(truth_, SearchReference(e)); });
    const double queries = static_cast<double>(set_.queries.count());
    std::vector<double> ratios, qps, reference_qps;
    for (int i = 0; i < repeats; ++i) {
      qps.push_back(queries / ThreadCpuSeconds([&] { SearchOurs(ef); }));
      reference_qps.push_back(queries / ThreadCpuSeconds([&] { SearchReference(reference_ef); }));
      ratios.push_back(qps.back() / reference_qps.back());
    }
    Result("P4",
           "QPS / hnswlib's at recall@10 " + std::to_string(recall).substr(0, 4) + ", " + set_.name,
           ratios)
        .AtLeast(set_.rows.dimension < 384 ? 2.0 : 2.5)
        .Detail("qps", qps)
        .Detail("hnswlib_qps", reference_qps)
        .Detail("recall", {Recall(truth_, SearchOurs(ef))})
        .Detail("hnswlib_recall", {Recall(truth_, SearchReference(reference_ef))})
        .Detail("ef", {static_cast<double>(ef)})
        .Detail("hnswlib_ef", {static_cast<double>(reference_ef)})
        .Detail("build_cpu_s", {build_seconds_})
        .Detail("hnswlib_build_cpu_s", {reference_build_seconds_})
        .Print();
  }

 private:
  Neighbours SearchOurs(size_t ef) const {
    Neighbours found;
    for (size_t q = 0; q < set_.queries.count(); ++q) {
      const auto accept = [](RowId) { return true; };
      const auto tie_before = [](RowId a, RowId b) { return a < b; };
      const auto check = [] { return absl::OkStatus(); };
      const auto answer = ours_.Search({.vector = {set_.queries.row(q), set_.rows.dimension},
                                        .top_k = kTopK,
                                        .ef = ef,
                                        .accept = accept,
                                        .tie_before = tie_before,
                                        .check = check});
      if (!answer.ok()) std::abort();
      std::vector<uint32_t> rows;
      for (const IndexHit& hit : answer->hits) rows.push_back(hit.row);
      found.push_back(std::move(rows));
    }
    return found;
  }
  Neighbours SearchReference(size_t ef) {
    Neighbours found;
    for (size_t q = 0; q < set_.queries.count(); ++q) {
      found.push_back(reference_.Search(set_.queries.row(q), kTopK, ef));
    }
    return found;
  }

  const VectorSet set_;
  const Neighbours truth_;
  VectorIndex ours_;
  ReferenceHnsw reference_;
  double build_seconds_ = 0;
  double reference_build_seconds_ = 0;
};

}  // namespace

int RunP4(const Options& options) {
  std::vector<std::string> names = {"glove100", "minilm384", "random128"};
  if (options.quick) names = {"made"};
  if (!options.set.empty()) names = {options.set};
  for (const std::string& name : names) {
    auto set = LoadSet(options, name, kMaxRows, options.quick ? 200 : kMaxQueries);
    if (!set) return 1;
    SearchBench bench(*std::move(set));
    for (const double recall :
         options.quick ? std::vector{0.95, 0.98} : std::vector{0.90, 0.95, 0.98, 0.99}) {
      bench.Report(recall, options.repeats);
    }
  }
  return 0;
}

}  // namespace fletch::bench
