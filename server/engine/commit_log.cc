// SPDX-License-Identifier: Apache-2.0
#include "server/engine/commit_log.h"

#include <algorithm>
#include <functional>

#include "base/status.h"
#include "base/strings.h"
#include "storage/big_endian.h"

namespace fletch {
namespace {

constexpr std::string_view kReserved = "reserved";
constexpr std::string_view kClean = "clean";
constexpr std::string_view kLost = "lost/";

std::string U64(uint64_t value) {
  std::string out;
  AppendU64(value, &out);
  return out;
}

// Times sort as INT64 keys do: big-endian, sign bit flipped.
std::string Time(int64_t micros) { return U64(OrderedFromInt64(micros)); }
int64_t ReadTime(std::string_view bytes) { return Int64FromOrdered(ReadU64(bytes.data())); }

absl::Status BadRecord(std::string_view what) {
  return DataLoss(
      StrCat("the stored ", what, " is damaged; restore the data directory from a backup"));
}

absl::StatusOr<uint64_t> GetU64(const KvStore& store, std::string_view key) {
  ASSIGN_OR_RETURN(std::optional<std::string> value, store.Get(Family::kMeta, key));
  if (!value.has_value()) return 0;
  if (value->size() != 8) return BadRecord(key);
  return ReadU64(value->data());
}

// The newest stored group.
absl::Status ReadLastCommit(const KvStore& store, CommitState* state) {
  auto it = store.NewIterator(Family::kCommits);
  it->SeekForPrev("T");  // the last 'S' key
  RETURN_IF_ERROR(it->status());
  if (!it->Valid()) return absl::OkStatus();
  if (it->key().size() != 9 || it->key()[0] != 'S' || it->value().size() != 8) {
    return BadRecord("commit time");
  }
  state->last_seq = ReadU64(it->key().data() + 1);
  state->last_time = ReadTime(it->value());
  return absl::OkStatus();
}

absl::Status ReadLostRanges(const KvStore& store, CommitState* state) {
  auto it = store.NewIterator(Family::kMeta);
  for (it->Seek(kLost); it->Valid() && it->key().substr(0, kLost.size()) == kLost; it->Next()) {
    if (it->key().size() != kLost.size() + 8 || it->value().size() != 8)
      return BadRecord("lost range");
    state->lost.emplace_back(ReadU64(it->key().data() + kLost.size()), ReadU64(it->value().data()));
  }
  return it->status();
}

absl::Status ReadRemembered(const KvStore& store, CommitState* state) {
  auto it = store.NewIterator(Family::kRequests);
  for (it->Seek("Q"); it->Valid(); it->Next()) {
    if (it->key().size() != 9 || it->key()[0] != 'Q') return BadRecord("request id");
    state->remembered.emplace_back(ReadU64(it->key().data() + 1), std::string(it->value()));
  }
  return it->status();
}

}  // namespace

absl::StatusOr<CommitState> OpenCommitLog(KvStore* store) {
  CommitState state;
  RETURN_IF_ERROR(ReadLastCommit(*store, &state));
  RETURN_IF_ERROR(ReadLostRanges(*store, &state));
  RETURN_IF_ERROR(ReadRemembered(*store, &state));
  ASSIGN_OR_RETURN(state.reserved, GetU64(*store, kReserved));
  ASSIGN_OR_RETURN(std::optional<std::string> clean, store->Get(Family::kMeta, kClean));
  state.next_seq = std::max(state.last_seq, state.reserved) + 1;
  KvBatch batch;
  if (clean.has_value()) {
    if (clean->size() != 8) return BadRecord("mark of a clean stop");
    batch.Delete(Family::kMeta, std::string(kClean));
  } else if (state.reserved > state.last_seq) {
    uint64_t first = state.last_seq + 1;
    state.lost.emplace_back(first, state.reserved);
    batch.Put(Family::kMeta, StrCat(kLost, U64(first)), U64(state.reserved));
  }
  if (!batch.empty()) RETURN_IF_ERROR(store->Write(batch, /*sync=*/true));
  return state;
}

absl::StatusOr<uint64_t> NewestCommit(const KvStore& store) {
  CommitState state;
  RETURN_IF_ERROR(ReadLastCommit(store, &state));
  return state.last_seq;
}

absl::Status ReserveCommits(KvStore* store, uint64_t upto) {
  KvBatch batch;
  batch.Put(Family::kMeta, std::string(kReserved), U64(upto));
  return store->Write(batch, /*sync=*/true);
}

absl::Status MarkCleanStop(KvStore* store, uint64_t last_seq) {
  KvBatch batch;
  batch.Put(Family::kMeta, std::string(kReserved), U64(last_seq));
  batch.Put(Family::kMeta, std::string(kClean), U64(last_seq));
  return store->Write(batch, /*sync=*/true);
}

void AddCommitTime(uint64_t last_seq, int64_t commit_time, KvBatch* batch) {
  batch->Put(Family::kCommits, "S" + U64(last_seq), Time(commit_time));
  batch->Put(Family::kCommits, "T" + Time(commit_time) + U64(last_seq), "");
}

absl::StatusOr<uint64_t> CommitAtTime(const KvStore& store, int64_t time) {
  ASSIGN_OR_RETURN(const std::vector<uint64_t> seqs, CommitsAtTimes(store, {&time, 1}));
  return seqs[0];
}

absl::StatusOr<std::vector<uint64_t>> CommitsAtTimes(const KvStore& store,
                                                     absl::Span<const int64_t> times) {
  std::vector<std::pair<int64_t, size_t>> newest_first;
  for (size_t i = 0; i < times.size(); ++i) newest_first.emplace_back(times[i], i);
  std::sort(newest_first.begin(), newest_first.end(), std::greater<>());
  std::vector<uint64_t> seqs(times.size(), 0);
  auto it = store.NewIterator(Family::kCommits);
  std::optional<int64_t> since;  // the commit of `seq`, which is the newest one then
  uint64_t seq = 0;
  for (const auto& [time, i] : newest_first) {
    if (!since.has_value() || time < *since) {
      it->SeekForPrev("T" + Time(time) + U64(~uint64_t{0}));
      RETURN_IF_ERROR(it->status());
      if (!it->Valid() || it->key()[0] != 'T') break;
      if (it->key().size() != 17) return BadRecord("commit time");
      since = ReadTime(it->key().substr(1));
      seq = ReadU64(it->key().data() + 9);
    }
    seqs[i] = seq;
  }
  return seqs;
}

absl::StatusOr<int64_t> CommitTimeOf(const KvStore& store, uint64_t seq) {
  auto it = store.NewIterator(Family::kCommits);
  it->Seek("S" + U64(seq));
  RETURN_IF_ERROR(it->status());
  if (!it->Valid() || it->key()[0] != 'S') return 0;
  if (it->value().size() != 8) return BadRecord("commit time");
  return ReadTime(it->value());
}

std::string RequestKey(const std::string& project, const std::string& request_id) {
  return StrCat("I", project, std::string(1, '\0'), request_id);
}

absl::StatusOr<std::optional<RequestRecord>> FindRequest(const KvStore& store,
                                                         const std::string& request_key) {
  ASSIGN_OR_RETURN(std::optional<std::string> value, store.Get(Family::kRequests, request_key));
  if (!value.has_value()) return std::nullopt;
  if (value->size() != 32) return BadRecord("request id");
  const char* bytes = value->data();
  return RequestRecord{ReadU64(bytes), ReadU64(bytes + 8),
                       static_cast<int64_t>(ReadU64(bytes + 16)), ReadU64(bytes + 24)};
}

void AddRequest(const std::string& request_key, const RequestRecord& record, KvBatch* batch) {
  batch->Put(Family::kRequests, request_key,
             StrCat(U64(record.payload_hash), U64(record.commit_seq),
                    U64(static_cast<uint64_t>(record.commit_time)), U64(record.rows)));
  batch->Put(Family::kRequests, "Q" + U64(record.commit_seq), request_key);
}

void ForgetRequest(const std::string& request_key, uint64_t commit_seq, KvBatch* batch) {
  batch->Delete(Family::kRequests, request_key);
  batch->Delete(Family::kRequests, "Q" + U64(commit_seq));
}

}  // namespace fletch
