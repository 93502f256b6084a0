// SPDX-License-Identifier: Apache-2.0
// What a VectorCollection does in the background.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/vector_collection_state.h"

namespace fletch {
namespace {

constexpr uint64_t kMinGraphRows = 2048;  // fewer are compared faster than a graph is walked
constexpr uint64_t kGraphShare = 256;     // 1/256 of the rows, compared one by one, is half a walk
constexpr uint64_t kMinDeadRows = 128;    // fewer are not worth a rebuild
constexpr uint64_t kDeadShare = 4;        // a quarter: walks are a third longer
// Requests read the clock before they search. What matures or expires is given this long, so that
// those on their way need no scan.
constexpr int64_t kGraceMicros = 1'000'000;
constexpr int64_t kExpiryScanMicros = 60'000'000;
constexpr int64_t kBuilderMicros = 10'000'000;  // a builder without new rows is kept so long
// Saving writes everything anew. While rows keep coming it waits for a half more of them (or for a
// tenth and a minute), so that not much more than three times the final size is written.
constexpr int64_t kSaveMicros = 60'000'000;
constexpr int64_t kQuietMicros = 30'000'000;  // nothing came: what is not saved yet is
constexpr uint64_t kQuietShare = 64;          // if it is more than 1/64: less is loaded at once
constexpr int64_t kRestMicros = 60'000'000;   // before what failed is tried again
constexpr uint64_t kCheapSaveRows = 100'000;  // about a second

}  // namespace

void VectorCollection::State::Warn(const std::string& what, const absl::Status& status) {
  resting_until = clock + kRestMicros;
  const std::string error(FromAbsl(status.message()));
  Log(LogLevel::kWarning, what, {{"view", view->schema.versioned_name()}, {"error", error}});
  MutexLock lock(&sight_mu);
  warning = StrCat(what, ": ", error);
}

// Rows of erased entities are overwritten once no search can be looking at them.
void VectorCollection::State::BlankErased() {
  std::vector<Erased> now;
  {
    MutexLock write(&write_mu);
    now.swap(erased);
  }
  for (Erased& e : now) {
    searches.Retire(new Erased(std::move(e)), [](void* object) {
      const std::unique_ptr<Erased> mine(static_cast<Erased*>(object));
      for (const RowId row : mine->rows) mine->generation->mutable_index()->Blank(row);
    });
  }
  searches.Collect();
}

bool VectorCollection::State::Mature(int64_t now) {
  MutexLock write(&write_mu);
  const std::shared_ptr<VectorGeneration> target = Generation();
  uint64_t next_version = 0;
  {
    MutexLock sight(&sight_mu);
    next_version = version + 1;
  }
  const int64_t matured = target->Mature(now - kGraceMicros, next_version);
  if (matured == kBeginningOfTime) return false;
  MutexLock sight(&sight_mu);
  version = next_version;
  newest.AddForAll(matured);
  Publish();
  return true;
}

bool VectorCollection::State::WantsRebuild(uint64_t base_seq, int64_t expired) {
  if (rebuild_requested) return true;
  const std::shared_ptr<VectorGeneration> target = Generation();
  uint64_t dead = base_seq > target->base_seq ? target->dead_count() : 0;
  if (ttl > 0 && expired >= next_expiry_scan) {
    next_expiry_scan = expired + kExpiryScanMicros;
    for (RowId row = 0; row < target->index().row_count(); ++row) {
      if (target->event_time(row) < expired && target->DiedSeq(row) == kNever) ++dead;
    }
  }
  return dead >= kMinDeadRows && kDeadShare * dead > target->total_count();
}

bool VectorCollection::State::ExtendGraph(VectorGeneration* target, uint64_t seen_from,
                                          absl::FunctionRef<bool()> cancelled) {
  progress = 0;
  work = Work::kBuilding;
  const absl::Status status =
      target->ExtendGraph(seen_from, cancelled, [this](double share) { progress = share; });
  work = Work::kIdle;
  if (!status.ok() && !absl::IsCancelled(status)) {
    Warn("a vector graph was not built; its rows are compared one by one", status);
  }
  return status.ok();
}

bool VectorCollection::State::Rebuild(uint64_t base_seq, int64_t base_time,
                                      absl::FunctionRef<bool()> cancelled) {
  const std::shared_ptr<VectorGeneration> old = Generation();
  old->mutable_index()->ForgetBuilder();
  const int64_t expired = ttl > 0 ? base_time - ttl : kBeginningOfTime;
  const auto fresh = std::make_shared<VectorGeneration>(
      NextOptions(), entities, std::max(base_seq, old->base_seq),
      ttl > 0 ? std::max(base_time, old->base_time) : kBeginningOfTime);
  GenerationCopier copier(old.get(), fresh.get());
  VectorSight now = Look(0);
  copier.CatchUp(now.row_count, now.future_count, expired);
  if (fresh->live_rows() >= kMinGraphRows && !ExtendGraph(fresh.get(), base_seq, cancelled)) {
    return false;
  }
  // Most of what came meanwhile is copied before the lock.
  now = Look(0);
  copier.CatchUp(now.row_count, now.future_count, expired);
  MutexLock write(&write_mu);
  copier.CatchUp(static_cast<uint32_t>(old->index().row_count()), old->future_count(), expired);
  // Copies of what was erased meanwhile.
  Erased copies{fresh, {}};
  for (RowId row = 0; row < fresh->index().row_count(); ++row) {
    if (fresh->DiedSeq(row) == 0) copies.rows.push_back(row);
  }
  if (!copies.rows.empty()) erased.push_back(std::move(copies));
  rebuild_requested = false;
  MutexLock sight(&sight_mu);
  generation = fresh;
  ++generation_number;
  Publish();
  return true;
}

bool VectorCollection::State::WantsExtension(const VectorGeneration& target) const {
  const uint64_t buffered = target.index().row_count() - target.index().graph_row_limit();
  return buffered >= std::max(kMinGraphRows, target.index().row_count() / kGraphShare);
}

bool VectorCollection::State::WantsSave(const VectorGeneration& target) const {
  const uint64_t rows = target.index().graph_row_limit();
  if (saved.folder().empty() || rows == 0) return false;
  const SavedIndex::File file = saved.file();
  uint64_t number = 0;
  {
    MutexLock lock(&sight_mu);
    number = generation_number;
  }
  if (file.bytes == 0 || file.generation_number != number) return true;
  const uint64_t unsaved = rows - std::min<uint64_t>(rows, file.row_limit);
  if (2 * unsaved >= file.row_limit) return true;
  if (10 * unsaved >= file.row_limit && clock >= saved_at + kSaveMicros) return true;
  return kQuietShare * unsaved >= rows && clock >= rows_came_at + kQuietMicros;
}

bool VectorCollection::State::Save(absl::FunctionRef<bool()> cancelled) {
  uint64_t number = 0;
  std::shared_ptr<VectorGeneration> target;
  {
    MutexLock lock(&sight_mu);
    target = generation;
    number = generation_number;
  }
  progress = 0;
  work = Work::kSaving;
  const absl::Status status = saved.Save(*target, number, cancelled);
  work = Work::kIdle;
  saved_at = clock;
  if (absl::IsCancelled(status)) return false;
  if (!status.ok()) {
    Warn("a vector index was not saved; after a restart it is built anew", status);
    return false;
  }
  MutexLock lock(&sight_mu);
  warning.clear();
  return true;
}

bool VectorCollection::Maintain(int64_t now, uint64_t applied_seq,
                                absl::FunctionRef<bool()> cancelled) {
  State& s = *state_;
  s.loading.store(false);
  s.clock = now;
  s.BlankErased();
  const bool matured = s.Mature(now);
  // Dead rows are dropped only if they were dead at the call before: searches that began since then
  // still see theirs.
  const uint64_t base_seq = std::exchange(s.previous_applied_seq, applied_seq);
  const int64_t base_time = now - kExpiryScanMicros;
  if (now < s.resting_until) return matured;
  bool rebuild = false;
  {
    MutexLock write(&s.write_mu);
    rebuild = s.WantsRebuild(base_seq, base_time - s.ttl);
  }
  if (rebuild) return s.Rebuild(base_seq, base_time, cancelled) || matured;
  const std::shared_ptr<VectorGeneration> generation = s.Generation();
  if (generation->index().row_count() != s.rows_seen) {
    s.rows_seen = generation->index().row_count();
    s.rows_came_at = now;
  }
  if (s.WantsExtension(*generation)) {
    return s.ExtendGraph(generation.get(), base_seq, cancelled) || matured;
  }
  if (generation->index().has_builder() && now >= s.rows_came_at + kBuilderMicros) {
    generation->mutable_index()->ForgetBuilder();
  }
  return (s.WantsSave(*generation) && s.Save(cancelled)) || matured;
}

void VectorCollection::SaveIfCheap() {
  State& s = *state_;
  const std::shared_ptr<VectorGeneration> generation = s.Generation();
  s.clock = std::numeric_limits<int64_t>::max() / 2;  // as if all had been quiet for long
  if (generation->index().row_count() > kCheapSaveRows || !s.WantsSave(*generation)) return;
  s.Save([] { return false; });
}

}  // namespace fletch
