// SPDX-License-Identifier: Apache-2.0
#include "server/engine/field_indexes.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "storage/fact_store.h"

namespace fletch {
namespace {

constexpr int64_t kMaintenanceIntervalMs = 50;
constexpr int64_t kRestPerWork = 9;  // so the thread takes a tenth of a core at most

std::vector<size_t> IndexedFields(const ViewSchema& schema) {
  std::vector<size_t> fields;
  for (size_t i = 0; i < schema.fields.size(); ++i) {
    if (schema.fields[i].indexed) fields.push_back(i);
  }
  return fields;
}

}  // namespace

void FieldIndexes::StopMaintenance() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<const FieldIndexes::Map> FieldIndexes::map() const {
  MutexLock lock(&mu_);
  return map_;
}

std::shared_ptr<EntityDictionary> FieldIndexes::Entities(EntityId entity_id) {
  MutexLock lock(&mu_);
  std::shared_ptr<EntityDictionary>& entities = entities_[entity_id];
  if (entities == nullptr) entities = std::make_shared<EntityDictionary>();
  return entities;
}

absl::Status FieldIndexes::Refresh(const CatalogSnapshot& catalog) {
  const std::shared_ptr<const Map> before = map();
  auto after = std::make_shared<Map>();
  for (const std::shared_ptr<const View>& view : catalog.AllViews()) {
    std::vector<size_t> fields = IndexedFields(view->schema);
    if (fields.empty()) continue;
    const auto found = before->find(view->schema.view_id);
    if (found != before->end() && found->second->fields() == absl::MakeConstSpan(fields)) {
      after->insert(*found);
      continue;
    }
    ASSIGN_OR_RETURN(std::shared_ptr<FieldIndex> index, Make(view, std::move(fields)));
    after->emplace(view->schema.view_id, std::move(index));
  }
  MutexLock lock(&mu_);
  std::erase_if(entities_, [&after](const auto& entry) {
    const bool is_indexed = std::any_of(after->begin(), after->end(), [&entry](const auto& index) {
      return index.second->view()->schema.entity_id == entry.first;
    });
    return !is_indexed &&
           entry.second.use_count() == 1;  // nor has it vectors, or a search under way
  });
  map_ = std::move(after);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<FieldIndex>> FieldIndexes::Make(std::shared_ptr<const View> view,
                                                               std::vector<size_t> fields) {
  auto index = std::make_shared<FieldIndex>(view, std::move(fields));
  RETURN_IF_ERROR(Fill(*view, Entities(view->schema.entity_id).get(), index.get()));
  return index;
}

// A new index in the place of one that keeps too many texts.
void FieldIndexes::Renew(const FieldIndex& stale) {
  const auto fields = stale.fields();
  absl::StatusOr<std::shared_ptr<FieldIndex>> index =
      Make(stale.view(), {fields.begin(), fields.end()});
  if (!index.ok()) {
    Log(LogLevel::kWarning, "a field index was not made anew; it goes on growing",
        {{"view", stale.view()->schema.versioned_name()},
         {"error", std::string(FromAbsl(index.status().message()))}});
    return;
  }
  auto after = std::make_shared<Map>(*map());
  (*after)[stale.view()->schema.view_id] = *std::move(index);
  MutexLock lock(&mu_);
  map_ = std::move(after);
}

absl::Status FieldIndexes::Fill(const View& view, EntityDictionary* entities,
                                FieldIndex* index) const {
  const ViewId view_id = view.schema.view_id;
  if (online_->complete()) {
    const OnlineTable::Reader reader(online_);
    reader.ForEach(view.schema.entity_id, [&](const OnlineRecord& record) {
      OnlineSlot slot;
      if (record.Find(view_id, &slot)) index->Apply(entities->Add(record.entity_key()), slot);
    });
    return absl::OkStatus();
  }
  const std::string prefix = ViewPrefix(view_id);
  auto it = store_->NewIterator(Family::kLatest);
  for (it->Seek(prefix); it->Valid() && it->key().substr(0, prefix.size()) == prefix; it->Next()) {
    ASSIGN_OR_RETURN(const Latest latest, DecodeLatest(it->value()));
    index->Apply(entities->Add(it->key().substr(prefix.size())),
                 OnlineSlot{view_id, latest.state, latest.event_time, latest.commit_seq,
                            latest.changed_seq, latest.row});
  }
  return it->status();
}

void FieldIndexes::Apply(const View& view, std::string_view entity_key, const OnlineSlot& slot) {
  const std::shared_ptr<const Map> current = map();
  const auto found = current->find(view.schema.view_id);
  if (found == current->end()) return;
  found->second->Apply(Entities(view.schema.entity_id)->Add(entity_key), slot);
  if (found->second->is_stale()) Renew(*found->second);
}

void FieldIndexes::Erase(EntityId entity_id, std::string_view entity_key) {
  const std::optional<Ordinal> entity = Entities(entity_id)->Find(entity_key);
  if (!entity.has_value()) return;
  const std::shared_ptr<const Map> current = map();
  for (const auto& [view_id, index] : *current) {
    if (index->view()->schema.entity_id == entity_id) index->Erase(*entity);
  }
}

std::shared_ptr<const FieldIndex> FieldIndexes::Find(ViewId view_id) const {
  const std::shared_ptr<const Map> current = map();
  const auto found = current->find(view_id);
  return found == current->end() ? nullptr : found->second;
}

uint64_t FieldIndexes::bytes() const {
  uint64_t bytes = 0;
  const std::shared_ptr<const Map> current = map();
  for (const auto& [view_id, index] : *current) bytes += index->bytes();
  MutexLock lock(&mu_);
  for (const auto& [entity_id, entities] : entities_) bytes += entities->bytes();
  return bytes;
}

bool FieldIndexes::Maintain() {
  bool worked = false;
  const std::shared_ptr<const Map> current = map();
  for (const auto& [view_id, index] : *current) {
    worked |= index->Maintain(clock_->NowMicros(), [this] { return stopping_.load(); });
  }
  return worked;
}

void FieldIndexes::StartMaintenance() {
  thread_ = std::thread([this] { Run(); });
}

void FieldIndexes::Run() {
  while (!stopping_) {
    const int64_t start = SteadyMicros();
    Maintain();
    const int64_t worked_ms = (SteadyMicros() - start) / 1000;
    MutexLock lock(&mu_);
    if (!stopping_) {
      wake_.WaitForMs(&mu_, std::max(kMaintenanceIntervalMs, kRestPerWork * worked_ms));
    }
  }
}

}  // namespace fletch
