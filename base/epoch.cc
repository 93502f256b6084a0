// SPDX-License-Identifier: Apache-2.0
#include "base/epoch.h"

#include <algorithm>
#include <limits>
#include <thread>

namespace fletch {
namespace {

constexpr size_t kCollectEvery = 64;  // retired objects a scan of the slots is worth

// Where this thread looks for a slot first: threads spread out, and come back to their own cache
// line.
int& SlotHint() {
  static std::atomic<int> next{0};
  thread_local int hint = next.fetch_add(1, std::memory_order_relaxed) % EpochDomain::kMaxReaders;
  return hint;
}

}  // namespace

// Why a reader never meets freed memory. Every operation below is sequentially consistent and
// epoch_ is changed by read-modify-writes only. Let a writer unlink X, then advance epoch_ from E
// to E+1 (Retire), then read the slots (OldestReader); a reader loads e from epoch_, publishes e in
// a slot, loads epoch_ again, then follows pointers.
//   e > E: the load of e saw the advance, and with it the unlinking, so the reader does not reach
//   X. e <= E, published before the writer read the slot: X is kept. e <= E, published after: the
//   reader's second load comes after the advance in the single order of all these operations, so it
//   sees it, and with it the unlinking.
// Without the second load the last case would need a fence, which TSan does not understand.
EpochDomain::Guard::Guard(EpochDomain* domain) : domain_(domain) {
  int& hint = SlotHint();
  const uint64_t epoch = domain->epoch_.load();
  for (int tries = 1;; ++tries) {
    slot_ = hint;
    uint64_t free = 0;
    if (domain->slots_[slot_].epoch.compare_exchange_strong(free, epoch)) break;
    hint = (hint + 1) % kMaxReaders;
    if (tries % kMaxReaders == 0) std::this_thread::yield();
  }
  static_cast<void>(domain->epoch_.load());
}

EpochDomain::Guard::~Guard() { domain_->slots_[slot_].epoch.store(0, std::memory_order_release); }

EpochDomain::~EpochDomain() {
  MutexLock lock(&mu_);
  for (const Retired& retired : retired_) retired.free(retired.object);
}

void EpochDomain::Retire(void* object, void (*free)(void*)) {
  {
    MutexLock lock(&mu_);
    retired_.push_back({epoch_.fetch_add(1), object, free});
    if (retired_.size() < collect_at_) return;
  }
  Collect();
}

void EpochDomain::Collect() {
  std::vector<Retired> unreachable;
  {
    MutexLock lock(&mu_);
    const uint64_t oldest = OldestReader();
    const auto end =  // retired_ is in epoch order
        std::partition_point(retired_.begin(), retired_.end(),
                             [oldest](const Retired& retired) { return retired.epoch < oldest; });
    unreachable.assign(retired_.begin(), end);
    retired_.erase(retired_.begin(), end);
    // Twice what is left: a reader that stays long must not make every Retire scan a growing list.
    collect_at_ = 2 * retired_.size() + kCollectEvery;
  }
  for (const Retired& retired : unreachable) retired.free(retired.object);
}

uint64_t EpochDomain::OldestReader() const {
  uint64_t oldest = std::numeric_limits<uint64_t>::max();
  for (const Slot& slot : slots_) {
    const uint64_t epoch = slot.epoch.load();
    if (epoch != 0) oldest = std::min(oldest, epoch);
  }
  return oldest;
}

}  // namespace fletch
