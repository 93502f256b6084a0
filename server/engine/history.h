// SPDX-License-Identifier: Apache-2.0
// Pages of the facts of one entity or of a whole view.
#ifndef FLETCH_SERVER_ENGINE_HISTORY_H_
#define FLETCH_SERVER_ENGINE_HISTORY_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "server/engine/catalog.h"
#include "server/engine/horizon.h"
#include "server/engine/types.h"
#include "storage/kv_store.h"

namespace fletch {

// The commit a page token was made at, so that all pages are of one K. INVALID_ARGUMENT
// (page_token) when it is not one of ours.
absl::StatusOr<uint64_t> PageTokenSeq(const std::string& page_token);

// One page at `read_seq`. Errors as FactReader; INVALID_ARGUMENT (keys.NAME) for keys that do not
// fit; OUT_OF_RANGE (BEFORE_HORIZON) for a `start` or `read_seq` before the view's history.
absl::StatusOr<HistoryAnswer> ReadHistoryPage(const KvStore& store, const Horizons& horizons,
                                              const View& view, const HistoryRequest& request,
                                              uint64_t read_seq);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_HISTORY_H_
