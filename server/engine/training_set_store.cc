// SPDX-License-Identifier: Apache-2.0
#include "server/engine/training_set_store.h"

#include <algorithm>
#include <optional>
#include <set>

#include "absl/container/flat_hash_set.h"
#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/training_set_spine.h"
#include "storage/big_endian.h"
#include "storage/entity_key.h"

namespace fletch {
namespace {

constexpr uint32_t kFormat = 1;
constexpr char kRecord = 'R';
constexpr char kSpine = 'S';

std::string RecordKey(std::string_view project, std::string_view name) {
  return StrCat(std::string(1, kRecord), project, std::string(1, '\0'), name);
}

std::string SpinePrefix(uint64_t id) {
  std::string key(1, kSpine);
  AppendU64(id, &key);
  return key;
}

std::string SpinePrefix(uint64_t id, uint64_t batch) {
  std::string key = SpinePrefix(id);
  AppendU32(static_cast<uint32_t>(batch), &key);
  return key;
}

KeyRange SpineRange(uint64_t id) {
  return {Family::kTrainingSets, SpinePrefix(id), SpinePrefix(id + 1)};
}

void PutSpine(uint64_t id, uint64_t batch, const StoredSpine& spine, KvBatch* out) {
  const std::string bytes = EncodeSpine(spine);
  uint32_t chunk = 0;
  for (size_t at = 0; at < bytes.size(); at += limits::kSpineChunkBytes) {
    std::string key = SpinePrefix(id, batch);
    AppendU32(chunk++, &key);
    out->Put(Family::kTrainingSets, std::move(key), bytes.substr(at, limits::kSpineChunkBytes));
  }
}

absl::StatusOr<StoredSpine> ReadSpine(const KvStore& store, uint64_t id, uint64_t batch) {
  const std::string prefix = SpinePrefix(id, batch);
  std::string bytes;
  auto it = store.NewIterator(Family::kTrainingSets);
  for (it->Seek(prefix); it->Valid() && it->key().substr(0, prefix.size()) == prefix; it->Next()) {
    bytes.append(it->value());
  }
  RETURN_IF_ERROR(it->status());
  return DecodeSpine(bytes);
}

// Rows that hold one of `keys` in one of the roles and are not blank yet, ascending.
std::vector<uint64_t> RowsWith(const v1::TrainingSetRecord& record, EntityId entity_id,
                               const absl::flat_hash_set<std::string>& keys,
                               const StoredSpine& spine) {
  std::set<uint64_t> rows;
  for (const v1::TrainingSetKey& role : record.keys()) {
    if (role.entity_id() != entity_id) continue;
    std::vector<const Column*> columns;
    for (const std::string& name : role.columns()) {
      for (const NamedColumn& key : spine.batch.keys) {
        if (key.name == name) columns.push_back(&key.column);
      }
    }
    std::string key;
    for (size_t row = 0; row < spine.batch.row_count; ++row) {
      key.clear();
      AppendKey(columns, row, &key);
      if (keys.contains(key)) rows.insert(row);
    }
  }
  for (const uint64_t row : spine.erased_rows) rows.erase(row);
  return {rows.begin(), rows.end()};
}

bool HoldsKeysOf(const v1::TrainingSetRecord& record, EntityId entity_id) {
  return std::any_of(record.keys().begin(), record.keys().end(),
                     [&](const v1::TrainingSetKey& role) { return role.entity_id() == entity_id; });
}

absl::Status NoSuchSet(std::string_view project, std::string_view name) {
  return NotFound(StrCat("project \"", project, "\" has no training set \"", name, "\""), "name");
}

absl::Status NameTaken(std::string_view project, std::string_view name) {
  return MakeError(absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS",
                   StrCat("project \"", project, "\" has a training set \"", name,
                          "\" already; choose another name, or delete that one"),
                   "name");
}

absl::Status WriteRecord(KvStore* store, const v1::TrainingSetRecord& record) {
  KvBatch batch;
  batch.Put(Family::kTrainingSets, RecordKey(record.project(), record.name()),
            record.SerializeAsString());
  return store->Write(batch, /*sync=*/true);
}

}  // namespace

// Who holds it may change what is stored of a set; others wait.
class TrainingSetStore::Claim {
 public:
  Claim(TrainingSetStore* sets, Name name) : sets_(sets), name_(std::move(name)) {
    MutexLock lock(&sets_->mu_);
    while (sets_->claimed_.contains(name_)) sets_->released_.Wait(&sets_->mu_);
    sets_->claimed_.insert(name_);
  }
  ~Claim() {
    MutexLock lock(&sets_->mu_);
    sets_->claimed_.erase(name_);
    sets_->released_.NotifyAll();
  }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;

 private:
  TrainingSetStore* const sets_;
  const Name name_;
};

TrainingSetStore::Draft::~Draft() {
  if (finished_) return;
  KvBatch batch;
  const KeyRange range = SpineRange(id_);
  batch.DeleteRange(range.family, range.begin, range.end);
  // When this fails the next Open removes it.
  sets_->store_->Write(batch, /*sync=*/false).IgnoreError();
}

absl::Status TrainingSetStore::Draft::Append(const SpineBatch& spine) {
  if (batch_count_ >= limits::kMaxTrainingSetBatches) {
    return OutOfRange(StrCat("a training set has at most ", limits::kMaxTrainingSetBatches,
                             " batches (max_training_set_batches); send larger ones"));
  }
  KvBatch batch;
  PutSpine(id_, batch_count_, {.batch = spine}, &batch);
  RETURN_IF_ERROR(sets_->store_->Write(batch, /*sync=*/false));
  ++batch_count_;
  return absl::OkStatus();
}

absl::StatusOr<TrainingSetRecordPtr> TrainingSetStore::Draft::Finish(v1::TrainingSetRecord record) {
  record.set_format(kFormat);
  record.set_id(id_);
  record.set_batch_count(batch_count_);
  const Name name{record.project(), record.name()};
  const Claim claim(sets_, name);
  {
    MutexLock lock(&sets_->mu_);
    if (sets_->records_.contains(name)) return NameTaken(name.first, name.second);
    if (sets_->erasures_begun_ != erasures_at_begin_) {
      return MakeError(absl::StatusCode::kAborted, "ERASED_MEANWHILE",
                       "entities were erased while the training set was made; make it again");
    }
  }
  RETURN_IF_ERROR(WriteRecord(sets_->store_, record));
  finished_ = true;
  auto stored = std::make_shared<const v1::TrainingSetRecord>(std::move(record));
  MutexLock lock(&sets_->mu_);
  sets_->records_[name] = stored;
  return stored;
}

TrainingSetStore::Erasure::~Erasure() {
  MutexLock lock(&sets_->mu_);
  ++sets_->erasures_ended_;
}

absl::StatusOr<TrainingSetStore::Erasure::Result> TrainingSetStore::Erasure::EraseKeys(
    EntityId entity_id, absl::Span<const std::string> entity_keys) {
  std::vector<Name> names;
  {
    MutexLock lock(&sets_->mu_);
    for (const auto& [name, record] : sets_->records_) {
      if (HoldsKeysOf(*record, entity_id)) names.push_back(name);
    }
  }
  Result result;
  for (const Name& name : names) {
    const Claim claim(sets_, name);
    const auto record = sets_->Find(name.first, name.second);
    if (!record.ok()) continue;  // deleted meanwhile
    RETURN_IF_ERROR(sets_->EraseInSet(*record, entity_id, entity_keys, &result));
  }
  std::sort(result.training_sets.begin(), result.training_sets.end());
  return result;
}

// The mark is stored before the first row goes: from then on nobody reads the set.
absl::Status TrainingSetStore::EraseInSet(TrainingSetRecordPtr record, EntityId entity_id,
                                          absl::Span<const std::string> entity_keys,
                                          Erasure::Result* result) {
  const absl::flat_hash_set<std::string> keys(entity_keys.begin(), entity_keys.end());
  uint64_t rows_erased = 0;
  const auto store_record = [&]() -> absl::Status {
    auto marked = std::make_shared<v1::TrainingSetRecord>(*record);
    marked->set_erased(true);
    marked->set_erased_rows(record->erased_rows() + rows_erased);
    RETURN_IF_ERROR(WriteRecord(store_, *marked));
    MutexLock lock(&mu_);
    records_[{marked->project(), marked->name()}] = std::move(marked);
    return absl::OkStatus();
  };
  for (uint64_t i = 0; i < record->batch_count(); ++i) {
    ASSIGN_OR_RETURN(StoredSpine spine, ReadSpine(*store_, record->id(), i));
    const std::vector<uint64_t> rows = RowsWith(*record, entity_id, keys, spine);
    if (rows.empty()) continue;
    if (rows_erased == 0) RETURN_IF_ERROR(store_record());
    rows_erased += rows.size();
    BlankRows(rows, &spine);
    KvBatch batch;
    batch.DeleteRange(Family::kTrainingSets, SpinePrefix(record->id(), i),
                      SpinePrefix(record->id(), i + 1));
    PutSpine(record->id(), i, spine, &batch);
    RETURN_IF_ERROR(store_->Write(batch, /*sync=*/false));
  }
  if (rows_erased == 0) return absl::OkStatus();
  RETURN_IF_ERROR(store_record());
  result->training_sets.push_back(record->name());
  result->rows += rows_erased;
  result->ranges.push_back(SpineRange(record->id()));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<TrainingSetStore>> TrainingSetStore::Open(KvStore* store) {
  std::unique_ptr<TrainingSetStore> sets(new TrainingSetStore(store));
  RETURN_IF_ERROR(sets->Load());
  RETURN_IF_ERROR(sets->RemoveLeftovers());
  return sets;
}

absl::Status TrainingSetStore::Load() {
  MutexLock lock(&mu_);
  auto it = store_->NewIterator(Family::kTrainingSets);
  for (it->Seek(std::string(1, kRecord)); it->Valid() && it->key()[0] == kRecord; it->Next()) {
    auto record = std::make_shared<v1::TrainingSetRecord>();
    const std::string_view value = it->value();
    if (!record->ParseFromArray(value.data(), static_cast<int>(value.size())) ||
        RecordKey(record->project(), record->name()) != it->key()) {
      return DataLoss(
          "the record of a training set is damaged; restore the data directory from a backup");
    }
    if (record->format() != kFormat) {
      return DataLoss(StrCat("the training set \"", record->name(), "\" has format ",
                             record->format(), "; this daemon reads ", kFormat,
                             ": start the newer one that wrote it"));
    }
    next_id_ = std::max(next_id_, record->id() + 1);
    records_[{record->project(), record->name()}] = std::move(record);
  }
  return it->status();
}

absl::Status TrainingSetStore::RemoveLeftovers() {
  MutexLock lock(&mu_);
  std::set<uint64_t> finished;
  for (const auto& [name, record] : records_) finished.insert(record->id());
  KvBatch batch;
  auto it = store_->NewIterator(Family::kTrainingSets);
  it->Seek(std::string(1, kSpine));
  while (it->Valid() && it->key()[0] == kSpine) {
    if (it->key().size() != 1 + 8 + 4 + 4) return DataLoss("a key of a training set is damaged");
    const uint64_t id = ReadU64(it->key().data() + 1);
    const KeyRange range = SpineRange(id);
    if (!finished.contains(id)) batch.DeleteRange(range.family, range.begin, range.end);
    next_id_ = std::max(next_id_, id + 1);
    it->Seek(range.end);
  }
  RETURN_IF_ERROR(it->status());
  return batch.empty() ? absl::OkStatus() : store_->Write(batch, /*sync=*/false);
}

absl::StatusOr<std::unique_ptr<TrainingSetStore::Draft>> TrainingSetStore::Begin(
    const std::string& project, const std::string& name) {
  MutexLock lock(&mu_);
  if (records_.contains({project, name})) return NameTaken(project, name);
  if (records_.size() >= limits::kMaxTrainingSets) {
    return OutOfRange(StrCat("there are ", records_.size(),
                             " training sets, as many as there may be (max_training_sets); delete "
                             "some that nobody reads any more"));
  }
  if (erasures_begun_ != erasures_ended_) {
    constexpr int64_t kRetryMs = 1000;
    return WithRetryAfterMs(MakeError(absl::StatusCode::kUnavailable, "ERASURE_UNDER_WAY",
                                      "entities are being erased; begin again when that is done"),
                            kRetryMs);
  }
  return std::unique_ptr<Draft>(new Draft(this, next_id_++, erasures_begun_));
}

std::unique_ptr<TrainingSetStore::Erasure> TrainingSetStore::BeginErasure() {
  MutexLock lock(&mu_);
  ++erasures_begun_;
  // What passed the check before is stored when this returns.
  while (!claimed_.empty()) released_.Wait(&mu_);
  return std::unique_ptr<Erasure>(new Erasure(this));
}

uint64_t TrainingSetStore::ErasureCount(bool* under_way) const {
  MutexLock lock(&mu_);
  if (under_way != nullptr) *under_way = erasures_begun_ != erasures_ended_;
  return erasures_begun_ + erasures_ended_;
}

absl::StatusOr<TrainingSetRecordPtr> TrainingSetStore::Find(std::string_view project,
                                                            std::string_view name) const {
  MutexLock lock(&mu_);
  const auto found = records_.find({std::string(project), std::string(name)});
  if (found == records_.end()) return NoSuchSet(project, name);
  return found->second;
}

std::vector<TrainingSetRecordPtr> TrainingSetStore::List(std::string_view project,
                                                         std::string_view after,
                                                         size_t limit) const {
  std::vector<TrainingSetRecordPtr> records;
  MutexLock lock(&mu_);
  for (auto it = records_.upper_bound({std::string(project), std::string(after)});
       it != records_.end() && it->first.first == project && records.size() < limit; ++it) {
    records.push_back(it->second);
  }
  return records;
}

absl::StatusOr<SpineBatch> TrainingSetStore::ReadBatch(const v1::TrainingSetRecord& record,
                                                       uint64_t batch) const {
  absl::StatusOr<StoredSpine> spine = ReadSpine(*store_, record.id(), batch);
  if (spine.ok()) return std::move(spine->batch);
  ASSIGN_OR_RETURN(TrainingSetRecordPtr now, Find(record.project(), record.name()));
  if (now->id() != record.id()) return NoSuchSet(record.project(), record.name());
  return DataLoss(StrCat("batch ", batch, " of training set \"", record.name(),
                         "\": ", FromAbsl(spine.status().message())));
}

absl::Status TrainingSetStore::Delete(std::string_view project, std::string_view name) {
  const Claim claim(this, {std::string(project), std::string(name)});
  ASSIGN_OR_RETURN(TrainingSetRecordPtr record, Find(project, name));
  KvBatch batch;
  const KeyRange range = SpineRange(record->id());
  batch.Delete(Family::kTrainingSets, RecordKey(project, name));
  batch.DeleteRange(range.family, range.begin, range.end);
  RETURN_IF_ERROR(store_->Write(batch, /*sync=*/true));
  MutexLock lock(&mu_);
  records_.erase({std::string(project), std::string(name)});
  return absl::OkStatus();
}

std::vector<std::string> TrainingSetStore::ReadersOf(std::string_view project,
                                                     std::string_view view_ref) const {
  std::vector<std::string> names;
  for (const TrainingSetRecordPtr& record : List(project, "", SIZE_MAX)) {
    const bool reads = std::any_of(record->views().begin(), record->views().end(),
                                   [&](const v1::TrainingSetView& view) {
                                     return StrCat(view.name(), "@v", view.version()) == view_ref;
                                   });
    if (reads) names.push_back(record->name());
  }
  return names;
}

}  // namespace fletch
