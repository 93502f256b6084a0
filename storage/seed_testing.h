// SPDX-License-Identifier: Apache-2.0
// Seeds of property tests: printed, and set again by the environment variable FLETCH_SEED.
#ifndef FLETCH_STORAGE_SEED_TESTING_H_
#define FLETCH_STORAGE_SEED_TESTING_H_

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>

namespace fletch {

inline std::mt19937_64 SeededRandom() {
  const char* const given = std::getenv("FLETCH_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "seed: FLETCH_SEED=" << seed << std::endl;
  return std::mt19937_64(seed);
}

}  // namespace fletch

#endif  // FLETCH_STORAGE_SEED_TESTING_H_
