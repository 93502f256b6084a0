// SPDX-License-Identifier: Apache-2.0
// Debian's absl::string_view is a type of its own (its ABI is C++14), so absl takes no
// std::string_view. These do.
#ifndef FLETCH_BASE_STRINGS_H_
#define FLETCH_BASE_STRINGS_H_

#include <string>
#include <string_view>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace fletch {

inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view FromAbsl(absl::string_view text) { return {text.data(), text.size()}; }

namespace internal {
template <typename T>
decltype(auto) CatArg(const T& value) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return ToAbsl(value);
  } else {
    return (value);
  }
}
}  // namespace internal

// absl::StrCat, of std::string_views too.
template <typename... Args>
std::string StrCat(const Args&... args) {
  return absl::StrCat(internal::CatArg(args)...);
}

}  // namespace fletch

#endif  // FLETCH_BASE_STRINGS_H_
