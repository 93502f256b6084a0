// SPDX-License-Identifier: Apache-2.0
#include "durations.h"

#include <charconv>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "result.h"

namespace fletch::ctl {
namespace {

constexpr std::pair<const char*, int64_t> kUnits[] = {{"d", 86'400'000'000}, {"h", 3'600'000'000},
                                                      {"m", 60'000'000},     {"s", 1'000'000},
                                                      {"ms", 1'000},         {"us", 1}};
constexpr int64_t kMaxMicros = 315'537'897'599'999'999;  // from year 0001 to 9999

}  // namespace

absl::StatusOr<google::protobuf::Duration> ParseDuration(const std::string& text) {
  int64_t count = -1;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, count);
  const absl::string_view unit(rest, end - rest);
  if (error == std::errc() && count >= 0) {
    for (const auto& [name, micros] : kUnits) {
      const bool matches = unit == name || (count == 0 && unit.empty());
      if (!matches || count > kMaxMicros / micros) continue;
      google::protobuf::Duration duration;
      duration.set_seconds(count * micros / 1'000'000);
      duration.set_nanos(static_cast<int32_t>(count * micros % 1'000'000 * 1000));
      return duration;
    }
  }
  return UsageError(
      absl::StrCat("'", text, "' is not a duration; write 3h, 7d, 90s, 10m, 500ms or 0"));
}

std::string FormatDuration(const google::protobuf::Duration& duration) {
  const int64_t micros = duration.seconds() * 1'000'000 + duration.nanos() / 1000;
  if (micros == 0) return "0";
  for (const auto& [name, unit] : kUnits) {
    if (micros % unit == 0) return absl::StrCat(micros / unit, name);
  }
  return absl::StrCat(micros, "us");
}

}  // namespace fletch::ctl
