// SPDX-License-Identifier: Apache-2.0
#include "table.h"

#include <algorithm>

#include "absl/strings/numbers.h"

namespace fletch::ctl {
namespace {

constexpr size_t kCellCharactersMax = 60;

bool StartsCharacter(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

size_t Characters(const std::string& text) {
  return std::count_if(text.begin(), text.end(), StartsCharacter);
}

std::string Shown(const std::string& text) {
  std::string shown;
  size_t characters = 0;
  const bool cut = Characters(text) > kCellCharactersMax;
  for (char c : text) {
    if (StartsCharacter(c) && ++characters == kCellCharactersMax && cut) return shown + "…";
    shown.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c);
  }
  return shown;
}

bool IsNumber(const std::string& text) {
  double value = 0;
  return absl::SimpleAtod(text, &value);
}

}  // namespace

std::string Table::ToText() const {
  std::vector<std::vector<std::string>> lines = {header_};
  for (const auto& row : rows_) {
    lines.emplace_back();
    for (const std::string& cell : row) lines.back().push_back(Shown(cell));
  }
  std::vector<size_t> widths(header_.size(), 0);
  std::vector<bool> right(header_.size(), !rows_.empty());
  for (size_t line = 0; line < lines.size(); ++line) {
    for (size_t i = 0; i < widths.size(); ++i) {
      widths[i] = std::max(widths[i], Characters(lines[line][i]));
      // A column of numbers may have cells without a value: they begin with "<".
      if (line > 0 && !IsNumber(lines[line][i]) && !lines[line][i].starts_with("<"))
        right[i] = false;
    }
  }
  std::string text;
  for (const auto& line : lines) {
    std::string out;
    for (size_t i = 0; i < widths.size(); ++i) {
      const std::string blanks(widths[i] - Characters(line[i]), ' ');
      out += (i == 0 ? "" : "  ") + (right[i] ? blanks + line[i] : line[i] + blanks);
    }
    out.erase(out.find_last_not_of(' ') + 1);
    text += out + "\n";
  }
  return text;
}

}  // namespace fletch::ctl
