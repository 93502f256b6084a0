// SPDX-License-Identifier: Apache-2.0
#include "storage/memory_kv_store.h"

#include <array>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "base/mutex.h"

namespace fletch {
namespace {

constexpr uint64_t kNewest = UINT64_MAX;

// What a key held from one write on. nullopt: nothing.
struct Version {
  uint64_t write = 0;
  std::optional<std::string> value;
};
using Versions = std::vector<Version>;  // ascending; never empty

// std::string compares as unsigned bytes.
using Map = std::map<std::string, Versions, std::less<>>;

const std::string* ValueAt(const Versions& versions, uint64_t write) {
  for (auto version = versions.rbegin(); version != versions.rend(); ++version) {
    if (version->write <= write) return version->value.has_value() ? &*version->value : nullptr;
  }
  return nullptr;
}

// Keeps the older versions of a key only as long as a frozen iterator may ask for them.
class MemoryKvStore : public KvStore {
 public:
  absl::Status Write(const KvBatch& batch, bool sync) override;
  absl::StatusOr<std::optional<std::string>> Get(Family family,
                                                 std::string_view key) const override;
  std::unique_ptr<KvIterator> NewIterator(Family family) const override;
  std::vector<std::unique_ptr<KvIterator>> NewIterators(
      absl::Span<const Family> families) const override;
  absl::Status Compact(absl::Span<const KeyRange> ranges) override;
  uint64_t DiskBytes() const override { return 0; }

  // Calls `look` with the family's map.
  template <typename Look>
  void With(Family family, const Look& look) const {
    MutexLock lock(&mu_);
    look(families_[static_cast<size_t>(family)]);
  }
  void Release(uint64_t write) const {
    MutexLock lock(&mu_);
    frozen_.erase(frozen_.find(write));
  }

 private:
  void Set(Map* map, Map::iterator at, std::optional<std::string> value)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes out what no iterator can see. Returns the key after.
  Map::iterator Prune(Map* map, Map::iterator at) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable Mutex mu_;
  std::array<Map, kFamilyCount> families_ ABSL_GUARDED_BY(mu_);
  uint64_t writes_ ABSL_GUARDED_BY(mu_) = 0;
  mutable std::multiset<uint64_t> frozen_ ABSL_GUARDED_BY(mu_);  // writes_ at live iterators' birth
};

// Holds the key it stands on and looks the map up anew at each move, so writes beside it do no
// harm.
class MemoryIterator : public KvIterator {
 public:
  // `write`: of the state it sees; kNewest: the living one.
  MemoryIterator(const MemoryKvStore* store, Family family, uint64_t write)
      : store_(store), family_(family), write_(write) {}
  ~MemoryIterator() override {
    if (write_ != kNewest) store_->Release(write_);
  }

  bool Valid() const override { return valid_; }
  void Seek(std::string_view key) override {
    Forward([key](const Map& map) { return map.lower_bound(key); });
  }
  void SeekForPrev(std::string_view key) override {
    Backward([key](const Map& map) { return map.upper_bound(key); });
  }
  void Next() override {
    Forward([this](const Map& map) { return map.upper_bound(key_); });
  }
  void Prev() override {
    Backward([this](const Map& map) { return map.lower_bound(key_); });
  }
  std::string_view key() const override { return key_; }
  std::string_view value() const override { return value_; }
  absl::Status status() const override { return absl::OkStatus(); }

 private:
  template <typename Pick>
  void Forward(const Pick& pick) {
    store_->With(family_, [&](const Map& map) {
      valid_ = false;
      for (auto at = pick(map); at != map.end() && !valid_; ++at) Take(*at);
    });
  }
  // To the last key before the one picked.
  template <typename Pick>
  void Backward(const Pick& pick) {
    store_->With(family_, [&](const Map& map) {
      valid_ = false;
      for (auto at = pick(map); at != map.begin() && !valid_;) Take(*--at);
    });
  }
  void Take(const Map::value_type& entry) {
    const std::string* const value = ValueAt(entry.second, write_);
    if (value == nullptr) return;
    key_ = entry.first;
    value_ = *value;
    valid_ = true;
  }

  const MemoryKvStore* const store_;
  const Family family_;
  const uint64_t write_;
  bool valid_ = false;
  std::string key_;
  std::string value_;
};

void MemoryKvStore::Set(Map* map, Map::iterator at, std::optional<std::string> value) {
  at->second.push_back({writes_, std::move(value)});
  Prune(map, at);
}

Map::iterator MemoryKvStore::Prune(Map* map, Map::iterator at) {
  Versions& versions = at->second;
  size_t kept = 0;
  for (size_t i = 0; i < versions.size(); ++i) {
    // Seen by those frozen from its write on until before the next one's.
    const bool last = i + 1 == versions.size();
    const auto reader = frozen_.lower_bound(versions[i].write);
    const bool needed = last || (reader != frozen_.end() && *reader < versions[i + 1].write);
    if (!needed || (kept == 0 && !versions[i].value.has_value())) continue;
    if (kept != i) versions[kept] = std::move(versions[i]);
    ++kept;
  }
  versions.resize(kept);
  return versions.empty() ? map->erase(at) : std::next(at);
}

absl::Status MemoryKvStore::Write(const KvBatch& batch, bool sync) {
  MutexLock lock(&mu_);
  ++writes_;
  for (const KvBatch::Op& op : batch.ops()) {
    Map& map = families_[static_cast<size_t>(op.family)];
    switch (op.kind) {
      case KvBatch::Op::Kind::kPut:
        Set(&map, map.try_emplace(op.key).first, op.value);
        break;
      case KvBatch::Op::Kind::kDelete:
        if (const auto at = map.find(op.key); at != map.end()) Set(&map, at, std::nullopt);
        break;
      case KvBatch::Op::Kind::kDeleteRange:
        for (auto at = map.lower_bound(op.key); at != map.end() && at->first < op.value;) {
          Set(&map, at++, std::nullopt);
        }
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
    if (found != map.end()) value = found->second.back().value;
  });
  return value;
}

std::unique_ptr<KvIterator> MemoryKvStore::NewIterator(Family family) const {
  return std::make_unique<MemoryIterator>(this, family, kNewest);
}

std::vector<std::unique_ptr<KvIterator>> MemoryKvStore::NewIterators(
    absl::Span<const Family> families) const {
  MutexLock lock(&mu_);
  std::vector<std::unique_ptr<KvIterator>> iterators;
  for (const Family family : families) {
    frozen_.insert(writes_);
    iterators.push_back(std::make_unique<MemoryIterator>(this, family, writes_));
  }
  return iterators;
}

absl::Status MemoryKvStore::Compact(absl::Span<const KeyRange> ranges) {
  MutexLock lock(&mu_);
  for (const KeyRange& range : ranges) {
    Map& map = families_[static_cast<size_t>(range.family)];
    for (auto at = map.lower_bound(range.begin); at != map.end() && at->first < range.end;) {
      at = Prune(&map, at);
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::unique_ptr<KvStore> NewMemoryKvStore() { return std::make_unique<MemoryKvStore>(); }

}  // namespace fletch
