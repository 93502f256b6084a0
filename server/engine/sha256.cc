// SPDX-License-Identifier: Apache-2.0
#include "server/engine/sha256.h"

#include <openssl/evp.h>

#include <cstdlib>

namespace fletch {
namespace {

// SHA-256 of bytes in memory fails only without memory.
void Require(int ok) {
  if (ok != 1) std::abort();
}

}  // namespace

struct Sha256::State {
  State() : context(EVP_MD_CTX_new()) {
    Require(context != nullptr);
    Require(EVP_DigestInit_ex(context, EVP_sha256(), nullptr));
  }
  ~State() { EVP_MD_CTX_free(context); }
  EVP_MD_CTX* const context;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;

void Sha256::Add(std::string_view bytes) {
  Require(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()));
}

std::string Sha256::Finish() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  Require(EVP_DigestFinal_ex(state_->context, digest, &size));
  return {reinterpret_cast<const char*>(digest), size};
}

}  // namespace fletch
