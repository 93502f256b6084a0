// SPDX-License-Identifier: Apache-2.0
#include "server/engine/collections.h"

#include <filesystem>
#include <set>
#include <system_error>

#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"

namespace fletch {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaintenanceIntervalMs = 200;

std::vector<std::pair<std::shared_ptr<const View>, size_t>> SearchableFields(
    const CatalogSnapshot& catalog) {
  std::vector<std::pair<std::shared_ptr<const View>, size_t>> fields;
  for (const std::shared_ptr<const View>& view : catalog.AllViews()) {
    for (size_t field = 0; field < view->schema.fields.size(); ++field) {
      if (view->schema.fields[field].index_metric.has_value()) fields.emplace_back(view, field);
    }
  }
  return fields;
}

}  // namespace

void Collections::StopMaintenance() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  if (!thread_.joinable()) return;
  thread_.join();
  for (const auto& collection : All()) collection->SaveIfCheap();
}

std::shared_ptr<const Collections::Map> Collections::map() const {
  MutexLock lock(&mu_);
  return map_;
}

std::string Collections::FolderOf(ViewId view_id, size_t field) const {
  if (options_.folder.empty()) return "";
  return StrCat(options_.folder, "/", view_id, "-", field);
}

std::shared_ptr<VectorCollection> Collections::Make(const std::shared_ptr<const View>& view,
                                                    size_t field) const {
  return std::make_shared<VectorCollection>(
      view, field, store_,
      CollectionOptions{options_.entities(view->schema.entity_id),
                        FolderOf(view->schema.view_id, field), options_.newest_seq,
                        options_.budget_bytes});
}

void Collections::DeleteOtherFolders(const Map& map) const {
  if (options_.folder.empty()) return;
  std::set<std::string> wanted;
  for (const auto& [key, collection] : map) wanted.insert(FolderOf(key.first, key.second));
  std::error_code error;
  for (fs::directory_iterator it(options_.folder, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code not_deleted;
    if (!wanted.contains(it->path().string())) fs::remove_all(it->path(), not_deleted);
    if (not_deleted) {
      Log(LogLevel::kWarning, "the files of a deleted index were not deleted",
          {{"path", it->path().string()}, {"error", not_deleted.message()}});
    }
  }
}

void Collections::Load(const CatalogSnapshot& catalog) {
  auto loaded = std::make_shared<Map>();
  for (const auto& [view, field] : SearchableFields(catalog)) {
    loaded->emplace(std::make_pair(view->schema.view_id, field), Make(view, field));
  }
  DeleteOtherFolders(*loaded);
  MutexLock lock(&mu_);
  map_ = std::move(loaded);
}

absl::Status Collections::Refresh(const CatalogSnapshot& catalog) {
  const std::shared_ptr<const Map> before = map();
  auto after = std::make_shared<Map>();
  for (const auto& [view, field] : SearchableFields(catalog)) {
    const auto key = std::make_pair(view->schema.view_id, field);
    if (auto found = before->find(key); found != before->end()) {
      found->second->SetParameters(view->schema.fields[field].index);
      after->insert(*found);
      continue;
    }
    std::shared_ptr<VectorCollection> collection = Make(view, field);
    RETURN_IF_ERROR(Fill(*view, collection.get()));
    after->emplace(key, std::move(collection));
  }
  {
    MutexLock lock(&mu_);
    map_ = after;
  }
  for (const auto& [key, collection] : *before) {
    if (!after->contains(key)) collection->Drop();
  }
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

absl::Status Collections::Erase(EntityId entity_id, std::string_view entity_key) {
  absl::Status first_error;
  const std::shared_ptr<const Map> current = map();
  for (const auto& [key, collection] : *current) {
    if (collection->view().schema.entity_id != entity_id) continue;
    first_error.Update(collection->Erase(entity_key));
  }
  return first_error;
}

absl::Status Collections::CheckRoom(ViewId view_id,
                                    absl::Span<const std::string_view> entity_keys) const {
  const std::shared_ptr<const Map> current = map();
  for (auto it = current->lower_bound({view_id, 0});
       it != current->end() && it->first.first == view_id; ++it) {
    RETURN_IF_ERROR(it->second->CheckRoom(entity_keys));
  }
  return absl::OkStatus();
}

bool Collections::IsSearchable(ViewId view_id) const {
  const std::shared_ptr<const Map> current = map();
  const auto first = current->lower_bound({view_id, 0});
  return first != current->end() && first->first.first == view_id;
}

std::shared_ptr<VectorCollection> Collections::Find(ViewId view_id, size_t field) const {
  const std::shared_ptr<const Map> current = map();
  auto found = current->find({view_id, field});
  return found == current->end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<VectorCollection>> Collections::All() const {
  std::vector<std::shared_ptr<VectorCollection>> all;
  const std::shared_ptr<const Map> current = map();
  for (const auto& [key, collection] : *current) all.push_back(collection);
  return all;
}

uint64_t Collections::file_bytes() const {
  uint64_t bytes = 0;
  const std::shared_ptr<const Map> current = map();
  for (const auto& [key, collection] : *current) bytes += collection->file_bytes();
  return bytes;
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
