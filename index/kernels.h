// SPDX-License-Identifier: Apache-2.0
// Sums over two vectors, one set of functions for each instruction set; chosen at run time, so one
// binary serves every processor of its family.
#ifndef FLETCH_INDEX_KERNELS_H_
#define FLETCH_INDEX_KERNELS_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace fletch {

// Codes are multiplied in blocks of so many bytes; weights are zero from the dimension on.
inline constexpr size_t kCodeBlock = 64;

// Codes that lie in records of one size: `first + id * stride` is the code of `id`. A whole number
// of blocks can be read there.
struct CodeTable {
  const uint8_t* first = nullptr;
  size_t stride = 0;
};

struct Kernels {
  std::string_view name;
  // In distance.h's fixed order: every set gives the same bits.
  double (*dot)(const float* a, const float* b, size_t d);
  double (*squared_l2)(const float* a, const float* b, size_t d);
  // In float, in any order, for walking a graph; its hits are scored again by the ones above.
  float (*dot_float)(const float* a, const float* b, size_t d);
  float (*squared_l2_float)(const float* a, const float* b, size_t d);
  // out[i] = sum of code(ids[i])[j] * weights[j] over `blocks` blocks. Exact: every set gives the
  // same numbers. REQUIRES: blocks * kCodeBlock <= limits::kMaxDimension (no sum leaves int32).
  void (*dot_codes)(CodeTable codes, const uint32_t* ids, size_t count, const int8_t* weights,
                    size_t blocks, int32_t* out);
};

// Those this machine can run, slowest first; never empty.
const std::vector<Kernels>& SupportedKernels();
// The last of them.
const Kernels& BestKernels();

}  // namespace fletch

#endif  // FLETCH_INDEX_KERNELS_H_
