// SPDX-License-Identifier: Apache-2.0
// Plain scans with this machine's SIMD: the truth of the search bars, and the reference of filtered
// search.
#ifndef FLETCH_TESTS_BENCH_EXACT_SCAN_H_
#define FLETCH_TESTS_BENCH_EXACT_SCAN_H_

#include <cstddef>
#include <cstdint>

namespace fletch::bench {

// scores[i] = inner product of the query and row i.
void ScanAll(const float* rows, size_t count, size_t dimension, const float* query, float* scores);
// scores[i] = inner product of the query and row ids[i].
void ScanListed(const float* rows, const uint32_t* ids, size_t count, size_t dimension,
                const float* query, float* scores);

}  // namespace fletch::bench

#endif  // FLETCH_TESTS_BENCH_EXACT_SCAN_H_
