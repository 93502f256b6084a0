// SPDX-License-Identifier: Apache-2.0
// SHA-256 of bytes that come in parts.
#ifndef FLETCH_SERVER_ENGINE_SHA256_H_
#define FLETCH_SERVER_ENGINE_SHA256_H_

#include <memory>
#include <string>
#include <string_view>

namespace fletch {

// Thread-compatible.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void Add(std::string_view bytes);
  // 32 bytes. Nothing may be called after.
  std::string Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_SHA256_H_
