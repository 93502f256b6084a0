// SPDX-License-Identifier: Apache-2.0
#include "storage/kv_store.h"

#include <utility>

namespace fletch {

void KvBatch::Put(Family family, std::string key, std::string value) {
  bytes_ += key.size() + value.size();
  ops_.push_back({Op::Kind::kPut, family, std::move(key), std::move(value)});
}

void KvBatch::Delete(Family family, std::string key) {
  bytes_ += key.size();
  ops_.push_back({Op::Kind::kDelete, family, std::move(key), {}});
}

void KvBatch::DeleteRange(Family family, std::string begin, std::string end) {
  bytes_ += begin.size() + end.size();
  ops_.push_back({Op::Kind::kDeleteRange, family, std::move(begin), std::move(end)});
}

void KvBatch::Clear() {
  ops_.clear();
  bytes_ = 0;
}

}  // namespace fletch
