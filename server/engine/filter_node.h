// SPDX-License-Identifier: Apache-2.0
// A resolved filter as a tree, and how values compare. Private to what evaluates filters.
#ifndef FLETCH_SERVER_ENGINE_FILTER_NODE_H_
#define FLETCH_SERVER_ENGINE_FILTER_NODE_H_

#include <cmath>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "server/engine/types.h"
#include "storage/value.h"

namespace fletch {

// One condition. Immutable once made.
struct FilterNode {
  FilterSpec::Kind kind;
  std::vector<FilterNode> children = {};
  size_t view = 0;   // index of the filter's views
  size_t field = 0;  // of that view
  std::string ref = {};
  ValueType type = ValueType::kDouble;
  FilterSpec::Op op = FilterSpec::Op::kEq;
  std::vector<Literal> values = {};  // of the kinds that the type compares with
};

// Without rounding either side: 2^53 + 1 is greater than 2^53 as a double.
inline std::partial_ordering CompareExactly(int64_t a, double b) {
  if (std::isnan(b)) return std::partial_ordering::unordered;
  if (b >= 9223372036854775808.0) return std::partial_ordering::less;
  if (b < -9223372036854775808.0) return std::partial_ordering::greater;
  const double whole = std::floor(b);
  const auto truncated = static_cast<int64_t>(whole);
  if (a != truncated) return a <=> truncated;
  return whole < b ? std::partial_ordering::less : std::partial_ordering::equivalent;
}

// A value of INT32, INT64 or TIMESTAMP against a number.
inline std::partial_ordering CompareInt(int64_t value, const Literal& literal) {
  if (const auto* whole = std::get_if<int64_t>(&literal)) return value <=> *whole;
  return CompareExactly(value, std::get<double>(literal));
}

// A value of FLOAT or DOUBLE against a number.
inline std::partial_ordering CompareReal(double value, const Literal& literal) {
  if (const auto* real = std::get_if<double>(&literal)) return value <=> *real;
  return 0 <=> CompareExactly(std::get<int64_t>(literal), value);
}

// Whether an op of order holds; not for PREFIX and CONTAINS.
inline bool Holds(FilterSpec::Op op, std::partial_ordering order) {
  using Op = FilterSpec::Op;
  switch (op) {
    case Op::kEq:
      return order == 0;
    case Op::kNe:
      return order != 0;  // unordered (NaN) is not equal either
    case Op::kLt:
      return order < 0;
    case Op::kLe:
      return order <= 0;
    case Op::kGt:
      return order > 0;
    case Op::kGe:
      return order >= 0;
    default:
      return false;
  }
}

// PREFIX and CONTAINS.
inline bool IsTextOp(FilterSpec::Op op) {
  return op == FilterSpec::Op::kPrefix || op == FilterSpec::Op::kContains;
}
inline bool HoldsText(FilterSpec::Op op, std::string_view text, std::string_view wanted) {
  if (op == FilterSpec::Op::kPrefix) return text.substr(0, wanted.size()) == wanted;
  return text.find(wanted) != std::string_view::npos;
}

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_FILTER_NODE_H_
