// SPDX-License-Identifier: Apache-2.0
#include "storage/memory_kv_store.h"

#include <functional>
#include <iterator>
#include <map>
#include <utility>

#include "base/mutex.h"

namespace fletch {
namespace {

// std::string compares as unsigned bytes.
using Map = std::map<std::string, std::string, std::less<>>;

class MemoryKvStore : public KvStore {
 public:
  absl::Status Write(const KvBatch& batch, bool sync) override;
  absl::StatusOr<std::optional<std::string>> Get(Family family,
                                                 std::string_view key) const override;
  std::unique_ptr<KvIterator> NewIterator(Family family) const override;
  std::unique_ptr<KvIterator> NewSnapshotIterator(Family family) const override;
  uint64_t DiskBytes() const override { return 0; }

  // Calls `look` with the family's map as it is now.
  template <typename Look>
  void With(Family family, const Look& look) const {
    MutexLock lock(&mu_);
    look(std::as_const(*families_[static_cast<size_t>(family)].map));
  }

 private:
  struct FamilyMap {
    std::shared_ptr<Map> map = std::make_shared<Map>();
    bool frozen = false;  // a snapshot holds `map`: copy before writing
  };

  mutable Mutex mu_;
  mutable std::array<FamilyMap, kFamilyCount> families_ ABSL_GUARDED_BY(mu_);
};

// Holds the key it stands on and looks the map up anew at each move, so writes beside it do no
// harm.
class MemoryIterator : public KvIterator {
 public:
  // `frozen` null: reads the store's living map.
  MemoryIterator(const MemoryKvStore* store, Family family, std::shared_ptr<const Map> frozen)
      : store_(store), family_(family), frozen_(std::move(frozen)) {}

  bool Valid() const override { return valid_; }
  void Seek(std::string_view key) override {
    Move([key](const Map& map) { return map.lower_bound(key); });
  }
  void SeekForPrev(std::string_view key) override {
    Move([key](const Map& map) { return Before(map, map.upper_bound(key)); });
  }
  void Next() override {
    Move([this](const Map& map) { return map.upper_bound(key_); });
  }
  void Prev() override {
    Move([this](const Map& map) { return Before(map, map.lower_bound(key_)); });
  }
  std::string_view key() const override { return key_; }
  std::string_view value() const override { return value_; }
  absl::Status status() const override { return absl::OkStatus(); }

 private:
  static Map::const_iterator Before(const Map& map, Map::const_iterator at) {
    return at == map.begin() ? map.end() : std::prev(at);
  }

  template <typename Pick>
  void Move(const Pick& pick) {
    const auto take = [&](const Map& map) {
      const auto found = pick(map);
      valid_ = found != map.end();
      if (!valid_) return;
      key_ = found->first;
      value_ = found->second;
    };
    if (frozen_ != nullptr) {
      take(*frozen_);
    } else {
      store_->With(family_, take);
    }
  }

  const MemoryKvStore* const store_;
  const Family family_;
  const std::shared_ptr<const Map> frozen_;
  bool valid_ = false;
  std::string key_;
  std::string value_;
};

absl::Status MemoryKvStore::Write(const KvBatch& batch, bool sync) {
  MutexLock lock(&mu_);
  for (const KvBatch::Op& op : batch.ops()) {
    FamilyMap& family = families_[static_cast<size_t>(op.family)];
    if (family.frozen) {
      family.map = std::make_shared<Map>(*family.map);
      family.frozen = false;
    }
    Map& map = *family.map;
    switch (op.kind) {
      case KvBatch::Op::Kind::kPut:
        map.insert_or_assign(op.key, op.value);
        break;
      case KvBatch::Op::Kind::kDelete:
        map.erase(op.key);
        break;
      case KvBatch::Op::Kind::kDeleteRange:
        if (op.key < op.value) map.erase(map.lower_bound(op.key), map.lower_bound(op.value));
        break;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> MemoryKvStore::Get(Family family,
                                                              std::string_view key) const {
  std::optional<std::string> value;
  With(family, [&](const Map& map) {
    const auto found = map.find(key);
    if (found != map.end()) value = found->second;
  });
  return value;
}

std::unique_ptr<KvIterator> MemoryKvStore::NewIterator(Family family) const {
  return std::make_unique<MemoryIterator>(this, family, nullptr);
}

std::unique_ptr<KvIterator> MemoryKvStore::NewSnapshotIterator(Family family) const {
  MutexLock lock(&mu_);
  FamilyMap& entry = families_[static_cast<size_t>(family)];
  entry.frozen = true;
  return std::make_unique<MemoryIterator>(this, family, entry.map);
}

}  // namespace

std::unique_ptr<KvStore> NewMemoryKvStore() { return std::make_unique<MemoryKvStore>(); }

}  // namespace fletch
