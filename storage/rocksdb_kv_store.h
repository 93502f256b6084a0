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
  int background_threads = 2;                 // flushes and compactions
};

// Opens the folder, making it when absent. FAILED_PRECONDITION (reason LOCKED) when another process
// has it open; DATA_LOSS naming the file when it is damaged.
absl::StatusOr<std::unique_ptr<KvStore>> OpenRocksDbKvStore(const std::string& path,
                                                            const RocksDbOptions& options);

}  // namespace fletch

#endif  // FLETCH_STORAGE_ROCKSDB_KV_STORE_H_
