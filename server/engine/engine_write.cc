// SPDX-License-Identifier: Apache-2.0
// What changes: writes, deletions, retractions, erasures, maintenance on demand.
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "server/engine/engine_parts.h"
#include "server/engine/erasure_ledger.h"
#include "storage/fact_maintenance.h"

namespace fletch {
namespace {

// Beyond every key of a family.
std::string EndOfKeys() { return std::string(16, '\xff'); }

}  // namespace

template <class Request, class Encode>
void Engine::Parts::Submit(Request request, const Call& call, WriteDone done, Encode encode) {
  CommitRequest commit{.write = {},
                       .refusal = {},
                       .sync = request.durability == Durability::kSync,
                       .request_key = {},
                       .payload_hash = request.payload_hash,
                       .call = call,
                       .done = done};
  if (!request.request_id.empty()) {
    commit.request_key = RequestKey(request.project, request.request_id);
  }
  absl::StatusOr<EncodedWrite> write =
      encode(*catalog->Snapshot(), std::move(request), clock->NowMicros());
  if (write.ok()) {
    commit.write = *std::move(write);
  } else if (!commit.request_key.empty()) {
    commit.refusal = write.status();  // the schema may have changed since it was committed
  } else {
    return done(write.status());
  }
  const absl::Status submitted = pipeline->Submit(std::move(commit));
  if (!submitted.ok()) done(submitted);
}

void Engine::Write(WriteRequest request, const Call& call, WriteDone done) {
  parts_->Submit(std::move(request), call, std::move(done), EncodeWrite);
}

void Engine::WriteKeyed(KeyedRequest request, FactForm form, const Call& call, WriteDone done) {
  parts_->Submit(std::move(request), call, std::move(done),
                 [form](const CatalogSnapshot& catalog, KeyedRequest keyed, int64_t now) {
                   return EncodeKeyed(catalog, std::move(keyed), form, now);
                 });
}

void Engine::DeleteRows(KeyedRequest request, const Call& call, WriteDone done) {
  WriteKeyed(std::move(request), FactForm::kTombstone, call, std::move(done));
}

void Engine::Retract(KeyedRequest request, const Call& call, WriteDone done) {
  WriteKeyed(std::move(request), FactForm::kRetraction, call, std::move(done));
}

absl::StatusOr<v1::EraseResponse> Engine::Erase(EraseRequest request, const Call& call) {
  const std::string project = request.project, entity = request.entity;
  auto catalog = parts_->catalog->Snapshot();
  RETURN_IF_ERROR(catalog->CheckProject(project));
  const auto found = catalog->FindEntity(project, entity);
  if (!found.ok()) return PrefixField(found.status(), "entity");
  ASSIGN_OR_RETURN(const std::vector<std::string> keys,
                   EncodeEntityKeys(found->second, std::move(request)));
  return parts_->erasures->Erase(project, entity, found->first, keys, call);
}

absl::StatusOr<v1::ListErasuresResponse> Engine::ListErasures(
    const v1::ListErasuresRequest& request) const {
  const size_t page_size =
      request.page_size() == 0 ? limits::kDefaultErasuresPageSize : request.page_size();
  return ListReceipts(*parts_->store, request.project(), page_size, request.page_token());
}

absl::StatusOr<v1::CompactResponse> Engine::Compact(const v1::CompactRequest& request,
                                                    const Call& call) {
  const std::string& project = request.project();
  auto catalog = parts_->catalog->Snapshot();
  if (!project.empty()) RETURN_IF_ERROR(catalog->CheckProject(project));
  v1::CompactResponse response;
  response.set_disk_bytes_before(parts_->store->DiskBytes());
  ASSIGN_OR_RETURN(const Maintenance::Done done, parts_->maintenance->RunNow(project, call));
  std::vector<KeyRange> ranges;
  // Whole views and families only: the store's log names the bounds.
  for (const auto& view : catalog->AllViews()) {
    if (project.empty() || view->schema.project != project) continue;
    for (KeyRange& range : ViewRanges(view->schema)) ranges.push_back(std::move(range));
  }
  for (int family = 0; family < kFamilyCount; ++family) {
    const bool of_views = static_cast<Family>(family) == Family::kFacts ||
                          static_cast<Family>(family) == Family::kLatest ||
                          static_cast<Family>(family) == Family::kBlocks;
    if (project.empty() || !of_views) {
      ranges.push_back({static_cast<Family>(family), "", EndOfKeys()});
    }
  }
  RETURN_IF_ERROR(call.Check());
  RETURN_IF_ERROR(parts_->store->Compact(ranges));
  response.set_facts_folded(done.facts_folded);
  response.set_facts_dropped(done.facts_dropped);
  response.set_disk_bytes_after(parts_->store->DiskBytes());
  return response;
}

}  // namespace fletch
