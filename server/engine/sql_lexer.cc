// SPDX-License-Identifier: Apache-2.0
#include "server/engine/sql_lexer.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "base/status.h"
#include "base/strings.h"
#include "storage/text_check.h"

namespace fletch {
namespace {

// Words that are no names unless quoted: those of our grammar, and those that begin what SQLite
// reads as something else than a scalar expression.
constexpr std::string_view kKeywords[] = {
    "AND",    "AS",     "BETWEEN", "CASE",   "CAST",    "COLLATE", "DISTINCT", "ELSE",
    "END",    "ESCAPE", "EXISTS",  "FALSE",  "FROM",    "GLOB",    "IN",       "IS",
    "ISNULL", "LIKE",   "MATCH",   "NOT",    "NOTNULL", "NULL",    "OR",       "REGEXP",
    "SELECT", "THEN",   "TRUE",    "VALUES", "WHEN",    "WITH"};

// Longest first.
constexpr std::string_view kSymbols[] = {
    "->>", "||", "<<", ">>", "<=", "<>", ">=", "==", "!=", "->", "(", ")", ",",
    ".",   "+",  "-",  "*",  "/",  "%",  "&",  "|",  "~",  "<",  ">", "="};

bool IsNameStart(char c) { return absl::ascii_isalpha(c) || c == '_'; }
bool IsNameByte(char c) { return absl::ascii_isalnum(c) || c == '_'; }

class Lexer {
 public:
  explicit Lexer(std::string_view sql) : sql_(sql) {}

  absl::StatusOr<std::vector<SqlToken>> Run() {
    if (!IsUtf8(sql_)) return InvalidArgument("the expression is not UTF-8");
    std::vector<SqlToken> tokens;
    while (true) {
      RETURN_IF_ERROR(SkipSpace());
      start_ = at_;
      if (at_ == sql_.size()) break;
      ASSIGN_OR_RETURN(SqlToken token, Next());
      tokens.push_back(std::move(token));
    }
    tokens.push_back({SqlTokenKind::kEnd, "", sql_.size()});
    return tokens;
  }

 private:
  char Peek(size_t ahead = 0) const { return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0'; }
  absl::Status Error(std::string_view message) const { return SqlError(sql_, start_, message); }
  SqlToken Token(SqlTokenKind kind) const {
    return {kind, std::string(sql_.substr(start_, at_ - start_)), start_};
  }

  absl::Status SkipSpace() {
    while (at_ < sql_.size()) {
      start_ = at_;
      if (absl::ascii_isspace(Peek()) && Peek() != '\v') {
        ++at_;
      } else if (Peek() == '-' && Peek(1) == '-') {
        at_ = std::min(sql_.find('\n', at_), sql_.size());
      } else if (Peek() == '/' && Peek(1) == '*') {
        const size_t end = sql_.find("*/", at_ + 2);
        if (end == std::string_view::npos) return Error("a comment begins here and has no */");
        at_ = end + 2;
      } else {
        break;
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<SqlToken> Next() {
    const char c = Peek();
    if ((c == 'x' || c == 'X') && Peek(1) == '\'') return Blob();
    if (IsNameStart(c)) return Word();
    if (absl::ascii_isdigit(c) || (c == '.' && absl::ascii_isdigit(Peek(1)))) return Number();
    if (c == '\'') {
      RETURN_IF_ERROR(SkipQuoted('\''));
      return Token(SqlTokenKind::kText);
    }
    if (c == '"') return QuotedName();
    if (c == '\0') return Error("a zero byte is no SQL; char(0) makes one");
    if (c == ';') return Error("an expression ends without ;");
    if (c == '?' || c == ':' || c == '@' || c == '$' || c == '#') {
      return Error(
          "parameters are not allowed; give what changes with a request as a field of the request");
    }
    if (c == '[' || c == '`') return Error("a name is quoted with \"…\"");
    for (const std::string_view symbol : kSymbols) {
      if (sql_.substr(at_, symbol.size()) != symbol) continue;
      at_ += symbol.size();
      SqlToken token = Token(SqlTokenKind::kSymbol);
      if (symbol == "==") token.text = "=";
      if (symbol == "!=") token.text = "<>";
      return token;
    }
    return Error("this character has no meaning here; text stands in '…', other names in \"…\"");
  }

  absl::StatusOr<SqlToken> Word() {
    while (IsNameByte(Peek())) ++at_;
    SqlToken token = Token(SqlTokenKind::kName);
    std::string capitals = absl::AsciiStrToUpper(token.text);
    if (std::find(std::begin(kKeywords), std::end(kKeywords), capitals) != std::end(kKeywords)) {
      token.kind = SqlTokenKind::kKeyword;
      token.text = std::move(capitals);
    }
    return token;
  }

  // Moves behind the closing quote; a doubled quote stands for one.
  absl::Status SkipQuoted(char quote) {
    for (++at_; at_ < sql_.size(); ++at_) {
      if (sql_[at_] == '\0') return Error("a zero byte is no SQL; char(0) makes one");
      if (sql_[at_] != quote) continue;
      if (Peek(1) != quote) {
        ++at_;
        return absl::OkStatus();
      }
      ++at_;
    }
    return Error(StrCat("the text that begins here has no closing ", std::string(1, quote)));
  }

  absl::StatusOr<SqlToken> QuotedName() {
    RETURN_IF_ERROR(SkipQuoted('"'));
    SqlToken token = Token(SqlTokenKind::kName);
    std::string name;
    for (size_t i = 1; i + 1 < token.text.size(); ++i) {
      name += token.text[i];
      if (token.text[i] == '"') ++i;
    }
    token.text = std::move(name);
    token.quoted = true;
    return token;
  }

  absl::StatusOr<SqlToken> Blob() {
    ++at_;
    RETURN_IF_ERROR(SkipQuoted('\''));
    SqlToken token = Token(SqlTokenKind::kBlob);
    const std::string_view digits(token.text.data() + 2, token.text.size() - 3);
    if (digits.size() % 2 != 0 || !std::all_of(digits.begin(), digits.end(), [](char c) {
          return absl::ascii_isxdigit(static_cast<unsigned char>(c));
        })) {
      return Error("a blob is x'…' with an even number of hexadecimal digits");
    }
    return token;
  }

  absl::StatusOr<SqlToken> Number() {
    const bool hexadecimal =
        Peek() == '0' && (Peek(1) == 'x' || Peek(1) == 'X') && absl::ascii_isxdigit(Peek(2));
    bool real = false;
    if (hexadecimal) {
      at_ += 2;
      while (absl::ascii_isxdigit(Peek())) ++at_;
    } else {
      SkipDigits();
      if (Peek() == '.') {
        real = true;
        ++at_;
        SkipDigits();
      }
      const size_t sign = Peek(1) == '+' || Peek(1) == '-' ? 1 : 0;
      if ((Peek() == 'e' || Peek() == 'E') && absl::ascii_isdigit(Peek(1 + sign))) {
        real = true;
        at_ += 1 + sign;
        SkipDigits();
      }
    }
    if (IsNameByte(Peek())) return Error("a number and a name run into each other here");
    if (hexadecimal) return Hexadecimal();
    return real ? Token(SqlTokenKind::kReal) : Decimal();
  }

  void SkipDigits() {
    while (absl::ascii_isdigit(Peek())) ++at_;
  }

  absl::StatusOr<SqlToken> Decimal() const {
    SqlToken token = Token(SqlTokenKind::kInteger);
    uint64_t value = 0;
    // One more than INT64 has: the parser takes it behind a minus sign only.
    constexpr uint64_t kMost = uint64_t{1} << 63;
    if (!absl::SimpleAtoi(token.text, &value) || value > kMost) {
      return Error(StrCat("this number does not fit INT64; ", token.text, ".0 is a REAL"));
    }
    token.text = std::to_string(value);
    return token;
  }

  // As SQLite: the 64 bits of an INT64.
  absl::StatusOr<SqlToken> Hexadecimal() const {
    SqlToken token = Token(SqlTokenKind::kInteger);
    uint64_t value = 0;
    if (!absl::SimpleHexAtoi(token.text, &value)) {
      return Error("a hexadecimal number has at most 64 bits");
    }
    if (value >> 63 != 0) {
      return Error("this number does not fit INT64; write a negative one as -…");
    }
    token.text = std::to_string(value);
    return token;
  }

  const std::string_view sql_;
  size_t at_ = 0;
  size_t start_ = 0;
};

}  // namespace

absl::StatusOr<std::vector<SqlToken>> LexSql(std::string_view sql) { return Lexer(sql).Run(); }

absl::Status SqlError(std::string_view sql, size_t offset, std::string_view message) {
  const std::string_view before = sql.substr(0, offset);
  const auto characters =
      std::count_if(before.begin(), before.end(), [](char c) { return (c & 0xC0) != 0x80; });
  return InvalidArgument(StrCat("character ", characters + 1, ": ", message));
}

}  // namespace fletch
