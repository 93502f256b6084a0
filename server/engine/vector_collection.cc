// SPDX-License-Identifier: Apache-2.0
#include "server/engine/vector_collection.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/strings.h"
#include "index/top_k.h"
#include "server/engine/vector_generation.h"

namespace fletch {
namespace {

constexpr uint64_t kMinGraphRows = 2048;  // fewer are compared faster than a graph is walked
constexpr uint64_t kMinDeadRows = 128;    // fewer are not worth a rebuild
constexpr size_t kSelectivitySamples = 256;
constexpr size_t kRowsPerCheck = 1024;
// Requests read the clock before they search. What matures or expires is given this long, so that
// those on their way need no scan.
constexpr int64_t kGraceMicros = 1'000'000;
constexpr int64_t kExpiryScanMicros = 60'000'000;
constexpr int64_t kBeginningOfTime = std::numeric_limits<int64_t>::min();

using VectorTopK = TopK<VectorHit>;

bool KeyBefore(const VectorHit& a, const VectorHit& b) { return a.entity_key < b.entity_key; }

// The state one search sees; its rows and futures never change under it but for their ends.
struct Sight {
  std::shared_ptr<const VectorGeneration> generation;
  uint32_t row_count = 0;
  uint32_t future_count = 0;
  uint64_t version = 0;
  int64_t newest_event_time = kBeginningOfTime;  // that a reader at its S can have met
};

bool Expired(int64_t event_time, int64_t ttl, int64_t as_of) {
  return ttl > 0 && as_of - event_time > ttl;
}

// Whether rows are hits, each asked of the filter once.
class RowGate {
 public:
  RowGate(const VectorQuery& query, const Sight& sight, int64_t ttl)
      : query_(query), sight_(sight), ttl_(ttl) {}

  bool Visible(RowId number) const {
    if (number >= sight_.row_count) return false;
    const VectorRow& row = sight_.generation->row(number);
    return row.born_seq <= query_.read_seq && query_.read_seq < row.died_seq.load() &&
           !Expired(row.event_time, ttl_, query_.as_of);
  }
  bool Accepts(RowId number) {
    if (!Visible(number)) return false;
    const std::string& key = sight_.generation->row(number).entity_key;
    if (!query_.exclude.empty() && key == query_.exclude) return false;
    return !query_.passes || Passes(number, key);
  }
  // The first error of the filter; from then on nothing passes.
  const absl::Status& error() const { return error_; }

  // Share of the visible rows that pass, from rows spread over all.
  double Selectivity() {
    size_t seen = 0;
    size_t passed = 0;
    for (uint64_t i = 0; i < 4 * kSelectivitySamples && seen < kSelectivitySamples; ++i) {
      // Multiples of the golden ratio: evenly spread, in step with no pattern of the data.
      const uint64_t spread = (i * 0x9E3779B97F4A7C15u) >> 32;
      const auto number = static_cast<RowId>((spread * sight_.row_count) >> 32);
      if (!Visible(number)) continue;
      ++seen;
      passed += Passes(number, sight_.generation->row(number).entity_key) ? 1 : 0;
    }
    return seen == 0 ? 1 : static_cast<double>(passed) / static_cast<double>(seen);
  }

 private:
  bool Passes(RowId number, const std::string& key) {
    if (!error_.ok()) return false;
    const auto known = known_.find(number);
    if (known != known_.end()) return known->second;
    absl::StatusOr<bool> passes = query_.passes(key);
    if (!passes.ok()) {
      error_ = passes.status();
      return false;
    }
    known_.emplace(number, *passes);
    return *passes;
  }

  const VectorQuery& query_;
  const Sight& sight_;
  const int64_t ttl_;
  absl::Status error_;
  std::unordered_map<RowId, bool> known_;
};

}  // namespace

struct VectorCollection::State {
  State(std::shared_ptr<const View> v, size_t f, const KvStore* s)
      : view(std::move(v)),
        field(f),
        store(s),
        metric(static_cast<VectorMetric>(*view->schema.fields[f].index_metric)),
        dimension(view->schema.fields[f].type.dimension),
        ttl(view->schema.ttl_micros),
        generation(std::make_shared<VectorGeneration>(metric, dimension, 0, kBeginningOfTime)) {}

  absl::StatusOr<std::vector<float>> VectorOf(std::string_view row) const {
    ASSIGN_OR_RETURN(const RowView parsed, RowView::Parse(&view->layout, row));
    return parsed.GetVector(field);
  }
  Sight Look(uint64_t read_seq) const {
    MutexLock lock(&sight_mu);
    return {generation, row_count, future_count, version, newest.At(read_seq)};
  }
  // Writer: lets new searches see what the generation holds now.
  void Publish() ABSL_EXCLUSIVE_LOCKS_REQUIRED(sight_mu) {
    row_count = static_cast<uint32_t>(generation->index().row_count());
    future_count = generation->future_count();
  }
  absl::StatusOr<VectorAnswer> SearchFacts(const VectorQuery& query, const Call& call) const;
  absl::StatusOr<VectorAnswer> SearchMemory(const VectorQuery& query, const Sight& sight,
                                            const Call& call) const;
  absl::Status AddFutures(const VectorQuery& query, const Sight& sight, const Call& call,
                          VectorTopK* best, VectorAnswer* answer) const;
  absl::StatusOr<IndexAnswer> SearchRows(const VectorQuery& query, const Sight& sight,
                                         const Call& call, bool exact, RowGate* gate,
                                         VectorAnswer* answer) const;
  absl::Status AddFact(const VectorQuery& query, const FactRef& fact, const Scorer& scorer,
                       VectorTopK* best, VectorAnswer* answer) const;
  bool Mature(int64_t now);
  bool WantsRebuild(uint64_t base_seq, int64_t expired) ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu);
  bool Rebuild(uint64_t base_seq, int64_t base_time, uint64_t applied_seq,
               absl::FunctionRef<bool()> cancelled);
  bool BuildGraph(VectorGeneration* target, uint64_t applied_seq,
                  absl::FunctionRef<bool()> cancelled);

  const std::shared_ptr<const View> view;
  const size_t field;
  const KvStore* const store;
  const VectorMetric metric;
  const size_t dimension;
  const int64_t ttl;

  // Until the first search or maintenance, what is applied may be a load: then memory knows nothing
  // of before it.
  mutable std::atomic<bool> loading{true};
  std::atomic<uint64_t> load_base_seq{0};
  std::atomic<bool> building{false};

  Mutex write_mu;  // whoever changes the generation, or which one it is
  // What a search begins with; held for a few copies only. Taken after write_mu.
  mutable Mutex sight_mu;
  std::shared_ptr<VectorGeneration> generation ABSL_GUARDED_BY(sight_mu);
  uint32_t row_count ABSL_GUARDED_BY(sight_mu) = 0;
  uint32_t future_count ABSL_GUARDED_BY(sight_mu) = 0;
  uint64_t version ABSL_GUARDED_BY(sight_mu) = 0;
  NewestEventTimes newest ABSL_GUARDED_BY(sight_mu);

  // The maintenance's own.
  uint64_t previous_applied_seq = 0;
  int64_t next_expiry_scan = kBeginningOfTime;

  std::shared_ptr<VectorGeneration> Generation() const {
    MutexLock lock(&sight_mu);
    return generation;
  }
};

VectorCollection::VectorCollection(std::shared_ptr<const View> view, size_t field,
                                   const KvStore* store)
    : state_(std::make_unique<State>(std::move(view), field, store)) {}

VectorCollection::~VectorCollection() = default;

const View& VectorCollection::view() const { return *state_->view; }
size_t VectorCollection::field() const { return state_->field; }
uint64_t VectorCollection::live_vectors() const { return state_->Generation()->live_rows(); }
uint64_t VectorCollection::graph_vectors() const {
  return state_->Generation()->index().graph_rows();
}
uint64_t VectorCollection::buffered_vectors() const {
  return state_->Generation()->index().buffered_rows();
}
bool VectorCollection::building() const { return state_->building.load(); }

void VectorCollection::Apply(std::string_view entity_key, const Latest& latest, int64_t now) {
  State& s = *state_;
  std::vector<float> vector;
  bool readable = true;
  if (latest.state == Latest::State::kRow) {
    absl::StatusOr<std::vector<float>> found = s.VectorOf(latest.row);
    readable = found.ok();
    if (readable) vector = *std::move(found);
  }
  MutexLock write(&s.write_mu);
  const std::shared_ptr<VectorGeneration> generation = s.Generation();
  const bool loading = s.loading.load();
  if (loading && latest.changed_seq > s.load_base_seq.load())
    s.load_base_seq.store(latest.changed_seq);
  generation->End(entity_key, latest.changed_seq);
  // An unreadable row is left to the facts for ever: they say what is wrong with it.
  const int64_t event_time = readable ? latest.event_time : std::numeric_limits<int64_t>::max();
  const bool is_future = latest.state != Latest::State::kAbsent && event_time > now;
  if (is_future) {
    generation->AddFuture(entity_key, event_time, latest.changed_seq, std::move(vector));
  } else if (!vector.empty()) {
    generation->AddRow(entity_key, event_time, latest.changed_seq, vector);
  }
  MutexLock sight(&s.sight_mu);
  if (!is_future && latest.state != Latest::State::kAbsent) {
    if (loading) {
      s.newest.AddForAll(event_time);
    } else {
      s.newest.Add(latest.changed_seq, event_time);
    }
  }
  s.Publish();
}

void VectorCollection::Erase(std::string_view entity_key) {
  MutexLock write(&state_->write_mu);
  state_->Generation()->Erase(entity_key);
}

absl::StatusOr<VectorAnswer> VectorCollection::Search(const VectorQuery& query,
                                                      const Call& call) const {
  RETURN_IF_ERROR(call.Check());
  const State& s = *state_;
  s.loading.store(false);
  const Sight sight = s.Look(query.read_seq);
  const bool in_memory =
      query.as_of >= sight.newest_event_time && query.as_of >= sight.generation->base_time &&
      query.read_seq >= sight.generation->base_seq && query.read_seq >= s.load_base_seq.load();
  return in_memory ? s.SearchMemory(query, sight, call) : s.SearchFacts(query, call);
}

// Offers the row of a fact that is visible, if it has a vector that may be a hit.
absl::Status VectorCollection::State::AddFact(const VectorQuery& query, const FactRef& fact,
                                              const Scorer& scorer, VectorTopK* best,
                                              VectorAnswer* answer) const {
  if (fact.form != FactForm::kRow || Expired(fact.event_time, ttl, query.as_of)) {
    return absl::OkStatus();
  }
  if (!query.exclude.empty() && fact.entity_key == query.exclude) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<float> vector, VectorOf(fact.row));
  if (vector.empty()) return absl::OkStatus();
  ++answer->visited;
  VectorHit hit{std::string(fact.entity_key),
                scorer.Score(vector.data(), Scorer::Norm(metric, vector)), fact.event_time};
  if (!best->WouldEnter(hit)) return absl::OkStatus();
  if (query.passes) {
    ASSIGN_OR_RETURN(const bool passes, query.passes(hit.entity_key));
    if (!passes) return absl::OkStatus();
  }
  best->Add(std::move(hit));
  return absl::OkStatus();
}

absl::StatusOr<VectorAnswer> VectorCollection::State::SearchFacts(const VectorQuery& query,
                                                                  const Call& call) const {
  VectorAnswer answer;
  answer.strategy = "as_of_scan";
  // The share that passes is counted over the vectors that the filter is asked about: those near
  // enough to be hits.
  uint64_t asked = 0;
  uint64_t passed = 0;
  VectorQuery counted = query;
  if (query.passes) {
    counted.passes = [&](std::string_view entity_key) -> absl::StatusOr<bool> {
      ASSIGN_OR_RETURN(const bool passes, query.passes(entity_key));
      ++asked;
      passed += passes ? 1 : 0;
      return passes;
    };
  }
  const Scorer scorer(metric, query.vector);
  VectorTopK best(metric, query.top_k, KeyBefore);
  size_t facts = 0;
  FactReader reader(store);
  RETURN_IF_ERROR(reader.ScanVisible(
      view->schema, query.as_of, query.read_seq, [&](const FactRef& fact) -> absl::Status {
        if (++facts > limits::kMaxAsOfScanRows) {
          return OutOfRange(
              StrCat("a search at this as_of or known_at must read every vector of ",
                     view->schema.versioned_name(), ", and there are more than ",
                     limits::kMaxAsOfScanRows, "; search at the newest state instead"),
              "as_of");
        }
        if (facts % kRowsPerCheck == 0) RETURN_IF_ERROR(call.Check());
        return AddFact(counted, fact, scorer, &best, &answer);
      }));
  answer.hits = best.Take();
  if (asked > 0) answer.selectivity = static_cast<double>(passed) / static_cast<double>(asked);
  return answer;
}

absl::Status VectorCollection::State::AddFutures(const VectorQuery& query, const Sight& sight,
                                                 const Call& call, VectorTopK* best,
                                                 VectorAnswer* answer) const {
  std::optional<FactReader> reader;
  const Scorer scorer(metric, query.vector);
  for (uint32_t i = 0; i < sight.future_count; ++i) {
    if (i % kRowsPerCheck == 0) RETURN_IF_ERROR(call.Check());
    const FutureFact& future = sight.generation->future(i);
    const uint64_t matured = future.matured_version.load();
    if (query.read_seq < future.since_seq || query.read_seq >= future.until_seq.load() ||
        (matured != 0 && matured <= sight.version)) {
      continue;
    }
    if (!reader) reader.emplace(store);
    ASSIGN_OR_RETURN(const Visible visible, reader->FindVisible(view->schema, future.entity_key,
                                                                query.as_of, query.read_seq));
    if (visible) RETURN_IF_ERROR(AddFact(query, *visible, scorer, best, answer));
  }
  return absl::OkStatus();
}

absl::StatusOr<IndexAnswer> VectorCollection::State::SearchRows(const VectorQuery& query,
                                                                const Sight& sight,
                                                                const Call& call, bool exact,
                                                                RowGate* gate,
                                                                VectorAnswer* answer) const {
  const VectorGeneration& rows = *sight.generation;
  const auto accept = [gate](RowId row) { return gate->Accepts(row); };
  const auto tie_before = [&rows](RowId a, RowId b) {
    return rows.row(a).entity_key < rows.row(b).entity_key;
  };
  const auto check = [&] { return gate->error().ok() ? call.Check() : gate->error(); };
  absl::StatusOr<IndexAnswer> found =
      rows.index().Search({.vector = query.vector,
                           .top_k = query.top_k,
                           .ef = query.ef,
                           .exact = exact,
                           .accept = accept,
                           .accept_is_dear = query.passes != nullptr,
                           .tie_before = tie_before,
                           .selectivity = answer->selectivity,
                           .check = check});
  // The index asks for errors now and then only.
  if (!gate->error().ok()) return gate->error();
  if (found.ok()) answer->visited += found->visited;
  return found;
}

absl::StatusOr<VectorAnswer> VectorCollection::State::SearchMemory(const VectorQuery& query,
                                                                   const Sight& sight,
                                                                   const Call& call) const {
  VectorAnswer answer;
  VectorTopK best(metric, query.top_k, KeyBefore);
  RETURN_IF_ERROR(AddFutures(query, sight, call, &best, &answer));
  RowGate gate(query, sight, ttl);
  if (query.passes) answer.selectivity = gate.Selectivity();
  ASSIGN_OR_RETURN(IndexAnswer found, SearchRows(query, sight, call, query.exact, &gate, &answer));
  if (found.used_graph && query.read_seq < sight.generation->graph_base_seq()) {
    // The graph was made while this search was on its way, without rows that it still sees.
    ASSIGN_OR_RETURN(found, SearchRows(query, sight, call, /*exact=*/true, &gate, &answer));
  }
  for (const IndexHit& hit : found.hits) {
    const VectorRow& row = sight.generation->row(hit.row);
    VectorHit with_key{row.entity_key, hit.score, row.event_time};
    if (best.WouldEnter(with_key)) best.Add(std::move(with_key));
  }
  answer.hits = best.Take();
  answer.strategy = found.used_graph ? "graph" : query.passes ? "exact_filtered" : "exact";
  answer.segments = found.segments;
  answer.buffered = found.buffered;
  return answer;
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
  const std::shared_ptr<VectorGeneration> target = Generation();
  uint64_t dead = base_seq > target->base_seq ? target->dead_count() : 0;
  if (ttl > 0 && expired >= next_expiry_scan) {
    next_expiry_scan = expired + kExpiryScanMicros;
    for (RowId row = 0; row < target->index().row_count(); ++row) {
      const VectorRow& r = target->row(row);
      if (r.event_time < expired && r.died_seq.load() == kNever) ++dead;
    }
  }
  return dead >= kMinDeadRows && 2 * dead > target->total_count();
}

bool VectorCollection::State::BuildGraph(VectorGeneration* target, uint64_t applied_seq,
                                         absl::FunctionRef<bool()> cancelled) {
  building.store(true);
  const absl::Status status = target->BuildGraph(applied_seq, cancelled);
  building.store(false);
  if (!status.ok() && !absl::IsCancelled(status)) {
    Log(LogLevel::kWarning, "a vector graph was not built; its rows are compared one by one",
        {{"view", view->schema.versioned_name()},
         {"error", std::string(FromAbsl(status.message()))}});
  }
  return status.ok();
}

bool VectorCollection::State::Rebuild(uint64_t base_seq, int64_t base_time, uint64_t applied_seq,
                                      absl::FunctionRef<bool()> cancelled) {
  const std::shared_ptr<VectorGeneration> old = Generation();
  const int64_t expired = ttl > 0 ? base_time - ttl : kBeginningOfTime;
  const auto fresh = std::make_shared<VectorGeneration>(
      metric, dimension, std::max(base_seq, old->base_seq),
      ttl > 0 ? std::max(base_time, old->base_time) : kBeginningOfTime);
  GenerationCopier copier(old.get(), fresh.get());
  Sight now = Look(0);
  copier.CatchUp(now.row_count, now.future_count, expired);
  if (fresh->live_rows() >= kMinGraphRows && !BuildGraph(fresh.get(), applied_seq, cancelled) &&
      cancelled()) {
    return false;
  }
  // Most of what came meanwhile is copied before the lock.
  now = Look(0);
  copier.CatchUp(now.row_count, now.future_count, expired);
  MutexLock write(&write_mu);
  copier.CatchUp(static_cast<uint32_t>(old->index().row_count()), old->future_count(), expired);
  MutexLock sight(&sight_mu);
  generation = fresh;
  Publish();
  return true;
}

bool VectorCollection::Maintain(int64_t now, uint64_t applied_seq,
                                absl::FunctionRef<bool()> cancelled) {
  State& s = *state_;
  s.loading.store(false);
  const bool matured = s.Mature(now);
  // Dead rows are dropped only if they were dead at the call before: searches that began since then
  // still see theirs.
  const uint64_t base_seq = std::exchange(s.previous_applied_seq, applied_seq);
  const int64_t base_time = now - kExpiryScanMicros;
  bool rebuild = false;
  {
    MutexLock write(&s.write_mu);
    rebuild = s.WantsRebuild(base_seq, base_time - s.ttl);
  }
  if (rebuild) return s.Rebuild(base_seq, base_time, applied_seq, cancelled) || matured;
  const std::shared_ptr<VectorGeneration> generation = s.Generation();
  const uint64_t buffered = generation->index().buffered_rows();
  if (buffered < kMinGraphRows || 10 * buffered < generation->live_rows()) return matured;
  return s.BuildGraph(generation.get(), applied_seq, cancelled) || matured;
}

}  // namespace fletch
