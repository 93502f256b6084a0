// SPDX-License-Identifier: Apache-2.0
#include "server/engine/key_hash.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <utility>

#include "base/status.h"
#include "base/strings.h"

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
  std::string salt(kSaltBytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(salt.data()), kSaltBytes) != 1) {
    return MakeError(absl::StatusCode::kUnavailable, "NO_RANDOMNESS",
                     "the system gives no random bytes for the salt of key hashes; start again "
                     "when it does");
  }
  KvBatch batch;
  batch.Put(Family::kMeta, std::string(kSalt), salt);
  RETURN_IF_ERROR(store->Write(batch, /*sync=*/true));
  return std::unique_ptr<KeyHasher>(new KeyHasher(std::move(salt)));
}

std::string KeyHasher::Hash(std::string_view project, std::string_view entity,
                            std::string_view entity_key) const {
  // Names hold no zero byte, so the parts cannot be mistaken for one another.
  const std::string zero(1, '\0');
  const std::string text = StrCat(salt_, project, zero, entity, zero, entity_key);
  unsigned char digest[EVP_MAX_MD_SIZE];
  if (EVP_Digest(text.data(), text.size(), digest, nullptr, EVP_sha256(), nullptr) != 1) {
    std::abort();  // SHA-256 of bytes in memory cannot fail
  }
  return {reinterpret_cast<const char*>(digest), kHashBytes};
}

}  // namespace fletch
