// SPDX-License-Identifier: Apache-2.0
// Entity keys made unreadable: what receipts, the erasure ledger and log lines say instead of a
// key.
#ifndef FLETCH_SERVER_ENGINE_KEY_HASH_H_
#define FLETCH_SERVER_ENGINE_KEY_HASH_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "storage/kv_store.h"

namespace fletch {

// The first 16 bytes of SHA-256 over the data directory's salt, the project, the entity's name and
// the encoded key. The same key has the same hash for ever in one data directory and another in
// every other. Who has the salt and few possible keys can try them all: the salt never leaves the
// data directory. Thread-safe.
class KeyHasher {
 public:
  // Reads the salt, or makes one (synced). DATA_LOSS when it is damaged.
  static absl::StatusOr<std::unique_ptr<KeyHasher>> Open(KvStore* store);

  // 16 bytes. `entity_key` is encoded.
  std::string Hash(std::string_view project, std::string_view entity,
                   std::string_view entity_key) const;

 private:
  explicit KeyHasher(std::string salt) : salt_(std::move(salt)) {}
  const std::string salt_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_KEY_HASH_H_
