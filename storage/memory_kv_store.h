// SPDX-License-Identifier: Apache-2.0
// A KvStore in a std::map, for tests and for sanitisers that RocksDB confuses.
#ifndef FLETCH_STORAGE_MEMORY_KV_STORE_H_
#define FLETCH_STORAGE_MEMORY_KV_STORE_H_

#include <memory>

#include "storage/kv_store.h"

namespace fletch {

// Empty, thread-safe. Its iterators of NewIterator look the map up anew at every step, so they see
// newer writes.
std::unique_ptr<KvStore> NewMemoryKvStore();

}  // namespace fletch

#endif  // FLETCH_STORAGE_MEMORY_KV_STORE_H_
