// SPDX-License-Identifier: Apache-2.0
// The latest vectors of one FLOAT_VECTOR field: entities and time over a VectorIndex's row numbers.
#ifndef FLETCH_SERVER_ENGINE_VECTOR_COLLECTION_H_
#define FLETCH_SERVER_ENGINE_VECTOR_COLLECTION_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/call.h"
#include "server/engine/catalog.h"
#include "server/engine/dictionary.h"
#include "server/engine/index_description.h"
#include "storage/fact_store.h"

namespace fletch {

class EntityFilter;

struct VectorHit {
  std::string entity_key;  // encoded
  float score = 0;
  int64_t event_time = 0;
};

struct VectorQuery {
  std::vector<float> vector;
  size_t top_k = 10;
  bool exact = false;
  size_t ef = 0;                        // 0: chosen from target_recall
  double target_recall = 0;             // 0: as chosen when the graph was built
  size_t rescore = 0;                   // 0: chosen by the index
  std::optional<float> threshold = {};  // only hits at least this near
  int64_t as_of = 0;
  uint64_t read_seq = 0;
  bool brief = false;   // made only if memory answers it in about half a millisecond
  std::string exclude;  // encoded key never to return; empty: none
  // Whether an entity passes the request's filter at (as_of, read_seq). Null: all do. Costs about 1
  // µs a call.
  std::function<absl::StatusOr<bool>(std::string_view entity_key)> passes;
  // The same filter by ordinal, much faster where indexed fields decide. Null: `passes` alone.
  EntityFilter* filter = nullptr;
};

struct VectorAnswer {
  std::vector<VectorHit> hits;  // best first, ties by entity key
  bool too_long = false;        // no search was made, as it would not have been brief
  std::string strategy;         // as SearchPlan.strategy
  double selectivity = 1;
  uint64_t visited = 0;
  uint64_t segments = 0;
  uint64_t buffered = 0;
  uint64_t ef = 0;                        // 0: no graph was walked
  uint64_t rescored = 0;                  // candidates compared again at full precision
  std::string reason;                     // why this strategy, for people
  std::vector<std::string> indexed_refs;  // of the filter; set by those who made it
};

struct CollectionOptions {
  // The entity's keys; null: a dictionary of its own. The commit thread alone adds to it.
  std::shared_ptr<EntityDictionary> entities = nullptr;
  // Of this collection alone, for its rows and its index file. Empty: all is in memory.
  std::string folder = {};
  // The newest commit that is stored: an index file that knows of later ones is not believed.
  uint64_t newest_seq = std::numeric_limits<uint64_t>::max();
  uint64_t budget_bytes = 4ull << 30;  // see CheckRoom
};

// One thread applies (the commit thread); any number search; one background worker calls Maintain.
//
// What a search at (T, S) sees equals a brute force over visible(view, e, T, S) for every entity e.
// It is answered from memory when it can be: T is not before the newest event time of any row taken
// in, and S is not before the state the rows were last rebuilt from; rows superseded after S are
// still seen by it, those written after S are not. Entities whose latest fact lies in the future
// (of the moment it was applied) are asked of the facts one by one until Maintain takes them in.
// Every other (T, S) is a scan of the view's facts (strategy "as_of_scan"; OUT_OF_RANGE beyond
// limits::kMaxAsOfScanRows, naming it).
//
// There is one graph, made larger as vectors come and anew when many of its rows are dead. With a
// folder it is saved: after a restart it needs only what was applied since.
class VectorCollection {
 public:
  // `field` indexes view->schema.fields, a FLOAT_VECTOR with index_metric. `store` outlives this.
  // Reads the index file, if there is one: its vectors are seen once the load applied their facts.
  VectorCollection(std::shared_ptr<const View> view, size_t field, const KvStore* store,
                   const CollectionOptions& options = {});
  ~VectorCollection();

  // Loading is over before the first Search or Maintain: from then on an unknown entity is one
  // without facts before. Commit thread, in sequence order, before `seq` is published as applied;
  // and at load. `latest` is the entity's new latest fact with its whole row. `now` is the daemon's
  // clock.
  void Apply(std::string_view entity_key, const Latest& latest, int64_t now);

  // The entity was erased: no search finds it at any (T, S), until it is applied anew, and no index
  // file holds it. Its facts must have left the store. Commit thread. Looks at every row.
  // UNAVAILABLE: the index file could not be deleted; searches do not find it all the same.
  absl::Status Erase(std::string_view entity_key);

  // Whether vectors of these entities may be applied, by the memory that live vectors need:
  // RESOURCE_EXHAUSTED (VECTOR_BUDGET). Commit thread.
  absl::Status CheckRoom(absl::Span<const std::string_view> entity_keys) const;

  // The view changed, compatibly: its index parameters hold from the next graph on, its target
  // recall at once.
  void SetParameters(const IndexParameters& parameters);
  // The field is searchable no more: its files go, now and for ever.
  void Drop();

  // DEADLINE_EXCEEDED, CANCELLED, OUT_OF_RANGE, DATA_LOSS.
  absl::StatusOr<VectorAnswer> Search(const VectorQuery& query, const Call& call) const;

  // Background: takes matured entities in; puts rows into the graph when enough are fresh (>= 2,048
  // and >= 1/256 of all); builds it anew without dead rows when they are more than a quarter, or as
  // requested; saves it. `applied_seq` is the newest published commit. False: nothing to do. Ends
  // early when `cancelled`.
  bool Maintain(int64_t now, uint64_t applied_seq, absl::FunctionRef<bool()> cancelled);
  // Background, at the end: saves what Maintain has not yet, if that is a matter of a second.
  void SaveIfCheap();
  // Makes the next Maintain build the graph anew.
  void RequestRebuild();

  const View& view() const;
  size_t field() const;
  uint64_t live_vectors() const;
  uint64_t graph_vectors() const;
  uint64_t buffered_vectors() const;
  bool building() const;
  uint64_t file_bytes() const;  // of the index file
  // Looks at every row.
  IndexDescription Describe() const;
  // Live vectors of the graph that no walk reaches; follows every link.
  uint64_t Reachability() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_VECTOR_COLLECTION_H_
