// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <algorithm>
#include <cstdio>

namespace fletch::bench {
namespace {

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.6g", value);
  return text;
}

std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + "\"";
}

}  // namespace

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

Result::Result(std::string bar, std::string what, std::vector<double> ratios)
    : bar_(std::move(bar)), what_(std::move(what)), ratios_(std::move(ratios)) {
  Detail("ratio", ratios_);
}

Result& Result::AtLeast(double bound) {
  at_least_ = bound;
  return *this;
}

Result& Result::AtMost(double bound) {
  at_most_ = bound;
  return *this;
}

Result& Result::Detail(const std::string& name, const std::vector<double>& values) {
  std::string json = Number(Median(values));
  if (values.size() > 1) {
    const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
    json = "{\"median\":" + json + ",\"min\":" + Number(*least) + ",\"max\":" + Number(*greatest) +
           "}";
  }
  detail_.emplace_back(name, json);
  return *this;
}

Result& Result::Note(const std::string& name, const std::string& text) {
  detail_.emplace_back(name, Quoted(text));
  return *this;
}

Result& Result::Unit(const std::string& unit) {
  unit_ = unit;
  return *this;
}

void Result::Print() const {
  const double value = Median(ratios_);
  std::string line = "{\"bar\":" + Quoted(bar_) + ",\"what\":" + Quoted(what_) +
                     ",\"value\":" + Number(value) + ",\"unit\":" + Quoted(unit_);
  if (at_least_)
    line += ",\"at_least\":" + Number(*at_least_) +
            ",\"holds\":" + (value >= *at_least_ ? "true" : "false");
  if (at_most_)
    line += ",\"at_most\":" + Number(*at_most_) +
            ",\"holds\":" + (value <= *at_most_ ? "true" : "false");
  line += ",\"detail\":{";
  for (size_t i = 0; i < detail_.size(); ++i) {
    line += (i > 0 ? "," : "") + Quoted(detail_[i].first) + ":" + detail_[i].second;
  }
  std::printf("%s}}\n", line.c_str());
  std::fflush(stdout);
}

}  // namespace fletch::bench
