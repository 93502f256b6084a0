// SPDX-License-Identifier: Apache-2.0
#include "server/engine/key_hash.h"

#include <random>
#include <utility>

#include "base/status.h"
#include "base/strings.h"
#include "server/engine/sha256.h"
#include "storage/big_endian.h"

namespace fletch {
namespace {

constexpr std::string_view kSalt = "salt";
constexpr size_t kSaltBytes = 16;
constexpr size_t kHashBytes = 16;

}  // namespace

absl::StatusOr<std::unique_ptr<KeyHasher>> KeyHasher::Open(KvStore* store) {
  ASSIGN_OR_RETURN(std::optional<std::string> stored, store->Get(Family::kMeta, kSalt));
  if (stored.has_value()) {
    if (stored->size() != kSaltBytes) {
      return DataLoss(
          "the stored salt of key hashes is damaged; restore the data directory from a backup");
    }
    return std::unique_ptr<KeyHasher>(new KeyHasher(*std::move(stored)));
  }
  std::string salt;
  std::random_device random;
  while (salt.size() < kSaltBytes) AppendU32(random(), &salt);
  KvBatch batch;
  batch.Put(Family::kMeta, std::string(kSalt), salt);
  RETURN_IF_ERROR(store->Write(batch, /*sync=*/true));
  return std::unique_ptr<KeyHasher>(new KeyHasher(std::move(salt)));
}

std::string KeyHasher::Hash(std::string_view project, std::string_view entity,
                            std::string_view entity_key) const {
  // Names hold no zero byte, so the parts cannot be mistaken for one another.
  const std::string zero(1, '\0');
  Sha256 sha;
  sha.Add(StrCat(salt_, project, zero, entity, zero, entity_key));
  return sha.Finish().substr(0, kHashBytes);
}

}  // namespace fletch
