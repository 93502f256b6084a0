// SPDX-License-Identifier: Apache-2.0
// Of CommitPipeline: which commit a known_at names, and waiting for one.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "server/engine/commit_pipeline.h"

namespace fletch {
namespace {

constexpr int64_t kMaxWaitMs = 1000;     // for min_seq without a deadline
constexpr int64_t kAnswerMarginMs = 20;  // left of the deadline to say why

}  // namespace

void CommitPipeline::SettleTime(int64_t time) {
  MutexLock lock(&mu_);
  const uint64_t until = last_time_ <= time ? groups_stamped_ : groups_ended_;
  last_time_ = std::max(last_time_, time + 1);
  while (groups_ended_ < until) progress_.Wait(&mu_);
}

absl::StatusOr<uint64_t> CommitPipeline::Resolve(const KnownAt& known_at) {
  if (known_at.by_time) {
    if (known_at.time > clock_->NowMicros()) {
      return FailedPrecondition(
          "NOT_YET_KNOWN", "known_at lies after the daemon's clock; ask for a time that has come",
          "known_at");
    }
    SettleTime(known_at.time);
    return CommitAtTime(*store_, known_at.time);
  }
  const uint64_t seq = known_at.commit_seq;
  for (const auto& [first, last] : lost_) {
    if (seq < first || seq > last) continue;
    return MakeError(
        absl::StatusCode::kDataLoss, "LOST_COMMIT",
        absl::StrCat("known_at ", seq, " lies in commits ", first, " to ", last,
                     ", which were lost when the machine or the daemon went down; ask at ",
                     first - 1, " or at a later commit"),
        "known_at");
  }
  if (seq > applied_seq()) {
    return FailedPrecondition(
        "NOT_YET_KNOWN",
        absl::StrCat("known_at ", seq, " is not reached; the newest commit is ", applied_seq()),
        "known_at");
  }
  return seq;
}

absl::StatusOr<std::vector<uint64_t>> CommitPipeline::ResolveTimes(
    absl::Span<const int64_t> times) {
  if (times.empty()) return std::vector<uint64_t>();
  SettleTime(*std::max_element(times.begin(), times.end()));
  return CommitsAtTimes(*store_, times);
}

absl::Status CommitPipeline::WaitForSeq(uint64_t seq, const Call& call) {
  const int64_t until =
      SteadyMicros() + 1000 * std::min(kMaxWaitMs, call.RemainingMs() - kAnswerMarginMs);
  MutexLock lock(&mu_);
  while (applied_seq() < seq) {
    RETURN_IF_ERROR(call.Check());
    const int64_t left_ms = (until - SteadyMicros()) / 1000;
    if (left_ms <= 0) {
      return FailedPrecondition(
          "NOT_CAUGHT_UP",
          absl::StrCat("commit ", seq, " is not readable yet; the newest is ", applied_seq()),
          "min_seq");
    }
    progress_.WaitForMs(&mu_, left_ms);
  }
  return absl::OkStatus();
}

}  // namespace fletch
