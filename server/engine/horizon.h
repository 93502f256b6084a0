// SPDX-License-Identifier: Apache-2.0
// Where each view's history begins, and when a question lies before it.
#ifndef FLETCH_SERVER_ENGINE_HORIZON_H_
#define FLETCH_SERVER_ENGINE_HORIZON_H_

#include <cstdint>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "storage/kv_store.h"
#include "storage/schema.h"

namespace fletch {

// Where a view's history begins (docs/decisions/0012): a question is answered only when its moment
// is not before `time` and its known_at not before `floor`.
struct Horizon {
  int64_t time = INT64_MIN;
  uint64_t floor = 0;
};

// The horizons of all views. Thread-safe; reading never waits long.
class Horizons {
 public:
  // Reads what is stored.
  static absl::StatusOr<std::unique_ptr<Horizons>> Open(const KvStore* store);

  Horizon Of(ViewId view_id) const;
  // Stored (synced), then seen. Never goes back. Commit thread only.
  absl::Status Raise(KvStore* store, ViewId view_id, const Horizon& horizon);

 private:
  mutable Mutex mu_;
  absl::flat_hash_map<ViewId, Horizon> by_view_ ABSL_GUARDED_BY(mu_);
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_HORIZON_H_
