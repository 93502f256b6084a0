// SPDX-License-Identifier: Apache-2.0
#include "progress.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace fletch::ctl {
namespace {

constexpr int kBarCharacters = 30;
constexpr absl::Duration kLasts = absl::Seconds(1);           // shorter work needs no bar
constexpr absl::Duration kBetween = absl::Milliseconds(100);  // redraws that an eye can follow

std::string Grouped(uint64_t number) {
  std::string digits = absl::StrCat(number);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) digits.insert(at, ",");
  return digits;
}

}  // namespace

std::string ProgressLine(double share, uint64_t rows, absl::Duration elapsed) {
  const double seconds = std::max(absl::ToDoubleSeconds(elapsed), 1e-3);
  const std::string counts = absl::StrCat(
      Grouped(rows), " rows  ", Grouped(static_cast<uint64_t>(rows / seconds)), " rows/s");
  if (share < 0) return counts;
  const int full = static_cast<int>(std::min(share, 1.0) * kBarCharacters);
  return absl::StrFormat("[%s%s] %3d%%  %s", std::string(full, '#'),
                         std::string(kBarCharacters - full, '.'),
                         static_cast<int>(std::min(share, 1.0) * 100), counts);
}

Progress::Progress(bool show) : show_(show), start_(absl::Now()), drawn_(start_) {}

void Progress::Hide() {
  std::lock_guard lock(mutex_);
  if (visible_) std::fputs("\r\x1b[K", stderr);
  visible_ = false;
}

void Progress::Update(uint64_t done, uint64_t whole, uint64_t rows) {
  if (!show_) return;
  const absl::Time now = absl::Now();
  std::lock_guard lock(mutex_);
  if (now - start_ < kLasts || now - drawn_ < kBetween) return;
  drawn_ = now;
  visible_ = true;
  const double share = whole == 0 ? -1 : static_cast<double>(done) / static_cast<double>(whole);
  std::fprintf(stderr, "\r\x1b[K%s", ProgressLine(share, rows, now - start_).c_str());
  std::fflush(stderr);
}

Waiting::Waiting(bool show, std::string what) : what_(std::move(what)), start_(absl::Now()) {
  if (show) thread_ = std::thread([this] { Draw(); });
}

void Waiting::Hide() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    done_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Waiting::Draw() {
  bool visible = false;
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, std::chrono::seconds(1), [&] { return done_; })) {
    std::fprintf(stderr, "\r\x1b[K%s … %d s", what_.c_str(),
                 static_cast<int>(absl::ToInt64Seconds(absl::Now() - start_)));
    std::fflush(stderr);
    visible = true;
  }
  if (visible) std::fputs("\r\x1b[K", stderr);
}

bool ErrorsGoToTerminal() { return isatty(STDERR_FILENO) == 1; }

}  // namespace fletch::ctl
