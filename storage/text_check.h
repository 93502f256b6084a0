// SPDX-License-Identifier: Apache-2.0
// Is it text, is it JSON.
#ifndef FLETCH_STORAGE_TEXT_CHECK_H_
#define FLETCH_STORAGE_TEXT_CHECK_H_

#include <string_view>

namespace fletch {

// True for well-formed UTF-8 (no surrogates, no overlong forms, nothing beyond U+10FFFF).
bool IsUtf8(std::string_view text);

// True for exactly one JSON value (RFC 8259) with white space around it, in well-formed UTF-8.
// Nesting is not limited and costs one bit a level.
bool IsJson(std::string_view text);

}  // namespace fletch

#endif  // FLETCH_STORAGE_TEXT_CHECK_H_
