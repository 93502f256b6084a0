// SPDX-License-Identifier: Apache-2.0
#include "filter.h"

#include <charconv>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "result.h"

namespace fletch::ctl {
namespace {

enum class Kind { kEnd, kWord, kNumber, kText, kSymbol };

struct Token {
  Kind kind = Kind::kEnd;
  std::string text = {};
  size_t at = 0;
};

// The daemon takes 16 levels of filters; brackets that add none may go a little deeper.
constexpr int kDepthMax = 64;

absl::Status ErrorAt(const std::string& text, size_t at, absl::string_view what) {
  return UsageError(
      absl::StrCat("filter: ", what, "\n  ", text, "\n  ", std::string(at, ' '), "^"));
}

bool IsWordByte(char c) { return absl::ascii_isalnum(c) || c == '_' || c == ':' || c == '@'; }
bool IsNumberByte(char c) { return absl::ascii_isalnum(c) || c == '.' || c == '+' || c == '-'; }

absl::StatusOr<Token> ReadText(const std::string& text, size_t at) {
  Token token{.kind = Kind::kText, .at = at};
  for (size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] != '\'') {
      token.text.push_back(text[i]);
    } else if (i + 1 < text.size() && text[i + 1] == '\'') {
      token.text.push_back(text[i++]);
    } else {
      return token;
    }
  }
  return ErrorAt(text, at, "this text is never closed with a quote");
}

// Where the token that begins at `at` ends, for all but texts.
size_t EndOf(const std::string& text, size_t at, Kind kind) {
  size_t end = at + 1;
  const auto in_token = kind == Kind::kWord ? IsWordByte : IsNumberByte;
  while (end < text.size() && in_token(text[end])) ++end;
  return end;
}

absl::StatusOr<std::vector<Token>> Tokenize(const std::string& text) {
  std::vector<Token> tokens;
  size_t at = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (absl::ascii_isspace(c)) {
      ++at;
    } else if (c == '\'') {
      CTL_ASSIGN(Token token, ReadText(text, at));
      at += 2;
      for (char byte : token.text) at += byte == '\'' ? 2 : 1;
      tokens.push_back(std::move(token));
    } else if (absl::ascii_isalpha(c) || absl::ascii_isdigit(c) || c == '-' || c == '.') {
      const Kind kind = absl::ascii_isalpha(c) ? Kind::kWord : Kind::kNumber;
      const size_t end = EndOf(text, at, kind);
      tokens.push_back({kind, text.substr(at, end - at), at});
      at = end;
    } else {
      const std::string pair = text.substr(at, 2);
      const bool two = pair == "<=" || pair == ">=" || pair == "!=" || pair == "<>" || pair == "==";
      if (!two && std::string("<>=(),").find(c) == std::string::npos) {
        return ErrorAt(text, at,
                       c == '"' ? "texts stand in single quotes" : "nothing known begins so");
      }
      tokens.push_back({Kind::kSymbol, two ? pair : std::string(1, c), at});
      at += two ? 2 : 1;
    }
  }
  tokens.push_back({Kind::kEnd, "", text.size()});
  return tokens;
}

class Parser {
 public:
  Parser(const std::string& text, std::vector<Token> tokens)
      : text_(text), tokens_(std::move(tokens)) {}

  absl::StatusOr<v1::Filter> ParseAll() {
    CTL_ASSIGN(v1::Filter filter, ParseOr(0));
    if (Peek().kind != Kind::kEnd) return Wanted("`and`, `or` or the end");
    return filter;
  }

 private:
  const Token& Peek() const { return tokens_[next_]; }
  absl::Status Wanted(absl::string_view what) const {
    return ErrorAt(text_, Peek().at, absl::StrCat(what, " is needed here"));
  }
  bool TakeWord(absl::string_view word) {
    if (Peek().kind != Kind::kWord || !absl::EqualsIgnoreCase(Peek().text, word)) return false;
    ++next_;
    return true;
  }
  bool TakeSymbol(absl::string_view symbol) {
    if (Peek().kind != Kind::kSymbol || Peek().text != symbol) return false;
    ++next_;
    return true;
  }

  absl::StatusOr<v1::Filter> ParseOr(int depth) {
    if (depth > kDepthMax) return ErrorAt(text_, Peek().at, "the brackets go too deep");
    CTL_ASSIGN(v1::Filter first, ParseAnd(depth));
    std::vector<v1::Filter> parts = {std::move(first)};
    while (TakeWord("or")) {
      CTL_ASSIGN(v1::Filter part, ParseAnd(depth));
      parts.push_back(std::move(part));
    }
    if (parts.size() == 1) return parts[0];
    v1::Filter filter;
    for (v1::Filter& part : parts) filter.mutable_or_()->add_filters()->Swap(&part);
    return filter;
  }

  absl::StatusOr<v1::Filter> ParseAnd(int depth) {
    CTL_ASSIGN(v1::Filter first, ParseNot(depth));
    std::vector<v1::Filter> parts = {std::move(first)};
    while (TakeWord("and")) {
      CTL_ASSIGN(v1::Filter part, ParseNot(depth));
      parts.push_back(std::move(part));
    }
    if (parts.size() == 1) return parts[0];
    v1::Filter filter;
    for (v1::Filter& part : parts) filter.mutable_and_()->add_filters()->Swap(&part);
    return filter;
  }

  absl::StatusOr<v1::Filter> ParseNot(int depth) {
    if (depth > kDepthMax) return ErrorAt(text_, Peek().at, "the brackets go too deep");
    if (TakeWord("not")) {
      CTL_ASSIGN(v1::Filter inner, ParseNot(depth + 1));
      return Negated(std::move(inner));
    }
    if (!TakeSymbol("(")) return ParsePredicate();
    CTL_ASSIGN(v1::Filter inner, ParseOr(depth + 1));
    if (!TakeSymbol(")")) return Wanted("`)`");
    return inner;
  }

  static v1::Filter Negated(v1::Filter inner) {
    v1::Filter filter;
    filter.mutable_not_()->Swap(&inner);
    return filter;
  }

  absl::StatusOr<v1::Filter> ParsePredicate() {
    const bool is_ref = Peek().kind == Kind::kWord && absl::StrContains(Peek().text, ':');
    if (!is_ref) return Wanted("a feature, view:field,");
    const std::string ref = tokens_[next_++].text;
    v1::Filter filter;
    if (TakeWord("is")) {
      const bool negated = TakeWord("not");
      if (!TakeWord("null")) return Wanted("`null`");
      filter.mutable_is_null()->set_ref(ref);
      return negated ? Negated(std::move(filter)) : filter;
    }
    const bool negated = TakeWord("not");
    if (TakeWord("in")) {
      CTL_ASSIGN(*filter.mutable_in(), ParseIn(ref));
    } else if (TakeWord("between")) {
      filter.mutable_between()->set_ref(ref);
      CTL_ASSIGN(*filter.mutable_between()->mutable_low(), ParseValue());
      if (!TakeWord("and")) return Wanted("`and`");
      CTL_ASSIGN(*filter.mutable_between()->mutable_high(), ParseValue());
    } else if (TakeWord("starts")) {
      if (!TakeWord("with")) return Wanted("`with`");
      CTL_ASSIGN(*filter.mutable_compare(), ParseTextComparison(ref, v1::PREFIX));
    } else if (TakeWord("contains")) {
      CTL_ASSIGN(*filter.mutable_compare(), ParseTextComparison(ref, v1::CONTAINS));
    } else if (negated) {
      return Wanted("`in`, `between`, `starts with` or `contains`");
    } else {
      CTL_ASSIGN(*filter.mutable_compare(), ParseComparison(ref));
    }
    return negated ? Negated(std::move(filter)) : filter;
  }

  absl::StatusOr<v1::InList> ParseIn(const std::string& ref) {
    v1::InList list;
    list.set_ref(ref);
    if (!TakeSymbol("(")) return Wanted("`(`");
    do {
      CTL_ASSIGN(*list.add_values(), ParseValue());
    } while (TakeSymbol(","));
    if (!TakeSymbol(")")) return Wanted("`,` or `)`");
    return list;
  }

  absl::StatusOr<v1::Comparison> ParseTextComparison(const std::string& ref, v1::CompareOp op) {
    if (Peek().kind != Kind::kText) return Wanted("a text in single quotes");
    v1::Comparison comparison;
    comparison.set_ref(ref);
    comparison.set_op(op);
    CTL_ASSIGN(*comparison.mutable_value(), ParseValue());
    return comparison;
  }

  absl::StatusOr<v1::Comparison> ParseComparison(const std::string& ref) {
    constexpr std::pair<const char*, v1::CompareOp> kOps[] = {
        {"=", v1::EQ}, {"==", v1::EQ}, {"!=", v1::NE}, {"<>", v1::NE},
        {"<", v1::LT}, {"<=", v1::LE}, {">", v1::GT},  {">=", v1::GE}};
    for (const auto& [symbol, op] : kOps) {
      if (!TakeSymbol(symbol)) continue;
      v1::Comparison comparison;
      comparison.set_ref(ref);
      comparison.set_op(op);
      CTL_ASSIGN(*comparison.mutable_value(), ParseValue());
      return comparison;
    }
    return Wanted("=, !=, <, <=, >, >=, `in`, `between`, `starts with`, `contains` or `is null`");
  }

  absl::StatusOr<v1::Value> ParseValue() {
    v1::Value value;
    const Token& token = Peek();
    if (token.kind == Kind::kText) {
      value.set_string_value(token.text);
    } else if (token.kind == Kind::kWord && absl::EqualsIgnoreCase(token.text, "true")) {
      value.set_bool_value(true);
    } else if (token.kind == Kind::kWord && absl::EqualsIgnoreCase(token.text, "false")) {
      value.set_bool_value(false);
    } else if (token.kind != Kind::kNumber || !SetNumber(token.text, value)) {
      return Wanted("a number, a text in single quotes, true or false");
    }
    ++next_;
    return value;
  }

  static bool SetNumber(const std::string& text, v1::Value& value) {
    const char* const end = text.data() + text.size();
    int64_t whole = 0;
    if (const auto r = std::from_chars(text.data(), end, whole);
        r.ec == std::errc() && r.ptr == end) {
      value.set_int_value(whole);
      return true;
    }
    double real = 0;
    const auto r = std::from_chars(text.data(), end, real);
    if (r.ec != std::errc() || r.ptr != end) return false;
    value.set_double_value(real);
    return true;
  }

  const std::string& text_;
  const std::vector<Token> tokens_;
  size_t next_ = 0;
};

}  // namespace

absl::StatusOr<v1::Filter> ParseFilter(const std::string& text) {
  CTL_ASSIGN(std::vector<Token> tokens, Tokenize(text));
  return Parser(text, std::move(tokens)).ParseAll();
}

}  // namespace fletch::ctl
