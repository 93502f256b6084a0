// SPDX-License-Identifier: Apache-2.0
// Sums over two vectors, one set of functions for each instruction set; chosen at run time, so one
// binary serves every x86-64.
#ifndef FLETCH_INDEX_KERNELS_H_
#define FLETCH_INDEX_KERNELS_H_

#include <cstddef>
#include <string_view>
#include <vector>

namespace fletch {

struct Kernels {
  std::string_view name;
  // In distance.h's fixed order: every set gives the same bits.
  double (*dot)(const float* a, const float* b, size_t d);
  double (*squared_l2)(const float* a, const float* b, size_t d);
  // In float, in any order, for walking a graph; its hits are scored again by the ones above.
  float (*dot_float)(const float* a, const float* b, size_t d);
  float (*squared_l2_float)(const float* a, const float* b, size_t d);
};

// Those this machine can run, slowest first; never empty.
const std::vector<Kernels>& SupportedKernels();
// The last of them.
const Kernels& BestKernels();

}  // namespace fletch

#endif  // FLETCH_INDEX_KERNELS_H_
