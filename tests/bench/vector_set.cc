// SPDX-License-Identifier: Apache-2.0
#include "vector_set.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <random>
#include <thread>
#include <utility>

#include "exact_scan.h"

namespace fletch::bench {
namespace {

std::optional<VectorRows> ReadRows(const std::string& path, size_t max_rows) {
  std::ifstream in(path, std::ios::binary);
  uint32_t shape[2] = {0, 0};
  if (!in.read(reinterpret_cast<char*>(shape), sizeof shape) || shape[1] == 0) return std::nullopt;
  VectorRows rows{shape[1], {}};
  rows.values.resize(std::min<size_t>(shape[0], max_rows) * rows.dimension);
  in.read(reinterpret_cast<char*>(rows.values.data()),
          static_cast<std::streamsize>(rows.values.size() * sizeof(float)));
  if (!in) return std::nullopt;
  return rows;
}

std::string Shape(const VectorRows& rows) {
  return std::to_string(rows.count()) + " x " + std::to_string(rows.dimension) + "-d";
}

// Scores of one query's best rows, best first.
class Best {
 public:
  explicit Best(size_t k) : k_(k) {}
  bool Wants(float score) const { return best_.size() < k_ || score > best_.back().first; }
  void Take(float score, uint32_t row) {
    if (best_.size() == k_) best_.pop_back();
    const std::pair<float, uint32_t> hit{score, row};
    best_.insert(std::upper_bound(best_.begin(), best_.end(), hit,
                                  [](const auto& a, const auto& b) { return a.first > b.first; }),
                 hit);
  }
  std::vector<uint32_t> rows() const {
    std::vector<uint32_t> rows;
    for (const auto& [score, row] : best_) rows.push_back(row);
    return rows;
  }

 private:
  const size_t k_;
  std::vector<std::pair<float, uint32_t>> best_;
};

double Now(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

std::optional<VectorSet> LoadSet(const Options& options, const std::string& name, size_t max_rows,
                                 size_t max_queries, size_t quick_rows) {
  if (options.quick) return MakeSet(std::min(quick_rows, max_rows), 32, 200);
  auto rows = ReadRows(options.vectors + "/" + name + ".f32", max_rows);
  auto queries = ReadRows(options.vectors + "/" + name + "-queries.f32", max_queries);
  if (!rows || !queries || rows->dimension != queries->dimension) {
    std::fprintf(stderr, "fletch-bench: no %s in %s; make it with tests/bench/get_vectors.py\n",
                 name.c_str(), options.vectors.c_str());
    return std::nullopt;
  }
  const std::string shape = Shape(*rows);
  return VectorSet{name + ", " + shape, *std::move(rows), *std::move(queries)};
}

VectorSet MakeSet(size_t rows, size_t dimension, size_t queries) {
  std::mt19937_64 random(7);
  std::normal_distribution<float> normal;
  const size_t clusters = std::max<size_t>(1, rows / 100);
  std::vector<float> centres(clusters * dimension);
  for (float& x : centres) x = normal(random);
  auto make = [&](size_t count) {
    VectorRows made{dimension, std::vector<float>(count * dimension)};
    for (size_t i = 0; i < count; ++i) {
      const float* centre = &centres[random() % clusters * dimension];
      float* vector = &made.values[i * dimension];
      double squares = 0;
      for (size_t d = 0; d < dimension; ++d) {
        vector[d] = centre[d] + 0.7f * normal(random);
        squares += static_cast<double>(vector[d]) * vector[d];
      }
      for (size_t d = 0; d < dimension; ++d)
        vector[d] = static_cast<float>(vector[d] / std::sqrt(squares));
    }
    return made;
  };
  VectorSet set{"", make(rows), make(queries)};
  set.name = "made clusters, " + Shape(set.rows);
  return set;
}

Neighbours NearestRows(const VectorRows& rows, const VectorRows& queries, size_t k,
                       const std::function<bool(size_t, size_t)>& passes) {
  Neighbours nearest(queries.count());
  const size_t count = rows.count();
  auto work = [&](size_t begin, size_t step) {
    std::vector<float> scores(count);
    for (size_t q = begin; q < queries.count(); q += step) {
      ScanAll(rows.values.data(), count, rows.dimension, queries.row(q), scores.data());
      Best best(k);
      for (size_t i = 0; i < count; ++i) {
        if (best.Wants(scores[i]) && (!passes || passes(q, i)))
          best.Take(scores[i], static_cast<uint32_t>(i));
      }
      nearest[q] = best.rows();
    }
  };
  std::thread other(work, 1, 2);
  work(0, 2);
  other.join();
  return nearest;
}

double Recall(const Neighbours& truth, const Neighbours& found) {
  size_t wanted = 0, hits = 0;
  for (size_t q = 0; q < truth.size(); ++q) {
    wanted += truth[q].size();
    for (uint32_t row : truth[q])
      hits += static_cast<size_t>(std::count(found[q].begin(), found[q].end(), row));
  }
  return static_cast<double>(hits) / static_cast<double>(wanted);
}

double WallSeconds(const std::function<void()>& work) {
  const double begin = Now(CLOCK_MONOTONIC);
  work();
  return Now(CLOCK_MONOTONIC) - begin;
}

double ThreadCpuSeconds(const std::function<void()>& work) {
  const double begin = Now(CLOCK_THREAD_CPUTIME_ID);
  work();
  return Now(CLOCK_THREAD_CPUTIME_ID) - begin;
}

size_t LeastEf(double wanted, size_t least, const std::function<double(size_t)>& recall) {
  constexpr size_t kMost = 4096;
  size_t low = least, high = least;
  while (high < kMost && recall(high) < wanted) low = high, high = std::min(kMost, high * 2);
  while (high - low > std::max<size_t>(1, low / 20)) {
    const size_t middle = (low + high) / 2;
    (recall(middle) >= wanted ? high : low) = middle;
  }
  return high;
}

}  // namespace fletch::bench
