// SPDX-License-Identifier: Apache-2.0
#include "storage/fact_maintenance.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/status.h"
#include "storage/fact_cursor.h"

namespace fletch {
namespace {

constexpr size_t kBatchBytes = 512u << 10;  // commits wait behind a batch: some milliseconds
constexpr uint64_t kNoEnd = UINT64_MAX;

// Commits at which nothing newer was found to count: ranges, both ends within.
class Uncovered {
 public:
  explicit Uncovered(uint64_t floor) : ranges_{{floor, kNoEnd}} {}
  bool empty() const { return ranges_.empty(); }
  bool Meets(uint64_t first, uint64_t last) const {
    return std::any_of(ranges_.begin(), ranges_.end(),
                       [&](const auto& r) { return r.first <= last && first <= r.second; });
  }
  void Cover(uint64_t first, uint64_t last) {
    std::vector<std::pair<uint64_t, uint64_t>> left;
    for (const auto& [begin, end] : ranges_) {
      if (begin < first) left.emplace_back(begin, std::min(end, first - 1));
      if (end > last) left.emplace_back(std::max(begin, last + 1), end);
    }
    ranges_ = std::move(left);
  }

 private:
  std::vector<std::pair<uint64_t, uint64_t>> ranges_;
};

// When the identities of one instant count. Fed with its facts in the order of their keys.
class Instant {
 public:
  explicit Instant(int64_t event_time) : event_time_(event_time) {}
  int64_t event_time() const { return event_time_; }
  void Add(const FactView& fact) {
    const auto [replaced, newest] =
        replaced_at_.try_emplace(std::string(fact.at.identity), fact.at.commit_seq);
    const uint64_t last = newest ? kNoEnd : replaced->second - 1;
    replaced->second = fact.at.commit_seq;
    if (fact.form != FactForm::kRetraction) counting_.emplace_back(fact.at.commit_seq, last);
  }
  // Whether it answers for one of `uncovered`, which are then covered.
  bool Answer(Uncovered* uncovered) const {
    bool answers = false;
    for (const auto& [first, last] : counting_) answers |= uncovered->Meets(first, last);
    for (const auto& [first, last] : counting_) uncovered->Cover(first, last);
    return answers;
  }

 private:
  int64_t event_time_;
  std::map<std::string, uint64_t> replaced_at_;  // by identity: commit of the next newer form
  std::vector<std::pair<uint64_t, uint64_t>> counting_;
};

class Dropper {
 public:
  Dropper(KvStore* store, const ViewSchema& schema, int64_t horizon, uint64_t commit_floor)
      : store_(store),
        schema_(schema),
        horizon_(horizon),
        commit_floor_(commit_floor),
        cursor_(store) {}

  absl::StatusOr<DropResult> Run(std::string_view resume_key, uint64_t entity_budget) {
    auto iterators = store_->NewIterators({Family::kFacts, Family::kBlocks});
    rows_ = std::move(iterators[0]);
    blocks_ = std::move(iterators[1]);
    const std::string range = ViewPrefix(schema_.view_id);
    std::string next = resume_key.empty() ? range : std::string(resume_key);
    while (true) {
      ASSIGN_OR_RETURN(prefix_, cursor_.FindEntity(schema_, next, range));
      if (prefix_.empty()) break;
      if (result_.entities_seen == entity_budget) {
        result_.resume_key = prefix_;
        break;
      }
      ++result_.entities_seen;
      next = FactPrefixEnd(prefix_);
      RETURN_IF_ERROR(FindKept());
      RETURN_IF_ERROR(DropRows());
      RETURN_IF_ERROR(DropFromBlocks());
      if (batch_.bytes() >= kBatchBytes) RETURN_IF_ERROR(Flush());
    }
    RETURN_IF_ERROR(Flush());
    return std::move(result_);
  }

 private:
  // kept_ becomes the instants before the horizon that somebody may need.
  absl::Status FindKept() {
    kept_.clear();
    Uncovered uncovered(commit_floor_);
    RETURN_IF_ERROR(cursor_.Seek(prefix_, horizon_ - 1));
    while (cursor_.fact() != nullptr && !uncovered.empty()) {
      Instant instant(cursor_.fact()->at.event_time);
      while (cursor_.fact() != nullptr && cursor_.fact()->at.event_time == instant.event_time()) {
        instant.Add(*cursor_.fact());
        RETURN_IF_ERROR(cursor_.Next());
      }
      if (instant.Answer(&uncovered)) kept_.push_back(instant.event_time());
    }
    return absl::OkStatus();
  }
  bool IsDropped(int64_t event_time) const {
    return event_time < horizon_ &&
           !std::binary_search(kept_.begin(), kept_.end(), event_time, std::greater<>());
  }

  absl::Status DropRows() {
    for (rows_->Seek(FactSeekKey(prefix_, horizon_ - 1));
         rows_->Valid() && rows_->key().starts_with(prefix_); rows_->Next()) {
      const std::string_view suffix = rows_->key().substr(prefix_.size());
      ASSIGN_OR_RETURN(const FactView fact, ReadFactRow(suffix, rows_->value()));
      if (!IsDropped(fact.at.event_time)) continue;
      batch_.Delete(Family::kFacts, std::string(rows_->key()));
      ++result_.facts_dropped;
    }
    return rows_->status();
  }

  absl::Status DropFromBlocks() {
    for (blocks_->Seek(FactSeekKey(prefix_, horizon_ - 1));
         blocks_->Valid() && blocks_->key().starts_with(prefix_); blocks_->Next()) {
      ASSIGN_OR_RETURN(const FactBlock block, FactBlock::Parse(blocks_->value()));
      RETURN_IF_ERROR(block.Check());
      size_t left = 0;
      int64_t oldest = 0;
      for (size_t i = 0; i < block.count(); ++i) {
        if (IsDropped(block.event_time(i))) continue;
        ++left;
        oldest = block.event_time(i);
        ASSIGN_OR_RETURN(const FactView fact, block.Read(i));
        builder_.Add(fact);
      }
      result_.facts_dropped += block.count() - left;
      std::string rest = left == 0 ? std::string() : builder_.Finish();
      if (left == block.count()) continue;
      batch_.Delete(Family::kBlocks, std::string(blocks_->key()));
      if (left > 0) batch_.Put(Family::kBlocks, FactBlockKey(prefix_, oldest), std::move(rest));
    }
    return blocks_->status();
  }

  absl::Status Flush() {
    if (batch_.empty()) return absl::OkStatus();
    RETURN_IF_ERROR(store_->Write(batch_, /*sync=*/false));
    batch_.Clear();
    return absl::OkStatus();
  }

  KvStore* const store_;
  const ViewSchema& schema_;
  const int64_t horizon_;
  const uint64_t commit_floor_;
  FactCursor cursor_;
  std::unique_ptr<KvIterator> rows_;
  std::unique_ptr<KvIterator> blocks_;
  std::string prefix_;         // of the entity
  std::vector<int64_t> kept_;  // newest first
  FactBlockBuilder builder_;
  KvBatch batch_;
  DropResult result_;
};

std::vector<KeyRange> Ranges(const std::string& begin, const std::string& end) {
  std::vector<KeyRange> ranges;
  for (const Family family : {Family::kFacts, Family::kBlocks, Family::kLatest}) {
    ranges.push_back({family, begin, end});
  }
  return ranges;
}

}  // namespace

absl::StatusOr<DropResult> DropHistory(KvStore* store, const ViewSchema& schema, int64_t horizon,
                                       uint64_t commit_floor, std::string_view resume_key,
                                       uint64_t entity_budget) {
  return Dropper(store, schema, horizon, commit_floor).Run(resume_key, entity_budget);
}

absl::StatusOr<uint64_t> EraseEntity(KvStore* store, const ViewSchema& schema,
                                     std::string_view entity_key) {
  const std::string prefix = FactPrefix(schema.view_id, entity_key);
  uint64_t count = 0;
  FactCursor cursor(store);
  for (absl::Status moved = cursor.Seek(prefix, INT64_MAX);; moved = cursor.Next()) {
    RETURN_IF_ERROR(moved);
    if (cursor.fact() == nullptr) break;
    ++count;
  }
  KvBatch batch;
  for (const Family family : {Family::kFacts, Family::kBlocks}) {
    const auto keys = store->NewIterator(family);
    for (keys->Seek(prefix); keys->Valid() && keys->key().starts_with(prefix); keys->Next()) {
      batch.Delete(family, std::string(keys->key()));
    }
    RETURN_IF_ERROR(keys->status());
  }
  if (!batch.empty()) RETURN_IF_ERROR(store->Write(batch, /*sync=*/true));
  return count;
}

std::vector<KeyRange> EntityRanges(const ViewSchema& schema, std::string_view entity_key) {
  const std::string prefix = FactPrefix(schema.view_id, entity_key);
  return Ranges(prefix, FactPrefixEnd(prefix));
}

std::vector<KeyRange> ViewRanges(const ViewSchema& schema) {
  return Ranges(ViewPrefix(schema.view_id), ViewPrefixEnd(schema.view_id));
}

KeyRange UnfoldedRange(const ViewSchema& schema) {
  return {Family::kFacts, ViewPrefix(schema.view_id), ViewPrefixEnd(schema.view_id)};
}

}  // namespace fletch
