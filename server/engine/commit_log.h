// SPDX-License-Identifier: Apache-2.0
// Commit numbers and times as stored: which numbers were used, reserved or lost, and when each
// group committed.
#ifndef FLETCH_SERVER_ENGINE_COMMIT_LOG_H_
#define FLETCH_SERVER_ENGINE_COMMIT_LOG_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/kv_store.h"

namespace fletch {

// What a data directory says when it is opened.
struct CommitState {
  uint64_t last_seq = 0;  // newest commit that is stored; 0: none
  int64_t last_time = 0;  // its commit_time
  uint64_t next_seq = 1;  // first number that was surely never used
  uint64_t reserved = 0;  // numbers up to here are reserved durably
  std::vector<std::pair<uint64_t, uint64_t>>
      lost;  // [first, last] ranges lost with the power or a crash, ascending
  std::deque<std::pair<uint64_t, std::string>>
      remembered;  // (commit, request key) of all remembered request ids, oldest first
};

// Reads the state, records a lost range when the last stop was not clean, and takes the mark of a
// clean stop away.
absl::StatusOr<CommitState> OpenCommitLog(KvStore* store);

// The newest commit that is stored; 0: none.
absl::StatusOr<uint64_t> NewestCommit(const KvStore& store);

// Reserves numbers up to `upto`, synced.
absl::Status ReserveCommits(KvStore* store, uint64_t upto);

// Says that the process stopped with `last_seq` as the newest number used: the rest of the block is
// given back. Synced.
absl::Status MarkCleanStop(KvStore* store, uint64_t last_seq);

// Puts the time of a group of commits that ends at last_seq.
void AddCommitTime(uint64_t last_seq, int64_t commit_time, KvBatch* batch);

// The greatest commit with commit_time <= `time`; 0: none. REQUIRES: no commit with such a time is
// under way.
absl::StatusOr<uint64_t> CommitAtTime(const KvStore& store, int64_t time);

// The same of many times, in any order.
absl::StatusOr<std::vector<uint64_t>> CommitsAtTimes(const KvStore& store,
                                                     absl::Span<const int64_t> times);

// When `seq` was committed; 0 for a number that was never used.
absl::StatusOr<int64_t> CommitTimeOf(const KvStore& store, uint64_t seq);

// A remembered request id.
struct RequestRecord {
  uint64_t payload_hash = 0;
  uint64_t commit_seq = 0;
  int64_t commit_time = 0;
  uint64_t rows = 0;
};
std::string RequestKey(const std::string& project, const std::string& request_id);
absl::StatusOr<std::optional<RequestRecord>> FindRequest(const KvStore& store,
                                                         const std::string& request_key);
void AddRequest(const std::string& request_key, const RequestRecord& record, KvBatch* batch);
// Takes both keys of a remembered id away.
void ForgetRequest(const std::string& request_key, uint64_t commit_seq, KvBatch* batch);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_COMMIT_LOG_H_
