// SPDX-License-Identifier: Apache-2.0
#include "server/engine/catalog.h"

#include <optional>
#include <utility>

#include "base/status.h"
#include "base/strings.h"
#include "fletch/v1/catalog_record.pb.h"
#include "server/engine/catalog_apply.h"
#include "server/engine/catalog_state.h"
#include "storage/fact_key.h"

namespace fletch {
namespace {

constexpr std::string_view kCatalogKey = "catalog";

class StoredCatalog : public Catalog {
 public:
  StoredCatalog(KvStore* store, CatalogState state)
      : store_(store), state_(std::move(state)), snapshot_(MakeSnapshot(state_)) {}

  std::shared_ptr<const CatalogSnapshot> Snapshot() const override {
    MutexLock lock(&snapshot_mu_);
    return snapshot_;
  }

  absl::StatusOr<v1::ApplyResponse> Apply(const v1::ApplyRequest& request,
                                          const Readers& training_sets) override {
    MutexLock lock(&change_mu_);
    ASSIGN_OR_RETURN(Applied applied, ApplySpecs(state_, request, training_sets));
    if (applied.changed && !request.dry_run())
      RETURN_IF_ERROR(Publish(std::move(applied.state), KvBatch()));
    v1::ApplyResponse response;
    response.mutable_changes()->Assign(applied.changes.begin(), applied.changes.end());
    response.set_revision(state_.revision);
    return response;
  }

  absl::StatusOr<Deleted> Delete(const v1::DeleteObjectRequest& request,
                                 const Readers& training_sets) override {
    MutexLock lock(&change_mu_);
    ASSIGN_OR_RETURN(Removed removed, RemoveObject(state_, request, training_sets));
    KvBatch batch;
    for (const auto& view : removed.views) {
      const ViewId id = view->schema.view_id;
      batch.DeleteRange(Family::kFacts, ViewPrefix(id), ViewPrefixEnd(id));
      batch.DeleteRange(Family::kLatest, ViewPrefix(id), ViewPrefixEnd(id));
    }
    RETURN_IF_ERROR(Publish(std::move(removed.state), std::move(batch)));
    return Deleted{state_.revision, std::move(removed.views)};
  }

 private:
  // Stores `state` together with `batch`, then lets readers see it.
  absl::Status Publish(CatalogState state, KvBatch batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(change_mu_) {
    batch.Put(Family::kMeta, std::string(kCatalogKey), ToRecord(state).SerializeAsString());
    RETURN_IF_ERROR(store_->Write(batch, /*sync=*/true));
    state_ = std::move(state);
    auto snapshot = MakeSnapshot(state_);
    MutexLock lock(&snapshot_mu_);
    snapshot_ = std::move(snapshot);
    return absl::OkStatus();
  }

  KvStore* const store_;
  // Held while a change is checked and stored, so that changes are made one after the other.
  Mutex change_mu_;
  CatalogState state_ ABSL_GUARDED_BY(change_mu_);
  mutable Mutex snapshot_mu_;
  std::shared_ptr<const CatalogSnapshot> snapshot_ ABSL_GUARDED_BY(snapshot_mu_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<Catalog>> Catalog::Open(KvStore* store) {
  ASSIGN_OR_RETURN(const std::optional<std::string> stored, store->Get(Family::kMeta, kCatalogKey));
  CatalogState state;
  if (stored.has_value()) {
    v1::CatalogRecord record;
    if (!record.ParseFromString(*stored))
      return DataLoss("the stored catalog is damaged: it cannot be parsed");
    ASSIGN_OR_RETURN(state, FromRecord(record));
  }
  return std::make_unique<StoredCatalog>(store, std::move(state));
}

}  // namespace fletch
