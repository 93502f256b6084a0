// SPDX-License-Identifier: Apache-2.0
// The KvStore on disk. The one place that includes <rocksdb/…>.
#ifndef FLETCH_STORAGE_ROCKSDB_KV_STORE_H_
#define FLETCH_STORAGE_ROCKSDB_KV_STORE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "storage/kv_store.h"

namespace fletch {

struct RocksDbOptions {
  uint64_t block_cache_bytes = 512ull << 20;  // decompressed blocks kept in memory
  uint64_t write_buffer_bytes = 64ull << 20;  // of each family
  uint64_t free_disk_bytes_min = 128ull
                                 << 20;  // with less room left writes are refused: flushes need it
  int background_threads = 2;            // flushes and compactions
};

// Writes stop with DISK_FULL while less than free_disk_bytes_min is free, and go on by themselves
// when there is room. Should RocksDB itself meet a full or faulty disk all the same, it is
// read-only (STORE_READ_ONLY) until it is opened again; reads go on, and no acknowledged write is
// lost. Opens the folder, making it when absent. FAILED_PRECONDITION (reason LOCKED) when another
// process has it open; DATA_LOSS naming the file when it is damaged.
absl::StatusOr<std::unique_ptr<KvStore>> OpenRocksDbKvStore(const std::string& path,
                                                            const RocksDbOptions& options);

}  // namespace fletch

#endif  // FLETCH_STORAGE_ROCKSDB_KV_STORE_H_
