// SPDX-License-Identifier: Apache-2.0
// The best hits of each group: best chunk of each document, best three of each shop.
#ifndef FLETCH_SERVER_ENGINE_SEARCH_GROUPS_H_
#define FLETCH_SERVER_ENGINE_SEARCH_GROUPS_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "server/engine/catalog.h"
#include "server/engine/snapshot.h"
#include "server/engine/types.h"
#include "server/engine/vector_collection.h"

namespace fletch {

// What makes two entities of one group. Immutable, thread-safe.
class Grouping {
 public:
  // `searched` is the index's view. NOT_FOUND: no such join key, view or field. INVALID_ARGUMENT: a
  // view of another entity, or a field whose values cannot be told equal (arrays, JSON,
  // FLOAT_VECTOR). Field path "group_by.ref".
  static absl::StatusOr<Grouping> Make(const CatalogSnapshot& catalog, std::string_view project,
                                       const ViewSchema& searched, const GroupBy& group_by);

  size_t size() const { return size_; }
  // Whose field it is; nullptr: a join key.
  const View* view() const { return view_.get(); }
  // Equal of entities of one group. Null, missing and expired values are one group; so are all
  // NaNs, and 0 and -0.
  absl::StatusOr<std::string> GroupOf(std::string_view entity_key, Snapshot* snapshot) const;

 private:
  std::vector<KeyFieldSchema> join_keys_;
  std::shared_ptr<const View> view_;
  size_t field_ = 0;  // of view_, or the join key's number
  size_t size_ = 1;
};

// Takes what `ask` finds in order of nearness and keeps a hit if fewer than `size` kept ones are of
// its group, until there are query.top_k. `ask` answers like VectorCollection::Search; it is asked
// for more and more, at last exactly, so that the answer has fewer than top_k hits only if there
// are no more. Exact where `ask` is. Costs most when there are few groups: then all that passes is
// looked at. The plan is the last answer's, with the vectors visited by all.
absl::StatusOr<VectorAnswer> SearchGroups(
    const VectorQuery& query, size_t size,
    absl::FunctionRef<absl::StatusOr<VectorAnswer>(const VectorQuery&)> ask,
    absl::FunctionRef<absl::StatusOr<std::string>(std::string_view entity_key)> group_of);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_SEARCH_GROUPS_H_
