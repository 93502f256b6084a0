// SPDX-License-Identifier: Apache-2.0
#include "server/engine/sql_functions.h"

#include "absl/strings/match.h"
#include "base/strings.h"

namespace fletch {
namespace {

constexpr size_t kMany = 100;  // SQLite takes 127, and the emitter adds some

using enum SqlResult;

// docs/expressions.md shows this table; a test compares the two.
constexpr SqlFunction kFunctions[] = {
    {"abs", "N", 1, 1, kFirst, "absolute value"},
    {"acos", "N", 1, 1, kReal, "arc cosine, in radians"},
    {"acosh", "N", 1, 1, kReal, "inverse hyperbolic cosine"},
    {"asin", "N", 1, 1, kReal, "arc sine, in radians"},
    {"asinh", "N", 1, 1, kReal, "inverse hyperbolic sine"},
    {"atan", "N", 1, 1, kReal, "arc tangent, in radians"},
    {"atan2", "NN", 2, 2, kReal, "angle of the point (x = second, y = first), in radians"},
    {"atanh", "N", 1, 1, kReal, "inverse hyperbolic tangent"},
    {"ceil", "N", 1, 1, kFirst, "next whole number that is not smaller"},
    {"ceiling", "N", 1, 1, kFirst, "ceil"},
    {"char", "I", 1, kMany, kText, "text of these Unicode code points"},
    {"coalesce", "J", 2, kMany, kJoined, "first argument that is not NULL"},
    {"cos", "N", 1, 1, kReal, "cosine of radians"},
    {"cosh", "N", 1, 1, kReal, "hyperbolic cosine"},
    {"degrees", "N", 1, 1, kReal, "degrees of radians"},
    {"exp", "N", 1, 1, kReal, "e to this power"},
    {"floor", "N", 1, 1, kFirst, "next whole number that is not larger"},
    {"hex", "S", 1, 1, kText, "bytes in hexadecimal"},
    {"ifnull", "JJ", 2, 2, kJoined, "coalesce of two"},
    {"iif", "NJJ", 3, 3, kJoined, "second argument if the first is true, else the third"},
    {"instr", "SS", 2, 2, kInteger, "where the second begins in the first, from 1; 0: nowhere", 2},
    {"length", "S", 1, 1, kInteger, "characters of a TEXT, bytes of a BLOB"},
    {"ln", "N", 1, 1, kReal, "natural logarithm"},
    {"log", "NN", 1, 2, kReal, "logarithm to base 10; of two arguments: to base first, of second"},
    {"log10", "N", 1, 1, kReal, "logarithm to base 10"},
    {"log2", "N", 1, 1, kReal, "logarithm to base 2"},
    {"lower", "T", 1, 1, kText, "ASCII letters small"},
    {"ltrim", "TT", 1, 2, kText, "without the second's characters (blanks) in front", 2},
    {"max", "J", 2, kMany, kJoined, "largest; NULL if any is NULL"},
    {"min", "J", 2, kMany, kJoined, "smallest; NULL if any is NULL"},
    {"mod", "NN", 2, 2, kReal, "remainder of the division, of REALs too"},
    {"nullif", "JJ", 2, 2, kFirst, "NULL if both are equal, else the first"},
    {"pi", "", 0, 0, kReal, "3.14159…"},
    {"pow", "NN", 2, 2, kReal, "first to the power of the second"},
    {"power", "NN", 2, 2, kReal, "pow"},
    {"radians", "N", 1, 1, kReal, "radians of degrees"},
    {"replace", "TTT", 3, 3, kText, "first with the third for every second", 2},
    {"round", "NI", 1, 2, kReal, "rounded to this many decimals (0), halves away from zero"},
    {"rtrim", "TT", 1, 2, kText, "without the second's characters (blanks) at the end", 2},
    {"sign", "N", 1, 1, kInteger, "-1, 0 or 1"},
    {"sin", "N", 1, 1, kReal, "sine of radians"},
    {"sinh", "N", 1, 1, kReal, "hyperbolic sine"},
    {"sqrt", "N", 1, 1, kReal, "square root"},
    {"substr", "SII", 2, 3, kFirst, "from the second on (1; from the end if negative), third long"},
    {"substring", "SII", 2, 3, kFirst, "substr"},
    {"tan", "N", 1, 1, kReal, "tangent of radians"},
    {"tanh", "N", 1, 1, kReal, "hyperbolic tangent"},
    {"trim", "TT", 1, 2, kText, "without the second's characters (blanks) on both sides", 2},
    {"trunc", "N", 1, 1, kFirst, "whole number next to it towards 0"},
    {"typeof", "A", 1, 1, kText, "null, integer, real, text or blob"},
    {"unicode", "T", 1, 1, kInteger, "code point of the first character"},
    {"upper", "T", 1, 1, kText, "ASCII letters large"},
};

}  // namespace

absl::Span<const SqlFunction> SqlFunctions() { return kFunctions; }

const SqlFunction* FindSqlFunction(std::string_view name) {
  for (const SqlFunction& function : kFunctions) {
    if (absl::EqualsIgnoreCase(ToAbsl(function.name), ToAbsl(name))) return &function;
  }
  return nullptr;
}

std::string SqlFunctionNames() {
  std::string names;
  for (const SqlFunction& function : kFunctions) {
    if (!names.empty()) names += ", ";
    names += function.name;
  }
  return names;
}

}  // namespace fletch
