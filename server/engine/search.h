// SPDX-License-Identifier: Apache-2.0
// A search from request to hydrated hits: the collection finds, the filter decides, the online
// reader hydrates.
#ifndef FLETCH_SERVER_ENGINE_SEARCH_H_
#define FLETCH_SERVER_ENGINE_SEARCH_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "base/call.h"
#include "server/engine/catalog.h"
#include "server/engine/online_reader.h"
#include "server/engine/snapshot.h"
#include "server/engine/types.h"
#include "server/engine/vector_collection.h"

namespace fletch {

// "view:field" -> the view and the number of its field, which must be searchable. NOT_FOUND names
// the view or field; INVALID_ARGUMENT: not a ref, or not a FLOAT_VECTOR with an index. Field path
// "index".
struct IndexedField {
  std::shared_ptr<const View> view;
  size_t field = 0;
};
absl::StatusOr<IndexedField> FindIndexedField(const CatalogSnapshot& catalog,
                                              const std::string& project, const std::string& index);

// What a search works on.
struct SearchContext {
  const CatalogSnapshot* catalog;
  const VectorCollection* collection;  // of the request's index
  ReadSources sources;
  PlanCache* plans;
};

// The answer at (as_of, read_seq). Errors as VectorService.Search; field paths as SearchRequest's.
absl::StatusOr<SearchAnswer> RunSearch(const SearchContext& context, const SearchRequest& request,
                                       int64_t as_of, uint64_t read_seq, const Call& call);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_SEARCH_H_
