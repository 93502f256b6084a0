// SPDX-License-Identifier: Apache-2.0
// How a VectorCollection is searched.
#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/entity_filter.h"
#include "server/engine/vector_collection_state.h"

namespace fletch {
namespace {

constexpr size_t kSelectivitySamples = 256;
constexpr double kBriefNanos = 500'000;  // of a search on a transport thread: others wait there
constexpr size_t kRowsPerCheck = 1024;
constexpr uint64_t kShortList = 32;  // at most one of so many rows: its length says enough
constexpr size_t kRowsAhead = 12;    // whose cache misses overlap

bool KeyBefore(const VectorHit& a, const VectorHit& b) { return a.entity_key < b.entity_key; }

VectorAnswer TooLong() {
  VectorAnswer answer;
  answer.too_long = true;
  return answer;
}

// Whether rows are hits. A dear filter is asked about each once.
class RowGate {
 public:
  RowGate(const VectorQuery& query, const VectorSight& sight, int64_t ttl)
      : query_(query), sight_(sight), rows_(*sight.generation), ttl_(ttl) {
    if (!query.exclude.empty()) excluded_ = rows_.entities().Find(query.exclude);
  }

  bool filtered() const { return query_.filter != nullptr || query_.passes != nullptr; }
  bool is_dear() const {
    return filtered() && (query_.filter == nullptr || !query_.filter->is_cheap());
  }

  bool Visible(RowId row) const {
    return row < sight_.row_count && rows_.SeenAt(row, query_.read_seq) &&
           !(ttl_ > 0 && query_.as_of - rows_.event_time(row) > ttl_);
  }
  bool Accepts(RowId row) {
    if (!Visible(row)) return false;
    if (excluded_.has_value() && rows_.entity(row) == *excluded_) return false;
    return !filtered() || Passes(row);
  }
  // The first error of the filter; from then on nothing passes.
  const absl::Status& error() const {
    return query_.filter != nullptr ? query_.filter->error() : error_;
  }

  // What indexed fields say of the row: false, it is none.
  bool MayAccept(RowId row) {
    if (!is_dear()) return Accepts(row);
    return Visible(row) && (query_.filter == nullptr || query_.filter->MayPass(rows_.entity(row)));
  }
  // Asks the memory for what the above will need: first the row, some rows later its fields.
  void PrefetchRow(RowId row) const {
    if (row < sight_.row_count) rows_.Prefetch(row);
  }
  void PrefetchFields(RowId row) const {
    if (row < sight_.row_count && query_.filter != nullptr) {
      query_.filter->Prefetch(rows_.entity(row));
    }
  }

  // Rows that the filter can list; nullopt: it cannot.
  std::optional<uint64_t> ListCount() const {
    return query_.filter == nullptr ? std::nullopt : query_.filter->ListCount();
  }

  // Share of the visible rows that pass: of a short list its length, else from rows spread over
  // all.
  double Selectivity() {
    if (sight_.row_count == 0) return 1;
    const std::optional<uint64_t> count = ListCount();
    if (count.has_value() && *count * kShortList <= sight_.row_count) {
      return static_cast<double>(*count) / sight_.row_count;
    }
    size_t seen = 0;
    size_t passed = 0;
    for (uint64_t i = 0; i < 4 * kSelectivitySamples && seen < kSelectivitySamples; ++i) {
      PrefetchRow(Spread(i + 2 * kRowsAhead));
      PrefetchFields(Spread(i + kRowsAhead));
      const RowId row = Spread(i);
      if (!Visible(row)) continue;
      ++seen;
      passed += Passes(row) ? 1 : 0;
    }
    if (seen == 0) return 1;
    const double share = static_cast<double>(passed) / static_cast<double>(seen);
    return count.has_value() ? std::min(share, static_cast<double>(*count) / sight_.row_count)
                             : share;
  }

 private:
  // Multiples of the golden ratio: evenly spread over the rows, in step with no pattern of the
  // data.
  RowId Spread(uint64_t i) const {
    return static_cast<RowId>((((i * 0x9E3779B97F4A7C15u) >> 32) * sight_.row_count) >> 32);
  }
  bool Passes(RowId row) {
    if (query_.filter != nullptr && query_.filter->is_cheap()) {
      return query_.filter->Passes(rows_.entity(row));
    }
    if (!error().ok()) return false;
    const auto known = known_.find(row);
    if (known != known_.end()) return known->second;
    const bool passes = Ask(row);
    known_.emplace(row, passes);
    return passes;
  }
  bool Ask(RowId row) {
    if (query_.filter != nullptr) return query_.filter->Passes(rows_.entity(row));
    absl::StatusOr<bool> passes = query_.passes(rows_.entity_key(row));
    if (!passes.ok()) error_ = passes.status();
    return passes.ok() && *passes;
  }

  const VectorQuery& query_;
  const VectorSight& sight_;
  const VectorGeneration& rows_;
  const int64_t ttl_;
  std::optional<Ordinal> excluded_;
  absl::Status error_;
  std::unordered_map<RowId, bool> known_;
};

// One search of the index, and what it needs of its caller.
class RowSearch {
 public:
  RowSearch(const VectorQuery& query, const VectorSight& sight, RowGate* gate, const Call& call)
      : query_(query), rows_(*sight.generation), gate_(gate), call_(call) {}

  absl::StatusOr<IndexAnswer> Run(bool exact, double selectivity, double target_recall) const {
    const auto accept = [this](RowId row) { return gate_->Accepts(row); };
    const auto tie_before = [this](RowId a, RowId b) {
      return rows_.entity_key(a) < rows_.entity_key(b);
    };
    const auto check = [this] { return gate_->error().ok() ? call_.Check() : gate_->error(); };
    const auto list = [this] { return List(); };
    const auto prepare = [this](absl::Span<const RowId> rows) {
      for (const RowId row : rows) gate_->PrefetchRow(row);
      for (const RowId row : rows) gate_->PrefetchFields(row);
    };
    IndexQuery query{.vector = query_.vector,
                     .top_k = query_.top_k,
                     .ef = query_.ef,
                     .target_recall = target_recall,
                     .rescore = query_.rescore,
                     .exact = exact,
                     .threshold = query_.threshold,
                     .accept = accept,
                     .prepare = prepare,
                     .unfiltered = true,
                     .accept_is_dear = gate_->is_dear(),
                     .tie_before = tie_before,
                     .selectivity = selectivity,
                     .most_nanos = query_.brief ? kBriefNanos : 0,
                     .check = check};
    const std::optional<uint64_t> count = gate_->ListCount();
    if (count.has_value()) query.listing.emplace(IndexQuery::Listing{*count, list});
    absl::StatusOr<IndexAnswer> found = rows_.index().Search(query);
    // The index asks for errors now and then only.
    if (!gate_->error().ok()) return gate_->error();
    return found;
  }

 private:
  std::optional<std::vector<RowId>> List() const {
    std::optional<std::vector<RowId>> rows = rows_.RowsOf(query_.filter->List(), query_.read_seq);
    if (!rows.has_value()) return std::nullopt;
    // What they need of memory is asked for ahead, so that the misses overlap; the index then asks
    // about what is in the cache.
    size_t kept = 0;
    for (size_t i = 0; i < rows->size(); ++i) {
      if (i + 2 * kRowsAhead < rows->size()) gate_->PrefetchRow((*rows)[i + 2 * kRowsAhead]);
      if (i + kRowsAhead < rows->size()) gate_->PrefetchFields((*rows)[i + kRowsAhead]);
      if (gate_->MayAccept((*rows)[i])) (*rows)[kept++] = (*rows)[i];
    }
    rows->resize(kept);
    return rows;
  }

  const VectorQuery& query_;
  const VectorGeneration& rows_;
  RowGate* const gate_;
  const Call& call_;
};

}  // namespace

absl::StatusOr<VectorAnswer> VectorCollection::Search(const VectorQuery& query,
                                                      const Call& call) const {
  RETURN_IF_ERROR(call.Check());
  const State& s = *state_;
  s.loading.store(false);
  const EpochDomain::Guard guard(&s.searches);
  const VectorSight sight = s.Look(query.read_seq);
  const bool in_memory =
      query.as_of >= sight.newest_event_time && query.as_of >= sight.generation->base_time &&
      query.read_seq >= sight.generation->base_seq && query.read_seq >= s.load_base_seq.load();
  if (query.brief && (!in_memory || sight.future_count > 0)) return TooLong();
  return in_memory ? s.SearchMemory(query, sight, call) : s.SearchFacts(query, call);
}

// Offers the row of a fact that is visible, if it has a vector that may be a hit.
absl::Status VectorCollection::State::AddFact(const VectorQuery& query, const FactRef& fact,
                                              const Scorer& scorer, VectorTopK* best,
                                              VectorAnswer* answer) const {
  if (fact.form != FactForm::kRow || Expired(fact.event_time, query.as_of)) {
    return absl::OkStatus();
  }
  if (!query.exclude.empty() && fact.entity_key == query.exclude) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<float> vector, VectorOf(fact.row));
  if (vector.empty()) return absl::OkStatus();
  ++answer->visited;
  VectorHit hit{std::string(fact.entity_key),
                scorer.Score(vector.data(), Scorer::Norm(metric, vector)), fact.event_time};
  if (query.threshold.has_value() && Nearer(metric, *query.threshold, hit.score)) {
    return absl::OkStatus();
  }
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
  answer.reason = "as_of or known_at is before what memory holds: the facts are read";
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

absl::Status VectorCollection::State::AddFutures(const VectorQuery& query, const VectorSight& sight,
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
    ASSIGN_OR_RETURN(const Visible visible,
                     reader->FindVisible(view->schema, entities->text(future.entity), query.as_of,
                                         query.read_seq));
    if (visible) RETURN_IF_ERROR(AddFact(query, *visible, scorer, best, answer));
  }
  return absl::OkStatus();
}

absl::StatusOr<VectorAnswer> VectorCollection::State::SearchMemory(const VectorQuery& query,
                                                                   const VectorSight& sight,
                                                                   const Call& call) const {
  VectorAnswer answer;
  VectorTopK best(metric, query.top_k, KeyBefore);
  RETURN_IF_ERROR(AddFutures(query, sight, call, &best, &answer));
  const VectorGeneration& rows = *sight.generation;
  RowGate gate(query, sight, ttl);
  if (query.brief && gate.is_dear()) return TooLong();
  if (gate.filtered()) answer.selectivity = gate.Selectivity();
  // Without a filter, what is refused are rows that ended.
  const double seen =
      static_cast<double>(rows.live_rows()) / std::max<uint32_t>(1, sight.row_count);
  const double share = gate.filtered() ? answer.selectivity : std::min(1.0, seen);
  const double recall = query.target_recall > 0 ? query.target_recall : target_recall.load();
  const RowSearch search(query, sight, &gate, call);
  ASSIGN_OR_RETURN(IndexAnswer found, search.Run(query.exact, share, recall));
  if (found.too_long) return TooLong();
  answer.visited += found.visited;
  if (found.used_graph && query.read_seq < rows.graph_base_seq()) {
    // The graph was made while this search was on its way, without rows that it still sees.
    ASSIGN_OR_RETURN(found, search.Run(/*exact=*/true, share, recall));
    if (found.too_long) return TooLong();
    answer.visited += found.visited;
  }
  for (const IndexHit& hit : found.hits) {
    VectorHit with_key{std::string(rows.entity_key(hit.row)), hit.score, rows.event_time(hit.row)};
    if (best.WouldEnter(with_key)) best.Add(std::move(with_key));
  }
  answer.hits = best.Take();
  answer.strategy = found.used_graph ? "graph" : gate.filtered() ? "exact_filtered" : "exact";
  answer.reason = std::move(found.reason);
  answer.segments = found.segments;
  answer.buffered = found.buffered;
  answer.ef = found.used_graph ? found.ef : 0;
  answer.rescored = found.used_graph ? found.rescored : 0;
  return answer;
}

}  // namespace fletch
