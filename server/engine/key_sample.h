// SPDX-License-Identifier: Apache-2.0
// A random choice of entity keys that the same seed makes again.
#ifndef FLETCH_SERVER_ENGINE_KEY_SAMPLE_H_
#define FLETCH_SERVER_ENGINE_KEY_SAMPLE_H_

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fletch {

// The `limit` keys with the least hashes of (seed, key) of all that are shown to it, each once.
class KeySample {
 public:
  KeySample(uint64_t seed, size_t limit) : seed_(seed), limit_(limit) {}

  // Whether Show would keep it for now.
  bool Wants(std::string_view key) const {
    return chosen_.size() < limit_ || Hash(key) < chosen_.rbegin()->first;
  }
  void Show(std::string_view key) {
    const uint64_t hash = Hash(key);
    if (chosen_.size() == limit_ && hash > chosen_.rbegin()->first) return;
    chosen_.emplace(hash, key);
    if (chosen_.size() > limit_) chosen_.erase(std::prev(chosen_.end()));
  }
  std::vector<std::string> Keys() const {
    std::vector<std::string> keys;
    for (const auto& [hash, key] : chosen_) keys.push_back(key);
    return keys;
  }

 private:
  // FNV-1a, then the end of splitmix64.
  uint64_t Hash(std::string_view bytes) const {
    uint64_t hash = 0xCBF29CE484222325u ^ seed_;
    for (const unsigned char byte : bytes) hash = (hash ^ byte) * 0x100000001B3u;
    hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9u;
    hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EBu;
    return hash ^ (hash >> 31);
  }

  const uint64_t seed_;
  const size_t limit_;
  std::set<std::pair<uint64_t, std::string>> chosen_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_KEY_SAMPLE_H_
