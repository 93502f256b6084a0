// SPDX-License-Identifier: Apache-2.0
#include "index/kernels.h"

#include <cstdint>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fletch {
namespace {

std::vector<size_t> Dimensions() {
  std::vector<size_t> dimensions;
  for (size_t d = 1; d <= 260; ++d) dimensions.push_back(d);
  for (const size_t d : {511, 512, 513, 768, 1023, 1024, 1025, 1536, 4095, 4096}) {
    dimensions.push_back(d);
  }
  return dimensions;
}

int32_t PlainSum(const uint8_t* code, const std::vector<int8_t>& weights) {
  int32_t sum = 0;
  for (size_t i = 0; i < weights.size(); ++i) sum += int32_t{code[i]} * int32_t{weights[i]};
  return sum;
}

// Some codes in one table that begins anywhere, with bytes after each that must not count.
struct Table {
  Table(size_t dimension, size_t count, size_t misalignment, size_t spare)
      : blocks((dimension + kCodeBlock - 1) / kCodeBlock),
        stride(blocks * kCodeBlock + spare),
        bytes(misalignment + count * stride),
        codes{bytes.data() + misalignment, stride} {}
  const size_t blocks;
  const size_t stride;
  std::vector<uint8_t> bytes;
  const CodeTable codes;
};

void ExpectPlainSums(const Table& table, const std::vector<uint32_t>& ids,
                     const std::vector<int8_t>& weights) {
  for (const Kernels& kernels : SupportedKernels()) {
    std::vector<int32_t> sums(ids.size() + 1, 77);
    kernels.dot_codes(table.codes, ids.data(), ids.size(), weights.data(), table.blocks,
                      sums.data());
    for (size_t i = 0; i < ids.size(); ++i) {
      ASSERT_EQ(sums[i], PlainSum(table.codes.first + ids[i] * table.stride, weights))
          << kernels.name << " blocks=" << table.blocks << " i=" << i;
    }
    ASSERT_EQ(sums.back(), 77) << kernels.name << " wrote past its end";
  }
}

TEST(KernelsTest, SumsOfCodesAreThoseOfThePlainLoop) {
  const uint64_t seed = std::random_device{}();
  RecordProperty("seed", std::to_string(seed));
  std::mt19937_64 random(seed);
  for (const size_t d : Dimensions()) {
    Table table(d, 9, random() % 64, random() % 40);
    for (uint8_t& byte : table.bytes) byte = static_cast<uint8_t>(random());
    std::vector<int8_t> weights(table.blocks * kCodeBlock, 0);
    for (size_t i = 0; i < d; ++i) weights[i] = static_cast<int8_t>(random() % 255) - 127;
    std::vector<uint32_t> ids(random() % 9);
    for (uint32_t& id : ids) id = static_cast<uint32_t>(random() % 9);
    ExpectPlainSums(table, ids, weights);
    ASSERT_FALSE(HasFatalFailure()) << "d=" << d << " seed=" << seed;
  }
}

TEST(KernelsTest, SumsOfExtremeCodesAreExact) {
  for (const size_t d : {1, 64, 127, 4095, 4096}) {
    for (const int weight : {-127, 127, -128}) {
      Table table(d, 5, 1, 3);
      std::fill(table.bytes.begin(), table.bytes.end(), 255);
      std::vector<int8_t> weights(table.blocks * kCodeBlock, 0);
      std::fill(weights.begin(), weights.begin() + static_cast<ptrdiff_t>(d),
                static_cast<int8_t>(weight));
      ExpectPlainSums(table, {0, 1, 2, 3, 4}, weights);
    }
  }
}

TEST(KernelsTest, TheBestIsTheLastSupported) {
  EXPECT_EQ(BestKernels().name, SupportedKernels().back().name);
#if defined(__x86_64__)
  const bool has_vnni = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw");
  EXPECT_EQ(BestKernels().name == "AVX3+VNNI", has_vnni);
#endif
}

}  // namespace
}  // namespace fletch
