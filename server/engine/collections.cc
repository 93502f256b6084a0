// SPDX-License-Identifier: Apache-2.0
#include "server/engine/collections.h"

#include "base/status.h"

namespace fletch {
namespace {

constexpr int64_t kMaintenanceIntervalMs = 200;

}  // namespace

void Collections::StopMaintenance() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<const Collections::Map> Collections::map() const {
  MutexLock lock(&mu_);
  return map_;
}

absl::Status Collections::Refresh(const CatalogSnapshot& catalog) {
  const std::shared_ptr<const Map> before = map();
  auto after = std::make_shared<Map>();
  for (const std::shared_ptr<const View>& view : catalog.AllViews()) {
    for (size_t field = 0; field < view->schema.fields.size(); ++field) {
      if (!view->schema.fields[field].index_metric.has_value()) continue;
      const auto key = std::make_pair(view->schema.view_id, field);
      if (auto found = before->find(key); found != before->end()) {
        after->insert(*found);
        continue;
      }
      auto collection = std::make_shared<VectorCollection>(view, field, store_);
      RETURN_IF_ERROR(Fill(*view, collection.get()));
      after->emplace(key, std::move(collection));
    }
  }
  MutexLock lock(&mu_);
  map_ = std::move(after);
  return absl::OkStatus();
}

absl::Status Collections::Fill(const View& view, VectorCollection* collection) const {
  const std::string prefix = ViewPrefix(view.schema.view_id);
  auto it = store_->NewIterator(Family::kLatest);
  for (it->Seek(prefix); it->Valid() && it->key().substr(0, prefix.size()) == prefix; it->Next()) {
    ASSIGN_OR_RETURN(Latest latest, DecodeLatest(it->value()));
    collection->Apply(it->key().substr(prefix.size()), latest, clock_->NowMicros());
  }
  return it->status();
}

void Collections::Apply(const View& view, std::string_view entity_key, const Latest& latest) {
  const std::shared_ptr<const Map> current = map();
  const ViewId id = view.schema.view_id;
  for (auto it = current->lower_bound({id, 0}); it != current->end() && it->first.first == id;
       ++it) {
    it->second->Apply(entity_key, latest, clock_->NowMicros());
  }
}

void Collections::Erase(EntityId entity_id, std::string_view entity_key) {
  for (const auto& [key, collection] : *map()) {
    if (collection->view().schema.entity_id == entity_id) collection->Erase(entity_key);
  }
}

std::shared_ptr<VectorCollection> Collections::Find(ViewId view_id, size_t field) const {
  const std::shared_ptr<const Map> current = map();
  auto found = current->find({view_id, field});
  return found == current->end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<VectorCollection>> Collections::All() const {
  std::vector<std::shared_ptr<VectorCollection>> all;
  for (const auto& [key, collection] : *map()) all.push_back(collection);
  return all;
}

void Collections::StartMaintenance(std::function<uint64_t()> applied_seq) {
  thread_ = std::thread([this, applied_seq = std::move(applied_seq)] { Maintain(applied_seq); });
}

void Collections::Maintain(const std::function<uint64_t()>& applied_seq) {
  while (!stopping_) {
    bool worked = false;
    for (const auto& collection : All()) {
      worked |= collection->Maintain(clock_->NowMicros(), applied_seq(),
                                     [this] { return stopping_.load(); });
    }
    if (worked) continue;
    MutexLock lock(&mu_);
    if (!stopping_) wake_.WaitForMs(&mu_, kMaintenanceIntervalMs);
  }
}

}  // namespace fletch
