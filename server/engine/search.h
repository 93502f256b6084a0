// SPDX-License-Identifier: Apache-2.0
// A search from request to hydrated hits: the collection finds, the filter decides, the online
// reader hydrates.
#ifndef FLETCH_SERVER_ENGINE_SEARCH_H_
#define FLETCH_SERVER_ENGINE_SEARCH_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "base/call.h"
#include "server/engine/catalog.h"
#include "server/engine/field_indexes.h"
#include "server/engine/online_reader.h"
#include "server/engine/snapshot.h"
#include "server/engine/types.h"
#include "server/engine/vector_collection.h"
#include "server/engine/work_sharing.h"

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
  IndexParameters parameters;          // as the catalog has them now
  FieldIndexes* field_indexes;
  ReadSources sources;
  PlanCache* plans;
};

// The answer at (as_of, read_seq). Errors as VectorService.Search; field paths as SearchRequest's.
// nullopt: it would have to read facts or take long, and `may_block` is false.
absl::StatusOr<std::optional<SearchAnswer>> RunSearch(const SearchContext& context,
                                                      const SearchRequest& request, int64_t as_of,
                                                      uint64_t read_seq, bool may_block,
                                                      const Call& call);

// The error of a batch where it lies in what the queries have in common: then its path is there.
absl::Status WithinCommon(absl::Status status);

// The answers of all queries at (as_of, read_seq), found by several threads and hydrated at once.
// One query that is refused refuses all. Errors as VectorService.BatchSearch; field paths as
// BatchSearchRequest's.
absl::StatusOr<BatchSearchAnswer> RunBatchSearch(const SearchContext& context,
                                                 const BatchSearchRequest& request, int64_t as_of,
                                                 uint64_t read_seq, WorkSharing* workers,
                                                 const Call& call);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_SEARCH_H_
