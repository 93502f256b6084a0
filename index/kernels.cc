// SPDX-License-Identifier: Apache-2.0
#include "index/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fletch {
namespace {

struct Product {
  static double Of(float a, float b) { return static_cast<double>(a) * static_cast<double>(b); }
};

struct SquaredDifference {
  static double Of(float a, float b) {
    const double difference = static_cast<double>(a) - static_cast<double>(b);
    return difference * difference;
  }
};

// Adds the terms from `start` on (a multiple of 8) to their lanes and the lanes together, in the
// fixed order.
template <typename Term>
double Finish(double (&lane)[8], const float* a, const float* b, size_t start, size_t d) {
  for (size_t i = start; i < d; ++i) lane[i % 8] += Term::Of(a[i], b[i]);
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

template <typename Term>
double PlainSum(const float* a, const float* b, size_t d) {
  double lane[8] = {};
  return Finish<Term>(lane, a, b, 0, d);
}

template <typename Term>
float PlainFloatSum(const float* a, const float* b, size_t d) {
  return static_cast<float>(PlainSum<Term>(a, b, d));
}

constexpr Kernels kPlain = {"plain", PlainSum<Product>, PlainSum<SquaredDifference>,
                            PlainFloatSum<Product>, PlainFloatSum<SquaredDifference>};

#if defined(__x86_64__)

// Multiplication and addition stay apart everywhere below (no fused instruction,
// -ffp-contract=off): a fused sum would round once less and differ from the plain loop.

__attribute__((target("avx2"))) double DotAvx2(const float* a, const float* b, size_t d) {
  __m256d low = _mm256_setzero_pd();
  __m256d high = _mm256_setzero_pd();
  size_t i = 0;
  for (; i + 8 <= d; i += 8) {
    low = _mm256_add_pd(low, _mm256_mul_pd(_mm256_cvtps_pd(_mm_loadu_ps(a + i)),
                                           _mm256_cvtps_pd(_mm_loadu_ps(b + i))));
    high = _mm256_add_pd(high, _mm256_mul_pd(_mm256_cvtps_pd(_mm_loadu_ps(a + i + 4)),
                                             _mm256_cvtps_pd(_mm_loadu_ps(b + i + 4))));
  }
  double lane[8];
  _mm256_storeu_pd(lane, low);
  _mm256_storeu_pd(lane + 4, high);
  return Finish<Product>(lane, a, b, i, d);
}

__attribute__((target("avx2"))) double SquaredL2Avx2(const float* a, const float* b, size_t d) {
  __m256d low = _mm256_setzero_pd();
  __m256d high = _mm256_setzero_pd();
  size_t i = 0;
  for (; i + 8 <= d; i += 8) {
    const __m256d x =
        _mm256_sub_pd(_mm256_cvtps_pd(_mm_loadu_ps(a + i)), _mm256_cvtps_pd(_mm_loadu_ps(b + i)));
    const __m256d y = _mm256_sub_pd(_mm256_cvtps_pd(_mm_loadu_ps(a + i + 4)),
                                    _mm256_cvtps_pd(_mm_loadu_ps(b + i + 4)));
    low = _mm256_add_pd(low, _mm256_mul_pd(x, x));
    high = _mm256_add_pd(high, _mm256_mul_pd(y, y));
  }
  double lane[8];
  _mm256_storeu_pd(lane, low);
  _mm256_storeu_pd(lane + 4, high);
  return Finish<SquaredDifference>(lane, a, b, i, d);
}

__attribute__((target("avx2"))) inline float AddUp(__m256 sum) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

__attribute__((target("avx2"))) float DotFloatAvx2(const float* a, const float* b, size_t d) {
  __m256 even = _mm256_setzero_ps();
  __m256 odd = _mm256_setzero_ps();
  size_t i = 0;
  for (; i + 16 <= d; i += 16) {
    even = _mm256_add_ps(even, _mm256_mul_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i)));
    odd = _mm256_add_ps(odd, _mm256_mul_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8)));
  }
  float sum = AddUp(_mm256_add_ps(even, odd));
  for (; i < d; ++i) sum += a[i] * b[i];
  return sum;
}

__attribute__((target("avx2"))) float SquaredL2FloatAvx2(const float* a, const float* b, size_t d) {
  __m256 even = _mm256_setzero_ps();
  __m256 odd = _mm256_setzero_ps();
  size_t i = 0;
  for (; i + 16 <= d; i += 16) {
    const __m256 x = _mm256_sub_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i));
    const __m256 y = _mm256_sub_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8));
    even = _mm256_add_ps(even, _mm256_mul_ps(x, x));
    odd = _mm256_add_ps(odd, _mm256_mul_ps(y, y));
  }
  float sum = AddUp(_mm256_add_ps(even, odd));
  for (; i < d; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

constexpr Kernels kAvx2 = {"avx2", DotAvx2, SquaredL2Avx2, DotFloatAvx2, SquaredL2FloatAvx2};

// Eight floats widened to doubles. The masked form with a full mask is one plain instruction; the
// unmasked intrinsic makes GCC 12 warn of an uninitialised value inside its own header.
__attribute__((target("avx512f"))) inline __m512d Widen(const float* from) {
  return _mm512_maskz_cvtps_pd(0xFF, _mm256_loadu_ps(from));
}

__attribute__((target("avx512f"))) double DotAvx512(const float* a, const float* b, size_t d) {
  __m512d sum = _mm512_setzero_pd();
  size_t i = 0;
  for (; i + 8 <= d; i += 8) sum = _mm512_add_pd(sum, _mm512_mul_pd(Widen(a + i), Widen(b + i)));
  double lane[8];
  _mm512_storeu_pd(lane, sum);
  return Finish<Product>(lane, a, b, i, d);
}

__attribute__((target("avx512f"))) double SquaredL2Avx512(const float* a, const float* b,
                                                          size_t d) {
  __m512d sum = _mm512_setzero_pd();
  size_t i = 0;
  for (; i + 8 <= d; i += 8) {
    const __m512d x = _mm512_sub_pd(Widen(a + i), Widen(b + i));
    sum = _mm512_add_pd(sum, _mm512_mul_pd(x, x));
  }
  double lane[8];
  _mm512_storeu_pd(lane, sum);
  return Finish<SquaredDifference>(lane, a, b, i, d);
}

__attribute__((target("avx512f"))) inline float AddUp(__m512 sum) {
  float lane[16];
  _mm512_storeu_ps(lane, sum);
  return AddUp(_mm256_add_ps(_mm256_loadu_ps(lane), _mm256_loadu_ps(lane + 8)));
}

__attribute__((target("avx512f"))) float DotFloatAvx512(const float* a, const float* b, size_t d) {
  __m512 even = _mm512_setzero_ps();
  __m512 odd = _mm512_setzero_ps();
  size_t i = 0;
  for (; i + 32 <= d; i += 32) {
    even = _mm512_add_ps(even, _mm512_mul_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i)));
    odd =
        _mm512_add_ps(odd, _mm512_mul_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16)));
  }
  for (; i + 16 <= d; i += 16) {
    even = _mm512_add_ps(even, _mm512_mul_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i)));
  }
  float sum = AddUp(_mm512_add_ps(even, odd));
  for (; i < d; ++i) sum += a[i] * b[i];
  return sum;
}

__attribute__((target("avx512f"))) float SquaredL2FloatAvx512(const float* a, const float* b,
                                                              size_t d) {
  __m512 even = _mm512_setzero_ps();
  __m512 odd = _mm512_setzero_ps();
  size_t i = 0;
  for (; i + 32 <= d; i += 32) {
    const __m512 x = _mm512_sub_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i));
    const __m512 y = _mm512_sub_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16));
    even = _mm512_add_ps(even, _mm512_mul_ps(x, x));
    odd = _mm512_add_ps(odd, _mm512_mul_ps(y, y));
  }
  for (; i + 16 <= d; i += 16) {
    const __m512 x = _mm512_sub_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i));
    even = _mm512_add_ps(even, _mm512_mul_ps(x, x));
  }
  float sum = AddUp(_mm512_add_ps(even, odd));
  for (; i < d; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

constexpr Kernels kAvx512 = {"avx512f", DotAvx512, SquaredL2Avx512, DotFloatAvx512,
                             SquaredL2FloatAvx512};

#endif  // __x86_64__

std::vector<Kernels> Detect() {
  std::vector<Kernels> found = {kPlain};
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2")) found.push_back(kAvx2);
  if (__builtin_cpu_supports("avx512f")) found.push_back(kAvx512);
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
