// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/admission.h"

#include <utility>

#include "base/call.h"
#include "base/status.h"
#include "base/strings.h"

namespace fletch {
namespace {

constexpr int64_t kRetryStartingMs = 500;
constexpr int64_t kRetryDrainingMs = 2000;  // a restart takes about so long
constexpr int64_t kRetryFullMs = 50;

absl::Status Full(std::string_view reason, std::string message) {
  return WithRetryAfterMs(MakeError(absl::StatusCode::kResourceExhausted, reason, message),
                          kRetryFullMs);
}

}  // namespace

Admission::Admission(size_t max_calls, size_t max_bytes)
    : max_calls_(max_calls), max_bytes_(max_bytes) {}

absl::Status Admission::Draining() {
  return WithRetryAfterMs(MakeError(absl::StatusCode::kUnavailable, "DRAINING",
                                    "the daemon is stopping and takes no new work; try again on "
                                    "another or after its restart"),
                          kRetryDrainingMs);
}

absl::Status Admission::Enter(size_t bytes, bool while_draining) {
  // Counted before the state is read, and BeginDrain sets the state before it reads the count (both
  // sequentially consistent): a call is either refused or waited for.
  const size_t calls = calls_.fetch_add(1) + 1;
  const size_t total = bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  const State state = state_.load();
  absl::Status refusal;
  if (state == State::kStarting) {
    refusal = WithRetryAfterMs(MakeError(absl::StatusCode::kUnavailable, "STARTING",
                                         "the daemon is reading its data and not ready yet"),
                               kRetryStartingMs);
  } else if (state == State::kDraining && !while_draining) {
    refusal = Draining();
  } else if (calls > max_calls_) {
    refusal = Full("QUEUE_FULL", StrCat(calls - 1, " calls are in flight, max_in_flight is ",
                                        max_calls_, "; slow down"));
  } else if (total > max_bytes_ &&
             total > bytes) {  // a request alone always fits: max_message bounds it
    refusal = Full("MEMORY_BUDGET", StrCat("requests in flight hold ", total - bytes,
                                           " bytes, max_in_flight_bytes is ", max_bytes_,
                                           "; send fewer or smaller requests at once"));
  } else {
    return absl::OkStatus();
  }
  Leave(bytes);
  return refusal;
}

void Admission::Leave(size_t bytes) {
  bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  if (calls_.fetch_sub(1) == 1 && state_.load() == State::kDraining) {
    MutexLock lock(&mu_);
    left_.NotifyAll();
  }
}

void Admission::SetServing() {
  State starting = State::kStarting;
  state_.compare_exchange_strong(starting, State::kServing);
}

void Admission::BeginDrain() {
  std::map<uint64_t, std::function<void()>> listeners;
  {
    MutexLock lock(&mu_);
    if (state_.exchange(State::kDraining) == State::kDraining) return;
    listeners = listeners_;
  }
  for (const auto& [id, listener] : listeners) listener();
}

bool Admission::WaitUntilEmpty(int64_t timeout_ms) {
  const int64_t end = SteadyMicros() + timeout_ms * 1000;
  MutexLock lock(&mu_);
  while (calls_.load() != 0) {
    const int64_t left_ms = (end - SteadyMicros()) / 1000;
    if (left_ms <= 0) return false;
    left_.WaitForMs(&mu_, left_ms);
  }
  return true;
}

uint64_t Admission::AddDrainListener(std::function<void()> listener) {
  uint64_t id = 0;
  {
    MutexLock lock(&mu_);
    id = next_listener_++;
    if (state_.load() != State::kDraining) {
      listeners_.emplace(id, std::move(listener));
      return id;
    }
  }
  listener();
  return id;
}

void Admission::RemoveDrainListener(uint64_t id) {
  MutexLock lock(&mu_);
  listeners_.erase(id);
}

}  // namespace fletch
