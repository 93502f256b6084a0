// SPDX-License-Identifier: Apache-2.0
#include "server/engine/event_index.h"

#include <algorithm>
#include <atomic>
#include <list>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/hash/hash.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "base/status.h"
#include "server/engine/window_answer.h"
#include "server/engine/window_log.h"
#include "server/engine/window_tree.h"
#include "storage/big_endian.h"
#include "storage/fact_store.h"

namespace fletch {
namespace {

// Questions may be so much older than the newest one: requests wait in queues.
constexpr int64_t kSlackMicros = 60ll * 1'000'000;
constexpr size_t kShards = 64;
constexpr int64_t kLargestPart = 4;   // an entity above this part of the budget is not kept
constexpr int64_t kEntryBytes = 512;  // about: entry, map and list without the keys

// What is kept of a source's events: what its aggregation views need together.
struct Source {
  std::shared_ptr<const View> view;
  EventShape shape;
  int64_t longest_window_micros = 0;
};

// An entity's events as of some commits.
struct Version {
  EventTree tree;
  uint64_t since_seq = 0;    // the first commit of the group that made it
  uint64_t changed_seq = 0;  // the last one
  int64_t commit_time = 0;
  int64_t complete_after = 0;  // events at or before are not in it
};

// A change that came while the entity was being loaded.
struct PendingChange {
  uint64_t commit_seq;
  int64_t commit_time;
  Identity identity;
  FactForm form;
  std::string row;
};

struct Entry {
  std::shared_ptr<const Source> source;
  bool loading = true;
  std::vector<PendingChange> pending;  // while loading
  Version current;
  Version previous;  // what readers of the group before still ask for
  bool has_previous = false;
  std::list<std::string>::iterator place;  // in the shard's list
};

struct Shard {
  Mutex mu;
  absl::flat_hash_map<std::string, std::shared_ptr<Entry>> entries ABSL_GUARDED_BY(mu);
  std::list<std::string> newest_first ABSL_GUARDED_BY(mu);  // by use; entries that are not loading
};

std::string EntryKey(ViewId view_id, std::string_view entity_key) {
  std::string key;
  key.reserve(sizeof(view_id) + entity_key.size());
  AppendU32(view_id, &key);
  key.append(entity_key);
  return key;
}

bool Covers(const Source& old, const Source& wanted) {
  if (old.longest_window_micros < wanted.longest_window_micros) return false;
  return std::all_of(
      wanted.shape.slots().begin(), wanted.shape.slots().end(), [&](const EventSlot& slot) {
        const std::optional<size_t> found = old.shape.Find(slot.field);
        return found.has_value() && (old.shape.slots()[*found].numbers || !slot.numbers);
      });
}

// Where the plan's slots are in the source's shape; nullopt: not all are.
std::optional<std::vector<size_t>> MapSlots(const WindowPlan& plan, const Source& source) {
  if (plan.longest_window_micros() > source.longest_window_micros) return std::nullopt;
  std::vector<size_t> slots;
  for (const EventSlot& slot : plan.shape().slots()) {
    const std::optional<size_t> found = source.shape.Find(slot.field);
    if (!found.has_value() || (slot.numbers && !source.shape.slots()[*found].numbers)) {
      return std::nullopt;
    }
    slots.push_back(*found);
  }
  return slots;
}

void ApplyChange(const Source& source, const EventTreeEditor& editor, uint64_t commit_seq,
                 const Identity& identity, FactForm form, std::string_view row, Version* version) {
  if (identity.event_time <= version->complete_after) return;
  if (form == FactForm::kTombstone) {
    return editor.PutTombstone({identity.event_time, commit_seq}, &version->tree);
  }
  if (form == FactForm::kRow) {
    EventBlock event(&source.shape);
    event.Append(identity.event_time, commit_seq, identity.event_key,
                 RowView(&source.view->layout, row));
    return editor.Put(event, &version->tree);
  }
  if (identity.tombstone) return editor.RemoveTombstone(identity.event_time, &version->tree);
  editor.Remove(identity.event_time, identity.event_key, &version->tree);
}

// Lets go of what no window can reach any more, now and then.
void PruneOld(const Source& source, const EventTreeEditor& editor, int64_t now, Version* version) {
  const int64_t window = source.longest_window_micros;
  const int64_t horizon = BoundWindow(now - kSlackMicros, window, std::nullopt).after.time;
  if (horizon - version->complete_after < std::max(window / 8, kSlackMicros)) return;
  editor.Prune(horizon, &version->tree);
  version->complete_after = horizon;
}

}  // namespace

struct EventIndex::State {
  State(const KvStore* store, uint64_t budget_bytes, Counter* overflows)
      : store(store), budget_bytes(static_cast<int64_t>(budget_bytes)), overflows(overflows) {}

  Shard& ShardOf(std::string_view key) {
    return shards[absl::Hash<std::string_view>()(key) % kShards];
  }

  std::shared_ptr<const Source> FindSource(ViewId view_id) {
    MutexLock lock(&sources_mu);
    const auto at = sources.find(view_id);
    return at == sources.end() ? nullptr : at->second;
  }

  void DropSource(ViewId view_id);
  void ApplyRun(uint64_t commit_seq, int64_t commit_time, absl::Span<const FactChange> run);
  void Change(const std::shared_ptr<Entry>& entry, Shard* shard, uint64_t commit_seq,
              int64_t commit_time, absl::Span<const FactChange> run);
  std::shared_ptr<Entry> BeginLoad(const std::string& key, ViewId view_id, uint64_t* known_at);
  absl::StatusOr<std::optional<Version>> Load(ViewId view_id, std::string_view entity_key,
                                              int64_t as_of, uint64_t read_seq,
                                              std::shared_ptr<const Source>* source);
  void FinishLoad(const std::string& key, const std::shared_ptr<Entry>& entry, Version version,
                  uint64_t known_at);
  void Erase(const std::string& key, const Entry* entry);
  void Evict();

  const KvStore* const store;
  const int64_t budget_bytes;
  Counter* const overflows;
  std::atomic<int64_t> memory{0};  // outlives the trees
  std::atomic<uint64_t> applying_seq{0};
  std::atomic<int64_t> newest_asked{limits::kMinTimeMicros};
  std::atomic<uint64_t> generation{0};  // of sources
  std::atomic<uint64_t> entities{0};
  Mutex sources_mu;
  absl::flat_hash_map<ViewId, std::shared_ptr<const Source>> sources ABSL_GUARDED_BY(sources_mu);
  // The commit thread's own copy.
  absl::flat_hash_map<ViewId, std::shared_ptr<const Source>> applied_sources;
  Shard shards[kShards];
  std::atomic<size_t> next_victim{0};
};

EventIndex::EventIndex(const KvStore* store, uint64_t budget_bytes, Counter* overflows)
    : state_(std::make_unique<State>(store, budget_bytes, overflows)) {}
EventIndex::~EventIndex() = default;

uint64_t EventIndex::bytes() const {
  return static_cast<uint64_t>(std::max<int64_t>(state_->memory.load(), 0));
}
uint64_t EventIndex::entity_count() const { return state_->entities.load(); }

void EventIndex::Refresh(absl::Span<const std::shared_ptr<const AggregationView>> views) {
  absl::flat_hash_map<ViewId, std::shared_ptr<Source>> wanted;
  for (const auto& view : views) {
    std::shared_ptr<Source>& source = wanted[view->source->schema.view_id];
    if (source == nullptr) source = std::make_shared<Source>();
    const bool newer = source->view == nullptr ||
                       source->view->schema.fields.size() < view->source->schema.fields.size();
    if (newer) source->view = view->source;
    for (const Aggregation& aggregation : view->aggregations) {
      AddToShape(*view, aggregation, &source->shape);
      source->longest_window_micros =
          std::max(source->longest_window_micros, aggregation.window_micros);
    }
  }
  std::vector<ViewId> dropped;
  {
    MutexLock lock(&state_->sources_mu);
    for (const auto& [view_id, old] : state_->sources) {
      const auto at = wanted.find(view_id);
      if (at == wanted.end() || !Covers(*old, *at->second)) dropped.push_back(view_id);
    }
    for (const ViewId view_id : dropped) state_->sources.erase(view_id);
    for (auto& [view_id, source] : wanted) {
      source->shape.Finish();
      state_->sources.try_emplace(view_id, std::move(source));
    }
    state_->applied_sources = state_->sources;
    state_->generation.fetch_add(1);
  }
  for (const ViewId view_id : dropped) state_->DropSource(view_id);
}

bool EventIndex::IsSource(ViewId view_id) const {
  return state_->applied_sources.contains(view_id);
}

void EventIndex::State::DropSource(ViewId view_id) {
  const std::string prefix = EntryKey(view_id, "");
  for (Shard& shard : shards) {
    std::vector<std::shared_ptr<Entry>> freed;  // after the lock
    std::vector<std::string> keys;
    MutexLock lock(&shard.mu);
    for (const auto& [key, entry] : shard.entries) {
      if (key.starts_with(prefix)) keys.push_back(key);
    }
    for (const std::string& key : keys) {
      const auto at = shard.entries.find(key);
      if (!at->second->loading) shard.newest_first.erase(at->second->place);
      freed.push_back(std::move(at->second));
      shard.entries.erase(at);
      memory.fetch_sub(kEntryBytes + static_cast<int64_t>(2 * key.size()));
      entities.fetch_sub(1);
    }
  }
}

void EventIndex::Forget(ViewId view_id, std::string_view entity_key) {
  state_->Erase(EntryKey(view_id, entity_key), nullptr);
}

// Takes the key's entry out, when it is `entry` or that is nullptr.
void EventIndex::State::Erase(const std::string& key, const Entry* entry) {
  std::shared_ptr<Entry> freed;  // after the lock
  Shard& shard = ShardOf(key);
  MutexLock lock(&shard.mu);
  const auto at = shard.entries.find(key);
  if (at == shard.entries.end() || (entry != nullptr && at->second.get() != entry)) return;
  if (!at->second->loading) shard.newest_first.erase(at->second->place);
  freed = std::move(at->second);
  shard.entries.erase(at);
  memory.fetch_sub(kEntryBytes + static_cast<int64_t>(2 * key.size()));
  entities.fetch_sub(1);
}

void EventIndex::State::Evict() {
  size_t fruitless = 0;
  while (memory.load() > budget_bytes && fruitless < kShards) {
    Shard& shard = shards[next_victim.fetch_add(1) % kShards];
    std::string victim;
    {
      MutexLock lock(&shard.mu);
      if (!shard.newest_first.empty()) victim = shard.newest_first.back();
    }
    fruitless = victim.empty() ? fruitless + 1 : 0;
    if (!victim.empty()) Erase(victim, nullptr);
  }
}

void EventIndex::Apply(uint64_t commit_seq, int64_t commit_time,
                       absl::Span<const FactChange> facts) {
  state_->applying_seq.store(commit_seq);
  for (size_t begin = 0, end; begin < facts.size(); begin = end) {
    end = begin + 1;
    while (end < facts.size() && facts[end].view_id == facts[begin].view_id &&
           facts[end].identity->entity_key == facts[begin].identity->entity_key) {
      ++end;
    }
    if (!IsSource(facts[begin].view_id)) continue;
    state_->ApplyRun(commit_seq, commit_time, facts.subspan(begin, end - begin));
  }
  state_->Evict();
}

// Facts of one entity.
void EventIndex::State::ApplyRun(uint64_t commit_seq, int64_t commit_time,
                                 absl::Span<const FactChange> run) {
  const std::string key = EntryKey(run[0].view_id, run[0].identity->entity_key);
  Shard& shard = ShardOf(key);
  std::shared_ptr<Entry> entry;
  {
    MutexLock lock(&shard.mu);
    const auto at = shard.entries.find(key);
    if (at == shard.entries.end()) return;
    entry = at->second;
    if (entry->loading) {
      for (const FactChange& fact : run) {
        entry->pending.push_back(
            {commit_seq, commit_time, *fact.identity, fact.form, std::string(fact.row)});
      }
      return;
    }
  }
  Change(entry, &shard, commit_seq, commit_time, run);
}

// REQUIRES: loaded; the commit thread, which alone changes loaded entries.
void EventIndex::State::Change(const std::shared_ptr<Entry>& entry, Shard* shard,
                               uint64_t commit_seq, int64_t commit_time,
                               absl::Span<const FactChange> run) {
  Version old;
  {
    MutexLock lock(&shard->mu);
    old = entry->current;
  }
  const EventTreeEditor editor(&entry->source->shape, &memory);
  Version changed = old;
  for (const FactChange& fact : run) {
    ApplyChange(*entry->source, editor, commit_seq, *fact.identity, fact.form, fact.row, &changed);
  }
  PruneOld(*entry->source, editor, commit_time, &changed);
  const bool same_group = old.commit_time == commit_time;
  changed.since_seq = same_group ? old.since_seq : commit_seq;
  changed.changed_seq = commit_seq;
  changed.commit_time = commit_time;
  Version freed;  // after the lock
  MutexLock lock(&shard->mu);
  freed = std::move(same_group ? entry->current : entry->previous);
  if (!same_group) {
    entry->previous = std::move(entry->current);
    entry->has_previous = true;
  }
  entry->current = std::move(changed);
}

absl::StatusOr<std::optional<std::string>> EventIndex::Evaluate(const WindowPlan& plan,
                                                                std::string_view entity_key,
                                                                int64_t as_of, uint64_t read_seq,
                                                                size_t row, bool may_block) {
  const ViewId view_id = plan.view().source->schema.view_id;
  const std::string key = EntryKey(view_id, entity_key);
  std::shared_ptr<const Source> source;
  std::optional<Version> version;
  bool missing = false;
  {
    Shard& shard = state_->ShardOf(key);
    MutexLock lock(&shard.mu);
    const auto at = shard.entries.find(key);
    missing = at == shard.entries.end();
    if (!missing && !at->second->loading) {
      Entry& entry = *at->second;
      source = entry.source;
      if (entry.current.changed_seq <= read_seq) {
        version = entry.current;
      } else if (entry.has_previous && entry.previous.changed_seq <= read_seq &&
                 read_seq < entry.current.since_seq) {
        version = entry.previous;
      }
      shard.newest_first.splice(shard.newest_first.begin(), shard.newest_first, entry.place);
    }
  }
  if (missing && may_block) {
    ASSIGN_OR_RETURN(version, state_->Load(view_id, entity_key, as_of, read_seq, &source));
  }
  if (!version.has_value()) return std::nullopt;
  const int64_t after = BoundWindow(as_of, plan.longest_window_micros(), std::nullopt).after.time;
  if (after < version->complete_after) return std::nullopt;
  const std::optional<std::vector<size_t>> slots = MapSlots(plan, *source);
  if (!slots.has_value()) return std::nullopt;
  EventTreeSource windows(plan, *slots, version->tree, as_of);
  AggregateRowBuilder builder(&plan.row_shape());
  RETURN_IF_ERROR(AnswerWindows(plan, row, state_->overflows, &windows, &builder));
  return std::string(builder.Finish());
}

// Puts a loading entry in; nullptr: there is one, or no such source any more. From here on commits
// are remembered for it; all before are in the store and not after *known_at, which is raised.
std::shared_ptr<Entry> EventIndex::State::BeginLoad(const std::string& key, ViewId view_id,
                                                    uint64_t* known_at) {
  const uint64_t seen_generation = generation.load();
  auto entry = std::make_shared<Entry>();
  entry->source = FindSource(view_id);
  if (entry->source == nullptr) return nullptr;
  Shard& shard = ShardOf(key);
  MutexLock lock(&shard.mu);
  // Refresh drops entries after it counts up: one that comes later must be of the new sources.
  if (generation.load() != seen_generation) return nullptr;
  if (!shard.entries.try_emplace(key, entry).second) return nullptr;
  memory.fetch_add(kEntryBytes + static_cast<int64_t>(2 * key.size()));
  entities.fetch_add(1);
  *known_at = std::max(*known_at, applying_seq.load());
  return entry;
}

absl::StatusOr<std::optional<Version>> EventIndex::State::Load(
    ViewId view_id, std::string_view entity_key, int64_t as_of, uint64_t read_seq,
    std::shared_ptr<const Source>* source) {
  int64_t newest = newest_asked.load();
  while (as_of > newest && !newest_asked.compare_exchange_weak(newest, as_of)) continue;
  if (as_of < newest - kSlackMicros) return std::nullopt;  // the past is not worth keeping
  const std::string key = EntryKey(view_id, entity_key);
  uint64_t known_at = read_seq;
  const std::shared_ptr<Entry> entry = BeginLoad(key, view_id, &known_at);
  if (entry == nullptr) return std::nullopt;
  *source = entry->source;
  Version version;
  version.complete_after =
      BoundWindow(as_of - kSlackMicros, entry->source->longest_window_micros, std::nullopt)
          .after.time;
  FactReader reader(store);
  CurrentEvents events(&entry->source->shape);
  const absl::Status read =
      ReadCurrentEvents(&reader, *entry->source->view, entity_key, version.complete_after + 1,
                        limits::kMaxTimeMicros, known_at, Call{}, &events);
  if (!read.ok()) {
    Erase(key, entry.get());
    return read;
  }
  const EventTreeEditor editor(&entry->source->shape, &memory);
  version.tree = editor.Build(events.rows, std::move(events.tombstones));
  version.changed_seq = version.since_seq = known_at;
  Version at_load = version;
  if (static_cast<int64_t>(events.rows.bytes()) > budget_bytes / kLargestPart) {
    Erase(key, entry.get());
  } else {
    FinishLoad(key, entry, std::move(version), known_at);
    Evict();
  }
  // A commit under way may be in what was read.
  if (known_at > read_seq) return std::nullopt;
  return at_load;
}

// Makes up for the commits since `known_at` and opens the entry.
void EventIndex::State::FinishLoad(const std::string& key, const std::shared_ptr<Entry>& entry,
                                   Version version, uint64_t known_at) {
  const EventTreeEditor editor(&entry->source->shape, &memory);
  Shard& shard = ShardOf(key);
  while (true) {
    std::vector<PendingChange> pending;
    {
      MutexLock lock(&shard.mu);
      pending.swap(entry->pending);
      if (pending.empty()) {
        entry->current = std::move(version);
        entry->loading = false;
        const auto at = shard.entries.find(key);
        if (at == shard.entries.end() || at->second != entry) return;
        shard.newest_first.push_front(key);
        entry->place = shard.newest_first.begin();
        return;
      }
    }
    for (const PendingChange& change : pending) {
      if (change.commit_seq <= known_at) continue;
      ApplyChange(*entry->source, editor, change.commit_seq, change.identity, change.form,
                  change.row, &version);
      version.changed_seq = version.since_seq = change.commit_seq;
      version.commit_time = change.commit_time;
    }
  }
}

}  // namespace fletch
