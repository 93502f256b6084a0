// SPDX-License-Identifier: Apache-2.0
// Vectors to search, and what a search should have found.
#ifndef FLETCH_TESTS_BENCH_VECTOR_SET_H_
#define FLETCH_TESTS_BENCH_VECTOR_SET_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "report.h"

namespace fletch::bench {

struct VectorRows {
  size_t dimension = 0;
  std::vector<float> values;  // row after row

  size_t count() const { return values.size() / dimension; }
  const float* row(size_t i) const { return values.data() + i * dimension; }
  void Append(const float* vector) { values.insert(values.end(), vector, vector + dimension); }
};

// Rows of length 1; queries are not among them.
struct VectorSet {
  std::string name;  // for people, with its size
  VectorRows rows;
  VectorRows queries;
};

// NAME.f32 and NAME-queries.f32 of options.vectors, at most so many of each; with `quick` a made
// set of `quick_rows` rows instead. Nothing, and a word on standard error, when the files are
// missing.
std::optional<VectorSet> LoadSet(const Options& options, const std::string& name, size_t max_rows,
                                 size_t max_queries, size_t quick_rows = 10'000);

// Clustered directions, as embeddings are; clusters are of about 100.
VectorSet MakeSet(size_t rows, size_t dimension, size_t queries);

using Neighbours = std::vector<std::vector<uint32_t>>;  // of each query, best first

// The k rows with the greatest inner product, of those that `passes` (of query and row) admits.
Neighbours NearestRows(const VectorRows& rows, const VectorRows& queries, size_t k,
                       const std::function<bool(size_t query, size_t row)>& passes = {});

// The share of `truth` that is in `found`.
double Recall(const Neighbours& truth, const Neighbours& found);

double WallSeconds(const std::function<void()>& work);
// Of the calling thread: wanders less than wall time on a busy machine.
double ThreadCpuSeconds(const std::function<void()>& work);

// The least ef in [least, 4096] whose recall reaches `wanted`, to a twentieth; 4096 if none does.
size_t LeastEf(double wanted, size_t least, const std::function<double(size_t ef)>& recall);

}  // namespace fletch::bench

#endif  // FLETCH_TESTS_BENCH_VECTOR_SET_H_
