// SPDX-License-Identifier: Apache-2.0
// The functions an expression may call: deterministic ones of SQLite, with what they take and give.
#ifndef FLETCH_SERVER_ENGINE_SQL_FUNCTIONS_H_
#define FLETCH_SERVER_ENGINE_SQL_FUNCTIONS_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/types/span.h"

namespace fletch {

// What an argument must be. NULL is everything.
enum class SqlArgument : char {
  kNumber = 'N',
  kInteger = 'I',
  kText = 'T',
  kString = 'S',  // TEXT or BLOB, all such arguments of a call alike
  kAlike = 'J',   // anything, all such arguments of a call alike: numbers, TEXT or BLOB
  kAny = 'A',
};

enum class SqlResult : char { kInteger, kReal, kText, kFirst, kJoined };

struct SqlFunction {
  std::string_view name;
  std::string_view arguments;  // SqlArguments; the last stands for all that follow
  size_t min_arguments;
  size_t max_arguments;
  SqlResult result;             // kJoined: what all kAlike arguments have in common
  std::string_view about = {};  // for people
  // The argument that is searched for, whose length is limited; 0: none.
  size_t needle = 0;
};

absl::Span<const SqlFunction> SqlFunctions();
// nullptr when it is not allowed. In any case of letters.
const SqlFunction* FindSqlFunction(std::string_view name);
// "abs, acos, …".
std::string SqlFunctionNames();

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_SQL_FUNCTIONS_H_
