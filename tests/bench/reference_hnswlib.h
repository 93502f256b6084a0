// SPDX-License-Identifier: Apache-2.0
// hnswlib as it comes: what our search is measured against. The one file of the benchmark that
// includes it is reference_hnswlib.cc.
#ifndef FLETCH_TESTS_BENCH_REFERENCE_HNSWLIB_H_
#define FLETCH_TESTS_BENCH_REFERENCE_HNSWLIB_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace fletch::bench {

// Inner product over vectors that the caller normalised. M = 16, ef_construction = 200.
class __attribute__((visibility("default"))) ReferenceHnsw {
 public:
  ReferenceHnsw(size_t dimension, size_t capacity);
  ~ReferenceHnsw();
  void Add(const float* vector, uint32_t label);
  std::vector<uint32_t> Search(const float* query, size_t k, size_t ef);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fletch::bench

#endif  // FLETCH_TESTS_BENCH_REFERENCE_HNSWLIB_H_
