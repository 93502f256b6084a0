// SPDX-License-Identifier: Apache-2.0
// Where each view's history begins, and when a question lies before it.
#ifndef FLETCH_SERVER_ENGINE_HORIZON_H_
#define FLETCH_SERVER_ENGINE_HORIZON_H_

#include <cstdint>
#include <memory>
#include <string_view>

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

// The horizons of all views. Thread-safe; reading never waits long. A horizon is raised before
// anything behind it is dropped, so an answer is right when the horizon is looked at after its last
// fact was read.
class Horizons {
 public:
  // Reads what is stored. DATA_LOSS when it is damaged.
  static absl::StatusOr<std::unique_ptr<Horizons>> Open(const KvStore* store);

  Horizon Of(ViewId view_id) const;
  // Stored (synced), then seen. Neither bound ever goes back. Commit thread only.
  absl::Status Raise(KvStore* store, ViewId view_id, const Horizon& horizon);
  // Forgets a view that was deleted. Commit thread only.
  absl::Status Drop(KvStore* store, ViewId view_id);

 private:
  mutable Mutex mu_;
  absl::flat_hash_map<ViewId, Horizon> by_view_ ABSL_GUARDED_BY(mu_);
};

// OUT_OF_RANGE (BEFORE_HORIZON), naming the horizon. `what` begins the sentence: "the event
// timestamp of row 3 (2020-01-01T00:00:00Z)".
absl::Status BeforeHorizon(std::string_view what, const ViewSchema& schema, int64_t horizon,
                           std::string_view field);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_HORIZON_H_
