// SPDX-License-Identifier: Apache-2.0
#include "storage/text_check.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace fletch {
namespace {

// The length of the well-formed character at `at`, 0 when there is none.
size_t Utf8Length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) -> uint8_t {
    return at + i < text.size() ? static_cast<uint8_t>(text[at + i]) : 0;
  };
  const auto tail = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return tail(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if (lead == 0xE0 && byte(1) < 0xA0) return 0;  // overlong
    if (lead == 0xED && byte(1) > 0x9F) return 0;  // surrogates
    return tail(1) && tail(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (lead == 0xF0 && byte(1) < 0x90) return 0;  // overlong
    if (lead == 0xF4 && byte(1) > 0x8F) return 0;  // beyond U+10FFFF
    return tail(1) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

// Walks JSON without recursion, so that deep nesting costs no stack. REQUIRES: `text` is UTF-8.
class JsonWalk {
 public:
  explicit JsonWalk(std::string_view text) : text_(text) {}

  bool Run() {
    bool complete = false;  // a value was just finished
    while (true) {
      Space();
      if (complete) {
        if (open_.empty()) return at_ == text_.size();
        if (!Continue(&complete)) return false;
      } else if (!Begin(&complete)) {
        return false;
      }
    }
  }

 private:
  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool Take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void Space() {
    while (at_ < text_.size() && std::memchr(" \t\n\r", text_[at_], 4) != nullptr) ++at_;
  }

  // A value begins here; an opened array or object is complete at once only when it is empty.
  bool Begin(bool* complete) {
    *complete = true;
    if (Take('{')) {
      Space();
      if (Take('}')) return true;
      open_.push_back(true);
      *complete = false;
      return Member();
    }
    if (Take('[')) {
      Space();
      if (Take(']')) return true;
      open_.push_back(false);
      *complete = false;
      return true;
    }
    if (Peek() == '"') return String();
    return Word("true") || Word("false") || Word("null") || Number();
  }

  // After a value inside an array or object: a comma, or its end.
  bool Continue(bool* complete) {
    const bool object = open_.back();
    if (Take(object ? '}' : ']')) {
      open_.pop_back();
      return true;
    }
    *complete = false;
    if (!Take(',')) return false;
    Space();
    return !object || Member();
  }

  bool Member() {
    if (!String()) return false;
    Space();
    return Take(':');
  }

  bool Word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  bool Digits() {
    const size_t start = at_;
    while (Peek() >= '0' && Peek() <= '9') ++at_;
    return at_ > start;
  }

  bool Number() {
    Take('-');
    if (!Take('0') && !Digits()) return false;
    if (Take('.') && !Digits()) return false;
    if (Take('e') || Take('E')) {
      if (!Take('+')) Take('-');
      return Digits();
    }
    return true;
  }

  bool String() {
    if (!Take('"')) return false;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"') return true;
      if (static_cast<uint8_t>(c) < 0x20) return false;
      if (c == '\\' && !Escape()) return false;
    }
    return false;
  }

  bool Escape() {
    if (at_ >= text_.size()) return false;
    const char c = text_[at_++];
    if (c != 'u') return std::memchr("\"\\/bfnrt", c, 8) != nullptr;
    for (int i = 0; i < 4; ++i) {
      const char h = Peek();
      if (!((h >= '0' && h <= '9') || (h >= 'a' && h <= 'f') || (h >= 'A' && h <= 'F')))
        return false;
      ++at_;
    }
    return true;
  }

  const std::string_view text_;
  size_t at_ = 0;
  std::vector<bool> open_;  // of each level: is it an object
};

}  // namespace

bool IsUtf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    uint64_t word;
    if (at + sizeof(word) <= text.size()) {  // eight ASCII bytes at once
      std::memcpy(&word, text.data() + at, sizeof(word));
      if ((word & 0x8080808080808080) == 0) {
        at += sizeof(word);
        continue;
      }
    }
    const size_t length = Utf8Length(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

bool IsJson(std::string_view text) { return IsUtf8(text) && JsonWalk(text).Run(); }

}  // namespace fletch
