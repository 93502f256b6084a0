// SPDX-License-Identifier: Apache-2.0
// Values of indexed fields as 64-bit words. Words of numbers and times are in the order of the
// values; texts are numbers of a dictionary, in no order.
#ifndef FLETCH_SERVER_ENGINE_FIELD_WORD_H_
#define FLETCH_SERVER_ENGINE_FIELD_WORD_H_

#include <bit>
#include <cmath>
#include <cstdint>

#include "storage/value.h"

namespace fletch {

inline constexpr uint64_t kSignBit = uint64_t{1} << 63;
inline constexpr uint64_t kNanWord = UINT64_MAX;  // of FLOAT and DOUBLE: after all numbers

// Fields that can be indexed.
inline bool IsIndexable(const DataType& type) {
  return !type.array && !type.is_vector() && type.type != ValueType::kBytes &&
         type.type != ValueType::kJson;
}
inline bool IsReal(ValueType type) {
  return type == ValueType::kFloat || type == ValueType::kDouble;
}

// BOOL, INT32, INT64, TIMESTAMP.
inline uint64_t WordOfInt(int64_t value) { return static_cast<uint64_t>(value) ^ kSignBit; }
inline int64_t IntOfWord(uint64_t word) { return static_cast<int64_t>(word ^ kSignBit); }

// FLOAT, DOUBLE: -0 is 0, any NaN is kNanWord.
inline uint64_t WordOfReal(double value) {
  if (std::isnan(value)) return kNanWord;
  const auto bits = std::bit_cast<uint64_t>(value == 0 ? 0.0 : value);
  return (bits & kSignBit) != 0 ? ~bits : bits | kSignBit;
}
inline double RealOfWord(uint64_t word) {
  return std::bit_cast<double>((word & kSignBit) != 0 ? word ^ kSignBit : ~word);
}

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_FIELD_WORD_H_
