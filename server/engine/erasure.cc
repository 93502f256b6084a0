// SPDX-License-Identifier: Apache-2.0
#include "server/engine/erasure.h"

#include <limits>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "storage/fact_maintenance.h"
#include "storage/fact_store.h"

namespace fletch {
namespace {

absl::StatusOr<uint64_t> CountFacts(const KvStore* store, const ViewSchema& schema,
                                    const std::string& entity_key) {
  uint64_t facts = 0;
  FactReader reader(store);
  RETURN_IF_ERROR(reader.ReadEntity(
      schema, entity_key, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max(),
      std::numeric_limits<uint64_t>::max(), /*all_forms=*/true, [&facts](const FactRef&) {
        ++facts;
        return absl::OkStatus();
      }));
  return facts;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Erasures>> Erasures::Open(const ErasureTargets& targets) {
  std::unique_ptr<Erasures> erasures(new Erasures(targets));
  ASSIGN_OR_RETURN(erasures->unfinished_, ReadPendingErasures(*targets.store));
  ASSIGN_OR_RETURN(erasures->last_id_, LastErasureId(*targets.store));
  erasures->unfinished_flag_ = !erasures->unfinished_.empty();
  return erasures;
}

absl::StatusOr<v1::EraseResponse> Erasures::Erase(const std::string& project,
                                                  const std::string& entity, EntityId entity_id,
                                                  const std::vector<std::string>& keys,
                                                  const Call& call) {
  v1::EraseResponse response;
  for (const std::string& key : keys) {
    RETURN_IF_ERROR(call.Check());
    PendingErasure pending;
    pending.entity_id = entity_id;
    pending.entity_key = key;
    pending.receipt.set_project(project);
    pending.receipt.set_entity(entity);
    pending.receipt.set_key_hash(to_.hasher->Hash(project, entity, key));
    ASSIGN_OR_RETURN(*response.add_receipts(), EraseOne(std::move(pending)));
  }
  return response;
}

absl::StatusOr<v1::EraseReceipt> Erasures::EraseOne(PendingErasure pending) {
  const Maintenance::Standstill standstill(to_.maintenance);
  absl::Status noted;
  to_.pipeline->RunExclusive([&] { noted = Note(&pending); });
  RETURN_IF_ERROR(noted);
  const auto sets = to_.training_sets->BeginErasure();
  // Spines may be long to read; writes go on meanwhile.
  const absl::Status in_sets = EraseInSets(sets.get(), &pending);
  absl::StatusOr<v1::EraseReceipt> receipt;
  to_.pipeline->RunExclusive([&] {
    if (in_sets.ok()) {
      receipt = Complete(pending);
    } else {
      receipt = in_sets;
    }
    if (receipt.ok()) return;
    unfinished_.push_back(pending);
    unfinished_flag_ = true;
  });
  return receipt;
}

// Makes the intent durable.
absl::Status Erasures::Note(PendingErasure* pending) {
  RETURN_IF_ERROR(FinishUnfinished());
  pending->receipt.set_id(last_id_ + 1);
  KvBatch batch;
  AddPendingErasure(*pending, &batch);
  RETURN_IF_ERROR(to_.store->Write(batch, /*sync=*/true));
  ++last_id_;
  return absl::OkStatus();
}

absl::Status Erasures::EraseInSets(TrainingSetStore::Erasure* sets, PendingErasure* pending) {
  ASSIGN_OR_RETURN(const TrainingSetStore::Erasure::Result result,
                   sets->EraseKeys(pending->entity_id, {&pending->entity_key, 1}));
  if (result.training_sets.empty()) return absl::OkStatus();
  for (const std::string& name : result.training_sets) pending->receipt.add_training_sets(name);
  // They will not be named again when this is made good later.
  KvBatch batch;
  AddPendingErasure(*pending, &batch);
  return to_.store->Write(batch, /*sync=*/true);
}

absl::Status Erasures::FinishUnfinished() {
  while (!unfinished_.empty()) {
    PendingErasure pending = unfinished_.front();
    const auto sets = to_.training_sets->BeginErasure();
    RETURN_IF_ERROR(EraseInSets(sets.get(), &pending));
    RETURN_IF_ERROR(Complete(pending).status());
    Log(LogLevel::kInfo, "finished an erasure that was cut off",
        {{"project", pending.receipt.project()}, {"id", StrCat(pending.receipt.id())}});
    unfinished_.erase(unfinished_.begin());
  }
  unfinished_flag_ = false;
  return absl::OkStatus();
}

std::vector<std::shared_ptr<const View>> Erasures::ViewsOf(EntityId entity_id) const {
  std::vector<std::shared_ptr<const View>> views;
  for (std::shared_ptr<const View>& view : to_.catalog->Snapshot()->AllViews()) {
    if (view->schema.entity_id == entity_id) views.push_back(std::move(view));
  }
  return views;
}

absl::StatusOr<v1::EraseReceipt> Erasures::Complete(const PendingErasure& pending) {
  ASSIGN_OR_RETURN(const std::optional<v1::EraseReceipt> recorded,
                   FindReceipt(*to_.store, pending.receipt.id()));
  if (recorded.has_value()) {
    RETURN_IF_ERROR(EraseFacts(pending));
    return *recorded;
  }
  v1::EraseReceipt receipt = pending.receipt;
  for (const auto& view : ViewsOf(pending.entity_id)) {
    ASSIGN_OR_RETURN(const uint64_t facts, CountFacts(to_.store, view->schema, pending.entity_key));
    if (facts == 0) continue;
    receipt.set_facts(receipt.facts() + facts);
    receipt.add_feature_views(view->schema.versioned_name());
  }
  RETURN_IF_ERROR(
      to_.pipeline
          ->CommitExclusive([&](const WriteReceipt& stamp, KvBatch* batch) -> absl::Status {
            receipt.set_commit_seq(stamp.commit_seq);
            receipt.set_erased_at_micros(stamp.commit_time);
            AddReceipt(receipt, batch);
            RETURN_IF_ERROR(to_.store->Write(*batch, /*sync=*/true));
            return EraseFacts(pending);
          })
          .status());
  return receipt;
}

// Facts first, then what is derived from them: nothing can be read anew from what is gone.
absl::Status Erasures::EraseFacts(const PendingErasure& pending) {
  const std::vector<std::shared_ptr<const View>> views = ViewsOf(pending.entity_id);
  KvBatch batch;
  for (const auto& view : views) {
    RETURN_IF_ERROR(EraseEntity(to_.store, view->schema, pending.entity_key).status());
    batch.Delete(Family::kLatest, LatestKey(view->schema.view_id, pending.entity_key));
  }
  // Index files go while the note is still there: nothing else would say that they hold the key.
  RETURN_IF_ERROR(to_.collections->Erase(pending.entity_id, pending.entity_key));
  RemovePendingErasure(pending.receipt.id(), &batch);
  RETURN_IF_ERROR(to_.store->Write(batch, /*sync=*/true));
  to_.online->Remove(pending.entity_id, pending.entity_key);
  to_.field_indexes->Erase(pending.entity_id, pending.entity_key);
  for (const auto& view : views) {
    if (to_.events->IsSource(view->schema.view_id)) {
      to_.events->Forget(view->schema.view_id, pending.entity_key);
    }
  }
  return absl::OkStatus();
}

}  // namespace fletch
