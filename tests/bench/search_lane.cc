// SPDX-License-Identifier: Apache-2.0
// Our search in process, one thread, as a child that is told what to measure: the side of ours in
// libraries.py, which alternates it with other libraries.
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "index/vector_index.h"
#include "report.h"
#include "vector_set.h"

namespace fletch::bench {
namespace {

constexpr size_t kTopK = 10;

std::vector<uint32_t> Search(const VectorIndex& index, const float* query, size_t dimension,
                             size_t ef) {
  auto accept = [](RowId) { return true; };
  auto tie_before = [](RowId a, RowId b) { return a < b; };
  auto check = [] { return absl::OkStatus(); };
  const IndexQuery asked{.vector = {query, dimension},
                         .top_k = kTopK,
                         .ef = ef,
                         .accept = accept,
                         .tie_before = tie_before,
                         .check = check};
  const auto answer = index.Search(asked);
  if (!answer.ok()) std::abort();
  std::vector<uint32_t> rows;
  for (const IndexHit& hit : answer->hits) rows.push_back(hit.row);
  return rows;
}

}  // namespace

int RunSearchLane(const Options& options) {
  const auto set = LoadSet(options, options.set, 350'000, 1000);
  if (!set) return 1;
  const size_t dimension = set->rows.dimension;
  VectorIndex index({.metric = VectorMetric::kDot, .dimension = dimension});
  for (size_t i = 0; i < set->rows.count(); ++i) index.Add({set->rows.row(i), dimension});
  const absl::Status built =
      index.ExtendGraph([](RowId) { return true; }, [] { return false; }, [](double) {});
  if (!built.ok()) {
    std::fprintf(stderr, "fletch-bench: no graph: %s\n", std::string(built.message()).c_str());
    return 1;
  }
  const Neighbours truth = NearestRows(set->rows, set->queries, kTopK);
  std::printf("{\"rows\":%zu}\n", set->rows.count());
  std::fflush(stdout);
  for (size_t ef = 0; std::cin >> ef;) {
    Neighbours found;
    const double seconds = ThreadCpuSeconds([&] {
      for (size_t q = 0; q < set->queries.count(); ++q)
        found.push_back(Search(index, set->queries.row(q), dimension, ef));
    });
    std::printf("{\"recall\":%.6f,\"qps\":%.3f}\n", Recall(truth, found),
                static_cast<double>(set->queries.count()) / seconds);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace fletch::bench
