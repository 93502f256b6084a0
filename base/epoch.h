// SPDX-License-Identifier: Apache-2.0
// Epoch-based reclamation: readers of shared structures take no lock, and what a writer unlinks is
// freed once no reader can still see it.
#ifndef FLETCH_BASE_EPOCH_H_
#define FLETCH_BASE_EPOCH_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/mutex.h"

namespace fletch {

// Readers are wait-free while at most kMaxReaders guards are alive; beyond that they spin for a
// free slot.
class EpochDomain {
 public:
  static constexpr int kMaxReaders = 256;

  EpochDomain() = default;
  // REQUIRES: no guard is alive. Frees all that was retired.
  ~EpochDomain();
  EpochDomain(const EpochDomain&) = delete;
  EpochDomain& operator=(const EpochDomain&) = delete;

  // What is reachable when a Guard is made stays allocated until it goes. May move between threads;
  // about 20 ns.
  class Guard {
   public:
    explicit Guard(EpochDomain* domain);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    EpochDomain* const domain_;
    int slot_;
  };

  // Frees `object` by `free(object)` once no guard made before this call is alive; at a later
  // Retire or Collect. Thread-safe. The object must already be unreachable for new readers.
  void Retire(void* object, void (*free)(void*));
  // Frees what can be freed now.
  void Collect();

 private:
  struct Retired {
    uint64_t epoch;
    void* object;
    void (*free)(void*);
  };
  uint64_t OldestReader() const;

  std::atomic<uint64_t> epoch_{1};
  struct alignas(64) Slot {
    std::atomic<uint64_t> epoch{0};  // 0: free
  };
  Slot slots_[kMaxReaders];
  Mutex mu_;
  std::vector<Retired> retired_ ABSL_GUARDED_BY(mu_);  // in epoch order
  size_t collect_at_ ABSL_GUARDED_BY(mu_) = 0;         // so many retired: look what can be freed
};

}  // namespace fletch

#endif  // FLETCH_BASE_EPOCH_H_
