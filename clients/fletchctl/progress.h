// SPDX-License-Identifier: Apache-2.0
// A progress bar on standard error: only in a terminal, and only on what lasts.
#ifndef FLETCH_CLIENTS_FLETCHCTL_PROGRESS_H_
#define FLETCH_CLIENTS_FLETCHCTL_PROGRESS_H_

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "absl/time/time.h"

namespace fletch::ctl {

// One line: "[####....]  42%  12,000 rows  8,100 rows/s", or without a share when the whole is not
// known.
std::string ProgressLine(double share, uint64_t rows, absl::Duration elapsed);

// Thread-safe.
class Progress {
 public:
  // `show`: whether standard error is a terminal that should see it.
  explicit Progress(bool show);
  ~Progress() { Hide(); }

  // Wipes the line, so that other words can follow.
  void Hide();

  // `done` of `whole` (bytes, say); whole 0: not known.
  void Update(uint64_t done, uint64_t whole, uint64_t rows);

 private:
  const bool show_;
  const absl::Time start_;
  std::mutex mutex_;
  absl::Time drawn_;
  bool visible_ = false;
};

// "what … 12 s" for a call that does not say how far it is; shown as Progress is, by a thread of
// its own.
class Waiting {
 public:
  Waiting(bool show, std::string what);
  ~Waiting() { Hide(); }

  // Wipes the line and ends the thread. To be called by one thread.
  void Hide();

 private:
  void Draw();

  const std::string what_;
  const absl::Time start_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;  // mutex_ guards it
  std::thread thread_;
};

// Standard error is a terminal.
bool ErrorsGoToTerminal();

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_PROGRESS_H_
