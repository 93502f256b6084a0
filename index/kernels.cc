// SPDX-License-Identifier: Apache-2.0
// Highway includes this file once more for each instruction set.
#include "index/kernels.h"

// Vectors of unknown width would need other code; GCC 12 dispatches to none of them at run time.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/kernels.cc"
#include <hwy/foreach_target.h>
// foreach_target comes first.
#include <hwy/highway.h>
#if HWY_ONCE && defined(__x86_64__)
#include <immintrin.h>
#endif

HWY_BEFORE_NAMESPACE();
namespace fletch {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

struct Product {
  template <typename V>
  static V Of(V a, V b) {
    return hn::Mul(a, b);
  }
  static double Of(double a, double b) { return a * b; }
  static float Of(float a, float b) { return a * b; }
};

struct SquaredDifference {
  template <typename V>
  static V Of(V a, V b) {
    const V difference = hn::Sub(a, b);
    return hn::Mul(difference, difference);
  }
  static double Of(double a, double b) { return (a - b) * (a - b); }
  static float Of(float a, float b) { return (a - b) * (a - b); }
};

// Multiplication and addition stay apart (no fused instruction, -ffp-contract=off): a fused sum
// rounds once less and differs from the plain loop.
template <typename Term>
double FixedOrderSum(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, size_t d) {
  const hn::CappedTag<double, 8> doubles;
  const hn::Rebind<float, decltype(doubles)> floats;
  constexpr size_t kLanes = hn::MaxLanes(doubles);
  constexpr size_t kParts = 8 / kLanes;
  hn::Vec<decltype(doubles)> sums[kParts];
  for (auto& sum : sums) sum = hn::Zero(doubles);
  size_t i = 0;
  for (; i + 8 <= d; i += 8) {
    for (size_t part = 0; part < kParts; ++part) {
      const size_t at = i + part * kLanes;
      sums[part] = hn::Add(sums[part], Term::Of(hn::PromoteTo(doubles, hn::LoadU(floats, a + at)),
                                                hn::PromoteTo(doubles, hn::LoadU(floats, b + at))));
    }
  }
  double lane[8];
  for (size_t part = 0; part < kParts; ++part) {
    hn::StoreU(sums[part], doubles, lane + part * kLanes);
  }
  for (; i < d; ++i) {
    lane[i % 8] += Term::Of(static_cast<double>(a[i]), static_cast<double>(b[i]));
  }
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

template <typename Term>
float FloatSum(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, size_t d) {
  const hn::ScalableTag<float> floats;
  const size_t lanes = hn::Lanes(floats);
  auto even = hn::Zero(floats);
  auto odd = hn::Zero(floats);
  size_t i = 0;
  for (; i + 2 * lanes <= d; i += 2 * lanes) {
    even = hn::Add(even, Term::Of(hn::LoadU(floats, a + i), hn::LoadU(floats, b + i)));
    odd =
        hn::Add(odd, Term::Of(hn::LoadU(floats, a + i + lanes), hn::LoadU(floats, b + i + lanes)));
  }
  if (i + lanes <= d) {
    even = hn::Add(even, Term::Of(hn::LoadU(floats, a + i), hn::LoadU(floats, b + i)));
    i += lanes;
  }
  float sum = hn::GetLane(hn::SumOfLanes(floats, hn::Add(even, odd)));
  for (; i < d; ++i) sum += Term::Of(a[i], b[i]);
  return sum;
}

double Dot(const float* a, const float* b, size_t d) { return FixedOrderSum<Product>(a, b, d); }
double SquaredL2(const float* a, const float* b, size_t d) {
  return FixedOrderSum<SquaredDifference>(a, b, d);
}
float DotFloat(const float* a, const float* b, size_t d) { return FloatSum<Product>(a, b, d); }
float SquaredL2Float(const float* a, const float* b, size_t d) {
  return FloatSum<SquaredDifference>(a, b, d);
}

// Products of 16 bits, added in pairs to 32.
int32_t DotCode(const uint8_t* HWY_RESTRICT code, const int8_t* HWY_RESTRICT weights, size_t size) {
  const hn::ScalableTag<int16_t> shorts;
  const hn::RepartitionToWide<decltype(shorts)> ints;
  const hn::Rebind<uint8_t, decltype(shorts)> unsigned_bytes;
  const hn::Rebind<int8_t, decltype(shorts)> signed_bytes;
  auto sum0 = hn::Zero(ints);
  auto sum1 = hn::Zero(ints);
  for (size_t i = 0; i < size; i += hn::Lanes(shorts)) {
    sum0 = hn::ReorderWidenMulAccumulate(
        ints, hn::PromoteTo(shorts, hn::LoadU(unsigned_bytes, code + i)),
        hn::PromoteTo(shorts, hn::LoadU(signed_bytes, weights + i)), sum0, sum1);
  }
  return hn::GetLane(hn::SumOfLanes(ints, hn::Add(sum0, sum1)));
}

void DotCodes(CodeTable codes, const uint32_t* ids, size_t count, const int8_t* weights,
              size_t blocks, int32_t* out) {
  for (size_t i = 0; i < count; ++i) {
    out[i] = DotCode(codes.first + ids[i] * codes.stride, weights, blocks * kCodeBlock);
  }
}

}  // namespace

Kernels MakeKernels() {
  return {hwy::TargetName(HWY_TARGET), Dot, SquaredL2, DotFloat, SquaredL2Float, DotCodes};
}

}  // namespace HWY_NAMESPACE
}  // namespace fletch
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace fletch {

HWY_EXPORT(MakeKernels);

namespace {

#if defined(__x86_64__)

// Highway 1.0.3 has no product of bytes; these processors have one that adds four of them.
#define FLETCH_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

FLETCH_VNNI inline __m512i Times(__m512i sum, const uint8_t* code, __m512i weights) {
  return _mm512_dpbusd_epi32(sum, _mm512_loadu_si512(code), weights);
}

// The sixteen lanes of each of four sums, added up.
FLETCH_VNNI inline __m128i AddUp(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
  const __m512i all =
      _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
  const __m256i half =
      _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
  return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

FLETCH_VNNI void DotCodesVnni(CodeTable codes, const uint32_t* ids, size_t count,
                              const int8_t* weights, size_t blocks, int32_t* out) {
  for (size_t i = 0; i < count; i += 4) {
    // The last group names its last code again; what is too much is not stored.
    const size_t left = count - i;
    const uint8_t* const a = codes.first + ids[i] * codes.stride;
    const uint8_t* const b = codes.first + ids[i + (left > 1 ? 1 : 0)] * codes.stride;
    const uint8_t* const c = codes.first + ids[i + (left > 2 ? 2 : 0)] * codes.stride;
    const uint8_t* const d = codes.first + ids[i + (left > 3 ? 3 : 0)] * codes.stride;
    __m512i sum_a = _mm512_setzero_si512(), sum_b = sum_a, sum_c = sum_a, sum_d = sum_a;
    for (size_t at = 0; at < blocks * kCodeBlock; at += kCodeBlock) {
      const __m512i w = _mm512_loadu_si512(weights + at);
      sum_a = Times(sum_a, a + at, w);
      sum_b = Times(sum_b, b + at, w);
      sum_c = Times(sum_c, c + at, w);
      sum_d = Times(sum_d, d + at, w);
    }
    const __mmask8 stored = left >= 4 ? 0xF : static_cast<__mmask8>((1u << left) - 1);
    _mm_mask_storeu_epi32(out + i, stored, AddUp(sum_a, sum_b, sum_c, sum_d));
  }
}

#endif  // __x86_64__

// The targets that were compiled and that this processor has, from the plainest on.
std::vector<Kernels> Detect() {
  std::vector<Kernels> found;
  std::vector<int64_t> targets = hwy::SupportedAndGeneratedTargets();
  // Lower bits are better targets.
  for (auto target = targets.rbegin(); target != targets.rend(); ++target) {
    hwy::ChosenTarget chosen;
    chosen.Update(*target);
    found.push_back(HWY_DISPATCH_TABLE(MakeKernels)[chosen.GetIndex()]());
  }
#if defined(__x86_64__)
  if ((hwy::SupportedTargets() & HWY_AVX3) != 0 && __builtin_cpu_supports("avx512vnni")) {
    Kernels vnni = found.back();
    vnni.name = "AVX3+VNNI";
    vnni.dot_codes = DotCodesVnni;
    found.push_back(vnni);
  }
#endif
  return found;
}

}  // namespace

const std::vector<Kernels>& SupportedKernels() {
  static const std::vector<Kernels>& kernels = *new std::vector<Kernels>(Detect());
  return kernels;
}

const Kernels& BestKernels() {
  static const Kernels& best = SupportedKernels().back();
  return best;
}

}  // namespace fletch

#endif  // HWY_ONCE
