// SPDX-License-Identifier: Apache-2.0
// The newest rows that ended, so that a reader at an earlier commit finds what it still sees.
#ifndef FLETCH_SERVER_ENGINE_ENDED_ROWS_H_
#define FLETCH_SERVER_ENGINE_ENDED_ROWS_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "server/engine/dictionary.h"

namespace fletch {

// A bounded memory of ends. One writer; any number read, without a lock.
class EndedRows {
 public:
  // As many as end while a request is on its way.
  static constexpr size_t kKept = 4096;

  struct End {
    Ordinal entity;
    uint32_t row;
  };

  // Writer. The row is not seen at `seq` and later.
  void Add(Ordinal entity, uint32_t row, uint64_t seq) {
    newest_seq_.store(std::max(newest_seq(), seq), std::memory_order_relaxed);
    const uint64_t at = count_.load(std::memory_order_relaxed);
    Slot& slot = slots_[at % kKept];
    slot.seq.store(newest_seq(), std::memory_order_release);
    slot.end.store(uint64_t{entity} << 32 | row, std::memory_order_release);
    count_.store(at + 1, std::memory_order_release);
  }

  // The greatest `seq` of all.
  uint64_t newest_seq() const { return newest_seq_.load(std::memory_order_relaxed); }

  // Those with seq > `after`, and perhaps some others; nullopt: some of them may be forgotten.
  std::optional<std::vector<End>> After(uint64_t after) const {
    std::vector<End> ends;
    const uint64_t count = count_.load(std::memory_order_acquire);
    const uint64_t oldest = count - std::min<uint64_t>(count, kKept - 1);
    for (uint64_t at = count; at > oldest; --at) {
      const Slot& slot = slots_[(at - 1) % kKept];
      const uint64_t seq = slot.seq.load(std::memory_order_acquire);
      const uint64_t end = slot.end.load(std::memory_order_acquire);
      // A slot is written before it is counted: one that is as old as all of them may be half new.
      if (count_.load(std::memory_order_relaxed) >= at - 1 + kKept) return std::nullopt;
      if (seq <= after) return ends;
      ends.push_back({static_cast<Ordinal>(end >> 32), static_cast<uint32_t>(end)});
    }
    if (oldest > 0) return std::nullopt;
    return ends;
  }

 private:
  struct Slot {
    std::atomic<uint64_t> seq{0};  // the greatest so far: commits of a group come in any order
    std::atomic<uint64_t> end{0};
  };
  const std::unique_ptr<Slot[]> slots_ = std::make_unique<Slot[]>(kKept);
  std::atomic<uint64_t> count_{0};
  std::atomic<uint64_t> newest_seq_{0};
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_ENDED_ROWS_H_
