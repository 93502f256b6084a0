// SPDX-License-Identifier: Apache-2.0
// The latest vectors of one FLOAT_VECTOR field: entity keys and time over a VectorIndex's row
// numbers.
#ifndef FLETCH_SERVER_ENGINE_VECTOR_COLLECTION_H_
#define FLETCH_SERVER_ENGINE_VECTOR_COLLECTION_H_

#include <cstdint>
#include <functional>
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
  std::string exclude;  // encoded key never to return; empty: none
  // Whether an entity passes the request's filter at (as_of, read_seq). Null: all do. Costs about 1
  // µs a call.
  std::function<absl::StatusOr<bool>(std::string_view entity_key)> passes;
  // The same filter by ordinal, much faster where indexed fields decide. Null: `passes` alone.
  EntityFilter* filter = nullptr;
};

struct VectorAnswer {
  std::vector<VectorHit> hits;  // best first, ties by entity key
  std::string strategy;         // as SearchPlan.strategy
  double selectivity = 1;
  uint64_t visited = 0;
  uint64_t segments = 0;
  uint64_t buffered = 0;
  uint64_t ef = 0;        // 0: no graph was walked
  uint64_t rescored = 0;  // candidates compared again at full precision
  std::string reason;     // why this strategy, for people
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
class VectorCollection {
 public:
  // `field` indexes view->schema.fields, a FLOAT_VECTOR with index_metric. `store` outlives this.
  VectorCollection(std::shared_ptr<const View> view, size_t field, const KvStore* store);
  ~VectorCollection();

  // Loading is over before the first Search or Maintain: from then on an unknown entity is one
  // without facts before. Commit thread, in sequence order, before `seq` is published as applied;
  // and at load. `latest` is the entity's new latest fact with its whole row. `now` is the daemon's
  // clock.
  void Apply(std::string_view entity_key, const Latest& latest, int64_t now);

  // The entity was erased: no search finds it at any (T, S), until it is applied anew. Its facts
  // must have left the store. Commit thread. Looks at every row.
  void Erase(std::string_view entity_key);

  // DEADLINE_EXCEEDED, CANCELLED, OUT_OF_RANGE, DATA_LOSS.
  absl::StatusOr<VectorAnswer> Search(const VectorQuery& query, const Call& call) const;

  // Background: takes matured entities in, builds a graph when enough rows are fresh (>= 2,048 and
  // >= 10 % of the live ones), rebuilds without dead rows when they are more than half.
  // `applied_seq` is the newest published commit. False: nothing to do. Ends early when
  // `cancelled`.
  bool Maintain(int64_t now, uint64_t applied_seq, absl::FunctionRef<bool()> cancelled);

  const View& view() const;
  size_t field() const;
  uint64_t live_vectors() const;
  uint64_t graph_vectors() const;
  uint64_t buffered_vectors() const;
  bool building() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_VECTOR_COLLECTION_H_
