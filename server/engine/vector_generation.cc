// SPDX-License-Identifier: Apache-2.0
#include "server/engine/vector_generation.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

namespace fletch {
namespace {

constexpr size_t kLabelHeader = 2 * sizeof(uint64_t);
constexpr size_t kAhead = 16;  // look-ups whose cache misses overlap

}  // namespace

std::optional<RowLabel> ParseLabel(std::string_view label) {
  if (label.size() <= kLabelHeader) return std::nullopt;
  RowLabel parsed;
  std::memcpy(&parsed.event_time, label.data(), sizeof(parsed.event_time));
  std::memcpy(&parsed.born_seq, label.data() + sizeof(parsed.event_time), sizeof(parsed.born_seq));
  parsed.entity_key = label.substr(kLabelHeader);
  return parsed;
}

VectorGeneration::VectorGeneration(const IndexOptions& options,
                                   std::shared_ptr<EntityDictionary> entities, uint64_t base_seq,
                                   int64_t base_time)
    : base_seq(base_seq), base_time(base_time), entities_(std::move(entities)), index_(options) {}

VectorGeneration::VectorGeneration(const IndexOptions& options,
                                   std::shared_ptr<EntityDictionary> entities,
                                   std::shared_ptr<GraphFile> file)
    : base_seq(0),
      base_time(std::numeric_limits<int64_t>::min()),
      entities_(std::move(entities)),
      index_(options, file) {
  for (RowId row = 0; row < file->row_count(); ++row) {
    const std::optional<RowLabel> label = ParseLabel(file->label(row));
    const Ordinal entity = label ? entities_->Add(label->entity_key) : kNone;
    DescribeRow(row, entity, label ? label->event_time : 0, label ? label->born_seq : 0,
                /*died_seq=*/0);
    if (label) SetCurrent(entity, row);
  }
  dead_count_ = file->row_count();
}

uint32_t VectorGeneration::Current(Ordinal entity) const {
  if (entity >= current_count_.load(std::memory_order_acquire)) return kNone;
  return std::atomic_ref(*current_[entity]).load(std::memory_order_acquire);
}

void VectorGeneration::PrefetchCurrent(Ordinal entity) const {
  if (entity < current_count_.load(std::memory_order_relaxed)) __builtin_prefetch(current_[entity]);
}

void VectorGeneration::SetCurrent(Ordinal entity, uint32_t current) {
  uint32_t count = current_count_.load(std::memory_order_relaxed);
  for (; count <= entity; ++count) *current_.Grow(count) = kNone;
  current_count_.store(count, std::memory_order_release);
  std::atomic_ref(*current_[entity]).store(current, std::memory_order_release);
}

void VectorGeneration::Forget(Ordinal entity, uint32_t current) {
  dead_count_.fetch_add(1, std::memory_order_relaxed);
  if ((current & kFutureBit) != 0) {
    --live_futures_;
  } else {
    live_rows_.fetch_sub(1, std::memory_order_relaxed);
  }
  if (Current(entity) == current) SetCurrent(entity, kNone);
}

bool VectorGeneration::HasRow(Ordinal entity) const {
  const uint32_t current = Current(entity);
  return current != kNone && (current & kFutureBit) == 0 && DiedSeq(current) == kNever;
}

void VectorGeneration::End(Ordinal entity, uint64_t seq) {
  const uint32_t current = Current(entity);
  if (current == kNone) return;
  if ((current & kFutureBit) != 0) {
    futures_[current & ~kFutureBit]->until_seq.store(seq);
  } else if (DiedSeq(current) == kNever) {
    SetDied(current, seq);
    ended_.Add(entity, current, seq);
  } else {
    SetCurrent(entity, kNone);  // a saved row that was never woken, and is counted as dead
    return;
  }
  Forget(entity, current);
}

std::vector<RowId> VectorGeneration::Erase(Ordinal entity) {
  End(entity, 0);
  std::vector<RowId> rows;
  for (RowId row = 0; row < index_.row_count(); ++row) {
    if (*row_entities_[row] != entity) continue;
    SetDied(row, 0);
    rows.push_back(row);
  }
  for (uint32_t i = 0; i < future_count_; ++i) {
    if (futures_[i]->entity == entity) futures_[i]->until_seq.store(0);
  }
  return rows;
}

bool VectorGeneration::Wake(Ordinal entity, int64_t event_time, uint64_t born_seq) {
  const uint32_t current = Current(entity);
  if (current == kNone || (current & kFutureBit) != 0 || DiedSeq(current) != 0 ||
      this->event_time(current) != event_time || this->born_seq(current) != born_seq) {
    return false;
  }
  SetDied(current, kNever);
  dead_count_.fetch_sub(1, std::memory_order_relaxed);
  live_rows_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void VectorGeneration::DescribeRow(RowId row, Ordinal entity, int64_t event_time, uint64_t born_seq,
                                   uint64_t died_seq) {
  *lives_.Grow(row) = {born_seq, died_seq};
  *row_entities_.Grow(row) = entity;
  *event_times_.Grow(row) = event_time;
}

void VectorGeneration::AddRow(Ordinal entity, int64_t event_time, uint64_t born_seq,
                              absl::Span<const float> vector) {
  AppendRow(entity, event_time, born_seq, kNever, vector);
}

void VectorGeneration::AppendRow(Ordinal entity, int64_t event_time, uint64_t born_seq,
                                 uint64_t died_seq, absl::Span<const float> vector) {
  const auto row = static_cast<RowId>(index_.row_count());
  DescribeRow(row, entity, event_time, born_seq, died_seq);
  index_.Add(vector);
  if (died_seq != kNever) {
    dead_count_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  live_rows_.fetch_add(1, std::memory_order_relaxed);
  SetCurrent(entity, row);
}

void VectorGeneration::AddFuture(Ordinal entity, int64_t event_time, uint64_t since_seq,
                                 std::vector<float> vector) {
  AppendFuture(entity, event_time, since_seq, kNever, std::move(vector));
}

void VectorGeneration::AppendFuture(Ordinal entity, int64_t event_time, uint64_t since_seq,
                                    uint64_t until_seq, std::vector<float> vector) {
  const uint32_t number = future_count_++;
  FutureFact* const future = futures_.Grow(number);
  future->entity = entity;
  future->event_time = event_time;
  future->since_seq = since_seq;
  future->until_seq.store(until_seq);
  future->vector = std::move(vector);
  if (until_seq != kNever) {
    dead_count_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  ++live_futures_;
  SetCurrent(entity, number | kFutureBit);
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
    Forget(future.entity, i | kFutureBit);
    if (!future.vector.empty()) {
      AddRow(future.entity, future.event_time, future.since_seq, future.vector);
    }
    future.matured_version.store(version);
  }
  return newest;
}

std::optional<std::vector<RowId>> VectorGeneration::RowsOf(absl::Span<const Ordinal> entities,
                                                           uint64_t read_seq) const {
  if (read_seq < ended_base_seq_.load()) return std::nullopt;
  std::vector<RowId> rows;
  rows.reserve(entities.size());
  for (size_t i = 0; i < entities.size(); ++i) {
    if (i + kAhead < entities.size()) PrefetchCurrent(entities[i + kAhead]);
    const uint32_t current = Current(entities[i]);
    if (current != kNone && (current & kFutureBit) == 0) rows.push_back(current);
  }
  // After the current rows: one that ends in between is then found here.
  std::optional<std::vector<EndedRows::End>> ended = ended_.After(read_seq);
  if (!ended.has_value()) return std::nullopt;
  for (const EndedRows::End& end : *ended) {
    if (std::binary_search(entities.begin(), entities.end(), end.entity)) rows.push_back(end.row);
  }
  if (std::adjacent_find(rows.begin(), rows.end(), std::greater_equal<>()) == rows.end()) {
    return rows;
  }
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  return rows;
}

uint64_t VectorGeneration::bytes() const {
  const uint64_t a_row = sizeof(RowLife) + sizeof(Ordinal) + sizeof(int64_t);
  return index_.row_count() * a_row + current_count_.load() * sizeof(uint32_t);
}

std::string VectorGeneration::Label(RowId row) const {
  if (DiedSeq(row) != kNever) return "";
  const int64_t time = event_time(row);
  const uint64_t born = born_seq(row);
  std::string label(kLabelHeader, '\0');
  std::memcpy(label.data(), &time, sizeof(time));
  std::memcpy(label.data() + sizeof(time), &born, sizeof(born));
  return label.append(entity_key(row));
}

absl::Status VectorGeneration::ExtendGraph(uint64_t seen_from, absl::FunctionRef<bool()> cancelled,
                                           absl::FunctionRef<void(double)> progress) {
  // Before the graph can be seen: a reader that looks afterwards cannot miss it.
  graph_base_seq_.store(std::max(graph_base_seq_.load(), seen_from));
  return index_.ExtendGraph([this, seen_from](RowId row) { return DiedSeq(row) > seen_from; },
                            cancelled, progress);
}

void GenerationCopier::CopyEnds(RowId row, uint64_t died) {
  const uint32_t copy = rows_[row];
  const uint64_t died_here = to_->DiedSeq(copy);
  to_->SetDied(copy, died);
  if (died_here != kNever || died == kNever) return;  // an erased row dies twice
  to_->Forget(to_->entity(copy), copy);
}

void GenerationCopier::SyncEnds() {
  for (uint32_t i = 0; i < rows_.size(); ++i) {
    if (rows_[i] != kLeftOut) CopyEnds(i, from_->DiedSeq(i));
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
    to_->Forget(future.entity, futures_[i] | VectorGeneration::kFutureBit);
  }
}

void GenerationCopier::CatchUp(uint32_t row_count, uint32_t future_count, int64_t expired) {
  SyncEnds();
  for (auto i = static_cast<uint32_t>(rows_.size()); i < row_count; ++i) {
    const uint64_t died = from_->DiedSeq(i);
    if (died <= to_->base_seq || from_->event_time(i) < expired) {
      rows_.push_back(kLeftOut);
      continue;
    }
    rows_.push_back(static_cast<uint32_t>(to_->index_.row_count()));
    to_->AppendRow(from_->entity(i), from_->event_time(i), from_->born_seq(i), died,
                   from_->index_.vector(i));
  }
  for (auto i = static_cast<uint32_t>(futures_.size()); i < future_count; ++i) {
    const FutureFact& was = *from_->futures_[i];
    const uint64_t until = was.until_seq.load();
    if (until <= to_->base_seq || was.matured_version.load() != 0) {
      futures_.push_back(kLeftOut);
      continue;
    }
    futures_.push_back(to_->future_count_);
    to_->AppendFuture(was.entity, was.event_time, was.since_seq, until, was.vector);
  }
  to_->ended_base_seq_ = std::max(from_->ended_base_seq_.load(), from_->ended_.newest_seq());
}

}  // namespace fletch
