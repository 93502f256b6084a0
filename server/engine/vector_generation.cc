// SPDX-License-Identifier: Apache-2.0
#include "server/engine/vector_generation.h"

#include <algorithm>
#include <utility>

namespace fletch {

VectorGeneration::VectorGeneration(VectorMetric metric, size_t dimension, uint64_t base_seq,
                                   int64_t base_time)
    : base_seq(base_seq), base_time(base_time), index_(metric, dimension) {}

void VectorGeneration::Forget(std::string_view entity_key, Current current) {
  ++dead_count_;
  if (current.is_future) {
    --live_futures_;
  } else {
    live_rows_.fetch_sub(1, std::memory_order_relaxed);
  }
  const auto found = current_.find(entity_key);
  if (found != current_.end() && found->second == current) current_.erase(found);
}

void VectorGeneration::End(std::string_view entity_key, uint64_t seq) {
  const auto found = current_.find(entity_key);
  if (found == current_.end()) return;
  const Current current = found->second;
  if (current.is_future) {
    futures_[current.number]->until_seq.store(seq);
  } else {
    rows_[current.number]->died_seq.store(seq);
  }
  Forget(entity_key, current);
}

void VectorGeneration::Erase(std::string_view entity_key) {
  End(entity_key, 0);
  for (RowId row = 0; row < index_.row_count(); ++row) {
    if (rows_[row]->entity_key == entity_key) rows_[row]->died_seq.store(0);
  }
  for (uint32_t i = 0; i < future_count_; ++i) {
    if (futures_[i]->entity_key == entity_key) futures_[i]->until_seq.store(0);
  }
}

void VectorGeneration::AddRow(std::string_view entity_key, int64_t event_time, uint64_t born_seq,
                              absl::Span<const float> vector) {
  AppendRow(entity_key, event_time, born_seq, kNever, vector);
}

void VectorGeneration::AppendRow(std::string_view entity_key, int64_t event_time, uint64_t born_seq,
                                 uint64_t died_seq, absl::Span<const float> vector) {
  const auto number = static_cast<RowId>(index_.row_count());
  VectorRow* const row = rows_.Grow(number);
  row->entity_key = entity_key;
  row->event_time = event_time;
  row->born_seq = born_seq;
  row->died_seq.store(died_seq);
  index_.Add(vector);
  if (died_seq != kNever) {
    ++dead_count_;
    return;
  }
  live_rows_.fetch_add(1, std::memory_order_relaxed);
  current_[row->entity_key] = {.is_future = false, .number = number};
}

void VectorGeneration::AddFuture(std::string_view entity_key, int64_t event_time,
                                 uint64_t since_seq, std::vector<float> vector) {
  AppendFuture(entity_key, event_time, since_seq, kNever, std::move(vector));
}

void VectorGeneration::AppendFuture(std::string_view entity_key, int64_t event_time,
                                    uint64_t since_seq, uint64_t until_seq,
                                    std::vector<float> vector) {
  const uint32_t number = future_count_++;
  FutureFact* const future = futures_.Grow(number);
  future->entity_key = entity_key;
  future->event_time = event_time;
  future->since_seq = since_seq;
  future->until_seq.store(until_seq);
  future->vector = std::move(vector);
  if (until_seq != kNever) {
    ++dead_count_;
    return;
  }
  ++live_futures_;
  current_[future->entity_key] = {.is_future = true, .number = number};
}

int64_t VectorGeneration::Mature(int64_t due, uint64_t version) {
  int64_t newest = std::numeric_limits<int64_t>::min();
  if (live_futures_ == 0) return newest;
  for (uint32_t i = 0; i < future_count_; ++i) {
    FutureFact& future = *futures_[i];
    if (future.event_time > due || future.until_seq.load() != kNever ||
        future.matured_version.load() != 0) {
      continue;
    }
    newest = std::max(newest, future.event_time);
    Forget(future.entity_key, {.is_future = true, .number = i});
    if (!future.vector.empty()) {
      AddRow(future.entity_key, future.event_time, future.since_seq, future.vector);
    }
    future.matured_version.store(version);
  }
  return newest;
}

absl::Status VectorGeneration::BuildGraph(uint64_t applied_seq,
                                          absl::FunctionRef<bool()> cancelled) {
  // Before the graph can be seen: a reader that looks afterwards cannot miss it.
  graph_base_seq_.store(applied_seq);
  return index_.BuildGraph(
      [this, applied_seq](RowId row) { return rows_[row]->died_seq.load() > applied_seq; },
      cancelled);
}

void GenerationCopier::SyncEnds() {
  for (uint32_t i = 0; i < rows_.size(); ++i) {
    if (rows_[i] == kLeftOut) continue;
    const uint64_t died = from_->rows_[i]->died_seq.load();
    VectorRow& row = *to_->rows_[rows_[i]];
    const uint64_t died_here = row.died_seq.exchange(died);
    if (died_here != kNever || died == kNever) continue;  // an erased row dies twice
    to_->Forget(row.entity_key, {.is_future = false, .number = rows_[i]});
  }
  for (uint32_t i = 0; i < futures_.size(); ++i) {
    if (futures_[i] == kLeftOut) continue;
    const FutureFact& was = *from_->futures_[i];
    FutureFact& future = *to_->futures_[futures_[i]];
    const uint64_t until = was.until_seq.load();
    const uint64_t matured = was.matured_version.load();
    const bool over = until != kNever || matured != 0;
    const bool over_here = future.until_seq.exchange(until) != kNever;
    const bool matured_here = future.matured_version.exchange(matured) != 0;
    if (!over || over_here || matured_here) continue;
    to_->Forget(future.entity_key, {.is_future = true, .number = futures_[i]});
  }
}

void GenerationCopier::CatchUp(uint32_t row_count, uint32_t future_count, int64_t expired) {
  SyncEnds();
  for (auto i = static_cast<uint32_t>(rows_.size()); i < row_count; ++i) {
    const VectorRow& was = *from_->rows_[i];
    const uint64_t died = was.died_seq.load();
    if (died <= to_->base_seq || was.event_time < expired) {
      rows_.push_back(kLeftOut);
      continue;
    }
    rows_.push_back(static_cast<uint32_t>(to_->index_.row_count()));
    to_->AppendRow(was.entity_key, was.event_time, was.born_seq, died, from_->index_.vector(i));
  }
  for (auto i = static_cast<uint32_t>(futures_.size()); i < future_count; ++i) {
    const FutureFact& was = *from_->futures_[i];
    const uint64_t until = was.until_seq.load();
    if (until <= to_->base_seq || was.matured_version.load() != 0) {
      futures_.push_back(kLeftOut);
      continue;
    }
    futures_.push_back(to_->future_count_);
    to_->AppendFuture(was.entity_key, was.event_time, was.since_seq, until, was.vector);
  }
}

void NewestEventTimes::Add(uint64_t seq, int64_t event_time) {
  if (!steps_.empty() && event_time <= steps_.back().event_time) return;
  if (!steps_.empty() && seq <= steps_.back().seq) {
    steps_.back().event_time = event_time;
    return;
  }
  steps_.push_back({seq, event_time});
  if (steps_.size() <= kMaxSteps) return;
  steps_.pop_front();
  steps_.front().seq = 0;
}

void NewestEventTimes::AddForAll(int64_t event_time) {
  std::erase_if(steps_, [event_time](const Step& step) { return step.event_time <= event_time; });
  steps_.push_front({0, event_time});
}

int64_t NewestEventTimes::At(uint64_t read_seq) const {
  const auto after =
      std::upper_bound(steps_.begin(), steps_.end(), read_seq,
                       [](uint64_t seq, const Step& step) { return seq < step.seq; });
  return after == steps_.begin() ? std::numeric_limits<int64_t>::min()
                                 : std::prev(after)->event_time;
}

}  // namespace fletch
