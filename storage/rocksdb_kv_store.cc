// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb_kv_store.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/perf_level.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/table_properties_collectors.h>

#include <array>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/strings.h"

namespace fletch {
namespace {

namespace fs = std::filesystem;

constexpr size_t kProtectionBytesPerKey = 8;  // the only other choice of this release is none
constexpr int64_t kDiskFullRetryMs = 1000;    // somebody has to free space first
constexpr double kBloomBitsPerKey = 10;       // 1 % false positives
// A training join seeks once a row and view, in every sorted run that there is. Both were measured
// to take up to a third off its CPU together; what they cost writes was within the noise, some per
// cent.
constexpr int kFactRunsBeforeMerge = 2;
constexpr size_t kFactBlockBytes = 16 << 10;
// Of the block cache, that families may fill in a sweep. Larger ones would push everything out, and
// each block's place in the cache costs a third of reading it.
constexpr double kSweepCacheShare = 0.5;

// A fold deletes whole entities' rows; whoever seeks there reads over their marks until a
// compaction takes them out, at about 50 ns each. So tables full of marks are compacted soon.
constexpr size_t kDeletionWindow = 1024;
constexpr size_t kDeletionsInWindow = 512;
constexpr uint64_t kMaxManifestBytes = 1;  // each change writes it anew: see RenewManifest

// Stored in every data directory: never change. RocksDB wants a family called "default".
const char* FamilyName(Family family) {
  switch (family) {
    case Family::kMeta:
      return "default";
    case Family::kFacts:
      return "facts";
    case Family::kLatest:
      return "latest";
    case Family::kRequests:
      return "requests";
    case Family::kCommits:
      return "commits";
    case Family::kBlocks:
      return "blocks";
    case Family::kTrainingSets:
      return "training_sets";
  }
  return "default";
}

rocksdb::Slice ToSlice(std::string_view text) { return {text.data(), text.size()}; }
std::string_view FromSlice(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

absl::Status DiskFull(const std::string& path, std::string_view detail) {
  return WithRetryAfterMs(
      MakeError(
          absl::StatusCode::kResourceExhausted, "DISK_FULL",
          StrCat("the disk that holds ", path,
                 " is full: reads go on, writes are refused until space is freed (", detail, ")")),
      kDiskFullRetryMs);
}

bool IsDiskFull(const rocksdb::Status& status) {
  return status.IsNoSpace() || status.subcode() == rocksdb::Status::kSpaceLimit;
}

absl::Status Damaged(const std::string& path, std::string_view what) {
  return DataLoss(StrCat("the store at ", path, " is damaged: ", what,
                         "; restore it from a backup, or from a replica of this folder"));
}

absl::Status ReadError(const std::string& path, const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  if (status.IsCorruption()) return Damaged(path, status.ToString());
  return MakeError(absl::StatusCode::kUnavailable, "STORE_IO_ERROR",
                   StrCat("the store at ", path, " could not be read: ", status.ToString()));
}

absl::Status ReadOnly(const std::string& path, std::string_view detail) {
  return MakeError(absl::StatusCode::kUnavailable, "STORE_READ_ONLY",
                   StrCat("the store at ", path, " takes no writes after a fault of its disk (",
                          detail, "); reads go on; check the disk and its space, then restart"));
}

absl::Status WriteError(const std::string& path, const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  if (status.IsCorruption()) return Damaged(path, status.ToString());
  if (IsDiskFull(status)) return DiskFull(path, status.ToString());
  return ReadOnly(path, status.ToString());
}

absl::Status OpenError(const std::string& path, const rocksdb::Status& status,
                       const std::string& damaged_log) {
  const std::string text = status.ToString();
  if (status.IsCorruption()) {
    return Damaged(path, damaged_log.empty() ? text : StrCat(damaged_log, " (", text, ")"));
  }
  if (IsDiskFull(status)) return DiskFull(path, status.ToString());
  const bool locked = text.find("lock hold by current process") != std::string::npos ||
                      text.find("While lock file") != std::string::npos;
  if (locked) {
    return FailedPrecondition("LOCKED",
                              StrCat("another process has the data folder ", path,
                                     " open; stop it or use another folder (", text, ")"));
  }
  return FailedPrecondition("STORE_UNUSABLE",
                            StrCat("the data folder ", path, " cannot be opened: ", text));
}

// Passes RocksDB's warnings and errors on to our log, and remembers which write-ahead log was found
// damaged, because the status of Open does not say. RocksDB's own LOG file is not written: 7.8
// aborts the process when that file meets a full disk.
class InfoLog : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list args) override {
  }  // plain lines carry no level: informative
  void LogHeader(const char* format, va_list args) override {}
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list args) override {
    if (level < rocksdb::InfoLogLevel::WARN_LEVEL || level > rocksdb::InfoLogLevel::FATAL_LEVEL) {
      return;
    }
    char line[1024];
    vsnprintf(line, sizeof line, format, args);
    const std::string_view text = line;
    const bool error = level >= rocksdb::InfoLogLevel::ERROR_LEVEL;
    Log(error ? LogLevel::kError : LogLevel::kWarning, "rocksdb", {{"detail", std::string(text)}});
    if (text.find(".log: dropping") != std::string_view::npos) {
      MutexLock lock(&mu_);
      damaged_log_ = text;
    }
  }

  std::string damaged_log() const {
    MutexLock lock(&mu_);
    return damaged_log_;
  }

 private:
  mutable Mutex mu_;
  std::string damaged_log_ ABSL_GUARDED_BY(mu_);
};

class RocksDbIterator : public KvIterator {
 public:
  RocksDbIterator(const std::string* path, rocksdb::Iterator* iterator)
      : path_(path), iterator_(iterator) {}

  bool Valid() const override { return iterator_->Valid(); }
  void Seek(std::string_view key) override { iterator_->Seek(ToSlice(key)); }
  void SeekForPrev(std::string_view key) override { iterator_->SeekForPrev(ToSlice(key)); }
  void Next() override { iterator_->Next(); }
  void Prev() override { iterator_->Prev(); }
  std::string_view key() const override { return FromSlice(iterator_->key()); }
  std::string_view value() const override { return FromSlice(iterator_->value()); }
  absl::Status status() const override { return ReadError(*path_, iterator_->status()); }

 private:
  const std::string* const path_;
  const std::unique_ptr<rocksdb::Iterator> iterator_;
};

// Remembers a fault that stops writes, and keeps RocksDB from resuming after one: 7.8 then either
// aborts the process (a log whose last write failed is written to again) or waits for ever (a flush
// that was due is forgotten). A fault of a compaction stops nothing, and RocksDB gets over it by
// itself.
class FaultListener : public rocksdb::EventListener {
 public:
  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override {
    if (StopsWrites(*error)) stopped_.store(true);
    Log(LogLevel::kError, "the store met a fault of its disk", {{"detail", error->ToString()}});
  }
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason reason, rocksdb::Status error,
                            bool* auto_recovery) override {
    if (StopsWrites(error)) *auto_recovery = false;
  }
  bool stopped() const { return stopped_.load(); }

 private:
  static bool StopsWrites(const rocksdb::Status& error) {
    return error.severity() >= rocksdb::Status::Severity::kHardError;
  }

  std::atomic<bool> stopped_{false};
};

class RocksDbKvStore : public KvStore {
 public:
  RocksDbKvStore(std::string path, const RocksDbOptions& options,
                 std::shared_ptr<FaultListener> listener, rocksdb::DB* db,
                 std::vector<rocksdb::ColumnFamilyHandle*> families)
      : path_(std::move(path)),
        free_disk_bytes_min_(options.free_disk_bytes_min),
        block_cache_bytes_(options.block_cache_bytes),
        listener_(std::move(listener)),
        db_(db),
        families_(std::move(families)) {}
  ~RocksDbKvStore() override;

  absl::Status Write(const KvBatch& batch, bool sync) override;
  absl::StatusOr<std::optional<std::string>> Get(Family family,
                                                 std::string_view key) const override;
  std::unique_ptr<KvIterator> NewIterator(Family family) const override;
  std::vector<std::unique_ptr<KvIterator>> NewIterators(
      absl::Span<const Family> families) const override {
    return IteratorsOf(families, rocksdb::ReadOptions());
  }
  std::vector<std::unique_ptr<KvIterator>> NewSweep(
      absl::Span<const Family> families) const override;
  absl::Status Compact(absl::Span<const KeyRange> ranges) override;
  uint64_t DiskBytes() const override;

 private:
  rocksdb::ColumnFamilyHandle* Handle(Family family) const {
    return families_[static_cast<size_t>(family)];
  }
  std::vector<std::unique_ptr<KvIterator>> IteratorsOf(absl::Span<const Family> families,
                                                       rocksdb::ReadOptions options) const;
  absl::Status FlushAll();
  absl::Status RenewManifest();
  // OK, or DISK_FULL when the batch would leave too little room.
  absl::Status CheckRoom(uint64_t batch_bytes) const;

  const std::string path_;
  const uint64_t free_disk_bytes_min_;
  const uint64_t block_cache_bytes_;
  const std::shared_ptr<FaultListener> listener_;
  const std::unique_ptr<rocksdb::DB> db_;
  const std::vector<rocksdb::ColumnFamilyHandle*> families_;  // by Family
};

RocksDbKvStore::~RocksDbKvStore() {
  // A clean stop leaves nothing to the kernel's goodwill, BUFFERED writes included.
  if (!listener_->stopped()) {
    const rocksdb::Status synced = db_->FlushWAL(/*sync=*/true);
    if (!synced.ok()) {
      Log(LogLevel::kError, "the write-ahead log could not be synced at close",
          {{"path", path_}, {"detail", synced.ToString()}});
    }
  }
  for (rocksdb::ColumnFamilyHandle* family : families_) {
    db_->DestroyColumnFamilyHandle(family).PermitUncheckedError();
  }
}

absl::Status RocksDbKvStore::Write(const KvBatch& batch, bool sync) {
  if (listener_->stopped()) return ReadOnly(path_, "an earlier write or flush failed");
  RETURN_IF_ERROR(CheckRoom(batch.bytes()));
  rocksdb::WriteBatch out(batch.bytes() + 16 * batch.ops().size(), /*max_bytes=*/0,
                          kProtectionBytesPerKey, /*default_cf_ts_sz=*/0);
  rocksdb::Status status;
  for (const KvBatch::Op& op : batch.ops()) {
    rocksdb::ColumnFamilyHandle* const family = Handle(op.family);
    switch (op.kind) {
      case KvBatch::Op::Kind::kPut:
        status = out.Put(family, op.key, op.value);
        break;
      case KvBatch::Op::Kind::kDelete:
        status = out.Delete(family, op.key);
        break;
      case KvBatch::Op::Kind::kDeleteRange:
        // RocksDB refuses a range whose end lies before its begin; to us it is empty.
        if (op.key < op.value) status = out.DeleteRange(family, op.key, op.value);
        break;
    }
    if (!status.ok()) return WriteError(path_, status);
  }
  rocksdb::WriteOptions options;
  options.sync = sync;
  options.protection_bytes_per_key = kProtectionBytesPerKey;
  return WriteError(path_, db_->Write(options, &out));
}

absl::Status RocksDbKvStore::CheckRoom(uint64_t batch_bytes) const {
  if (free_disk_bytes_min_ == 0) return absl::OkStatus();
  std::error_code error;
  const fs::space_info space = fs::space(path_, error);
  if (error || space.available >= free_disk_bytes_min_ + 2 * batch_bytes) return absl::OkStatus();
  return DiskFull(path_, StrCat("free: ", space.available,
                                " bytes, to be kept free: ", free_disk_bytes_min_, " bytes"));
}

absl::StatusOr<std::optional<std::string>> RocksDbKvStore::Get(Family family,
                                                               std::string_view key) const {
  std::string value;
  const rocksdb::Status status =
      db_->Get(rocksdb::ReadOptions(), Handle(family), ToSlice(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  RETURN_IF_ERROR(ReadError(path_, status));
  return std::optional<std::string>(std::move(value));
}

std::unique_ptr<KvIterator> RocksDbKvStore::NewIterator(Family family) const {
  rocksdb::ReadOptions options;
  // Who walks through the latest rows reads them all, once: the cache is for those asked for again.
  options.fill_cache = family != Family::kLatest;
  return std::make_unique<RocksDbIterator>(&path_, db_->NewIterator(options, Handle(family)));
}

std::vector<std::unique_ptr<KvIterator>> RocksDbKvStore::NewSweep(
    absl::Span<const Family> families) const {
  uint64_t bytes = 0;
  for (const Family family : families) {
    uint64_t of_family = 0;
    if (db_->GetIntProperty(Handle(family), rocksdb::DB::Properties::kLiveSstFilesSize,
                            &of_family)) {
      bytes += of_family;
    }
  }
  rocksdb::ReadOptions options;
  options.fill_cache = bytes <= kSweepCacheShare * block_cache_bytes_;
  return IteratorsOf(families, options);
}

std::vector<std::unique_ptr<KvIterator>> RocksDbKvStore::IteratorsOf(
    absl::Span<const Family> families, rocksdb::ReadOptions options) const {
  // Nobody reads RocksDB's counters of each thread; this thread will step often.
  rocksdb::SetPerfLevel(rocksdb::PerfLevel::kDisable);
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  for (const Family family : families) handles.push_back(Handle(family));
  // RocksDB's NewIterators alone reads one sequence number, then pins the families one by one: a
  // flush between may drop what that number still sees. Once pinned, nothing is dropped.
  const rocksdb::Snapshot* const snapshot = db_->GetSnapshot();
  options.snapshot = snapshot;
  std::vector<rocksdb::Iterator*> raw;
  const rocksdb::Status status = db_->NewIterators(options, handles, &raw);
  db_->ReleaseSnapshot(snapshot);
  raw.resize(families.size());
  std::vector<std::unique_ptr<KvIterator>> iterators;
  for (rocksdb::Iterator* const iterator : raw) {
    iterators.push_back(std::make_unique<RocksDbIterator>(
        &path_, status.ok() ? iterator : rocksdb::NewErrorIterator(status)));
  }
  return iterators;
}

absl::Status RocksDbKvStore::Compact(absl::Span<const KeyRange> ranges) {
  if (listener_->stopped()) return ReadOnly(path_, "an earlier write or flush failed");
  RETURN_IF_ERROR(FlushAll());
  for (const KeyRange& range : ranges) {
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    const rocksdb::Slice begin = ToSlice(range.begin);
    const rocksdb::Slice end = ToSlice(range.end);
    RETURN_IF_ERROR(
        WriteError(path_, db_->CompactRange(options, Handle(range.family), &begin, &end)));
  }
  return RenewManifest();
}

absl::Status RocksDbKvStore::FlushAll() {
  // A write-ahead log goes once every family has flushed past it.
  for (rocksdb::ColumnFamilyHandle* const family : families_) {
    RETURN_IF_ERROR(WriteError(path_, db_->Flush(rocksdb::FlushOptions(), family)));
  }
  return absl::OkStatus();
}

absl::Status RocksDbKvStore::RenewManifest() {
  // A manifest written anew begins with the state before the change that made it be written, and
  // so still names the bounds of the tables that a compaction replaced. Setting an option to what
  // it is counts as a change of nothing (max_manifest_file_size makes each change write it anew).
  RETURN_IF_ERROR(WriteError(
      path_, db_->SetOptions(Handle(Family::kMeta), {{"disable_auto_compactions", "false"}})));
  // Removes the old manifest and tables now instead of with the next change.
  RETURN_IF_ERROR(WriteError(path_, db_->DisableFileDeletions()));
  return WriteError(path_, db_->EnableFileDeletions(/*force=*/false));
}

uint64_t RocksDbKvStore::DiskBytes() const {
  std::vector<rocksdb::Env::FileAttributes> files;
  if (!db_->GetEnv()->GetChildrenFileAttributes(path_, &files).ok()) return 0;
  uint64_t bytes = 0;
  for (const rocksdb::Env::FileAttributes& file : files) bytes += file.size_bytes;
  return bytes;
}

rocksdb::ColumnFamilyOptions FamilyOptions(Family family, const RocksDbOptions& options,
                                           const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.format_version = 5;
  table.checksum = rocksdb::kXXH3;
  table.block_cache = cache;
  table.cache_index_and_filter_blocks =
      true;  // so that block_cache_bytes bounds the memory of reads
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  if (family == Family::kLatest ||
      family == Family::kRequests) {  // asked for keys that are not there
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
  }
  rocksdb::ColumnFamilyOptions out;
  const bool facts = family == Family::kFacts || family == Family::kBlocks;
  if (facts) out.level0_file_num_compaction_trigger = kFactRunsBeforeMerge;
  if (family == Family::kFacts) {
    table.block_size = kFactBlockBytes;
    out.table_properties_collector_factories.push_back(
        rocksdb::NewCompactOnDeletionCollectorFactory(kDeletionWindow, kDeletionsInWindow));
  }
  out.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  out.write_buffer_size = options.write_buffer_bytes;
  out.memtable_protection_bytes_per_key = kProtectionBytesPerKey;
  out.level_compaction_dynamic_level_bytes = true;
  out.compression = family == Family::kFacts ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
  return out;
}

rocksdb::DBOptions DatabaseOptions(const RocksDbOptions& options) {
  rocksdb::DBOptions out;
  out.create_if_missing = true;
  out.create_missing_column_families = true;
  out.paranoid_checks = true;
  out.max_background_jobs = options.background_threads;
  out.bytes_per_sync = 1 << 20;  // flushes reach the disk in small steps, not in one stall
  // Small families are flushed rarely; without this they would keep the log, and a start would
  // replay gigabytes.
  out.max_total_wal_size = 4 * options.write_buffer_bytes;
  // A torn tail is what a crash leaves; damage before it is an error. The default would drop all
  // that follows in silence.
  out.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  out.max_bgerror_resume_count = 0;  // see FaultListener
  out.max_manifest_file_size = kMaxManifestBytes;
  return out;
}

}  // namespace

absl::StatusOr<std::unique_ptr<KvStore>> OpenRocksDbKvStore(const std::string& path,
                                                            const RocksDbOptions& options) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) {
    return FailedPrecondition(
        "STORE_UNUSABLE", StrCat("the data folder ", path, " cannot be made: ", error.message()));
  }
  rocksdb::DBOptions db_options = DatabaseOptions(options);
  const auto info_log = std::make_shared<InfoLog>();
  db_options.info_log = info_log;
  const auto listener = std::make_shared<FaultListener>();
  db_options.listeners.push_back(listener);

  const std::shared_ptr<rocksdb::Cache> cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (int i = 0; i < kFamilyCount; ++i) {
    const Family family = static_cast<Family>(i);
    descriptors.emplace_back(FamilyName(family), FamilyOptions(family, options, cache));
  }
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(db_options, path, descriptors, &families, &db);
  if (!status.ok()) return OpenError(path, status, info_log->damaged_log());
  return std::make_unique<RocksDbKvStore>(path, options, listener, db, std::move(families));
}

}  // namespace fletch
