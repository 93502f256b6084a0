// SPDX-License-Identifier: Apache-2.0
// The rows of one vector collection between two rebuilds: who they belong to and which readers see
// them.
#ifndef FLETCH_SERVER_ENGINE_VECTOR_GENERATION_H_
#define FLETCH_SERVER_ENGINE_VECTOR_GENERATION_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/types/span.h"
#include "index/chunked_rows.h"
#include "index/vector_index.h"

namespace fletch {

inline constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();

// An entity's vector, seen by readers at S with born_seq <= S < died_seq.
struct VectorRow {
  std::string entity_key;
  int64_t event_time = 0;
  uint64_t born_seq = 0;
  std::atomic<uint64_t> died_seq{kNever};
};

// An entity whose latest fact lay in the future when it was applied: readers at S with since_seq <=
// S < until_seq must ask the facts, unless a row took its place (matured) before they began.
struct FutureFact {
  std::string entity_key;
  int64_t event_time = 0;
  uint64_t since_seq = 0;
  std::vector<float> vector;  // empty: none
  std::atomic<uint64_t> until_seq{kNever};
  std::atomic<uint64_t> matured_version{
      0};  // 0: not; else readers of this version and later skip it
};

// One thread at a time writes; readers see the rows and futures whose number reached them by a lock
// of the collection's.
class VectorGeneration {
 public:
  // Readers at S < base_seq or T < base_time must not use it: what they would see was left out.
  VectorGeneration(VectorMetric metric, size_t dimension, uint64_t base_seq, int64_t base_time);

  const uint64_t base_seq;
  const int64_t base_time;

  // Writer. The entity's row or future, if it has one, is not seen at `seq` and later.
  void End(std::string_view entity_key, uint64_t seq);
  // Writer. None of the entity's rows and futures is seen by any reader from now on. Looks at all.
  void Erase(std::string_view entity_key);
  void AddRow(std::string_view entity_key, int64_t event_time, uint64_t born_seq,
              absl::Span<const float> vector);
  void AddFuture(std::string_view entity_key, int64_t event_time, uint64_t since_seq,
                 std::vector<float> vector);
  // Writer. Turns futures with event_time <= `due` into rows for readers of `version` and later;
  // returns the newest event time among them, or nothing's: INT64_MIN.
  int64_t Mature(int64_t due, uint64_t version);
  uint32_t future_count() const { return future_count_; }
  // Rows and futures that no new reader sees; of all.
  uint64_t dead_count() const { return dead_count_; }
  uint64_t total_count() const { return index_.row_count() + future_count_; }

  // Readers, each within the counts they were given.
  const VectorIndex& index() const { return index_; }
  const VectorRow& row(RowId row) const { return *rows_[row]; }
  const FutureFact& future(uint32_t future) const { return *futures_[future]; }
  uint64_t live_rows() const { return live_rows_.load(std::memory_order_relaxed); }

  // Builder: see VectorIndex. Readers at S < graph_base_seq() may miss rows in the graph, not in an
  // exact search.
  absl::Status BuildGraph(uint64_t applied_seq, absl::FunctionRef<bool()> cancelled);
  uint64_t graph_base_seq() const { return graph_base_seq_.load(); }

 private:
  friend class GenerationCopier;
  struct Current {
    bool is_future = false;
    uint32_t number = 0;
    bool operator==(const Current&) const = default;
  };
  // Stores a row, or a future; it is the entity's current one only if its end is kNever.
  void AppendRow(std::string_view entity_key, int64_t event_time, uint64_t born_seq,
                 uint64_t died_seq, absl::Span<const float> vector);
  void AppendFuture(std::string_view entity_key, int64_t event_time, uint64_t since_seq,
                    uint64_t until_seq, std::vector<float> vector);
  void Forget(std::string_view entity_key, Current current);

  VectorIndex index_;
  ChunkedRows<VectorRow> rows_;
  ChunkedRows<FutureFact> futures_;
  std::atomic<uint64_t> graph_base_seq_{0};
  std::atomic<uint64_t> live_rows_{0};
  // The writer's. Keys point into the rows and futures.
  std::unordered_map<std::string_view, Current> current_;
  uint32_t future_count_ = 0;
  uint64_t live_futures_ = 0;
  uint64_t dead_count_ = 0;
};

// Copies what can still be seen into a new generation while the old one goes on growing.
class GenerationCopier {
 public:
  GenerationCopier(const VectorGeneration* from, VectorGeneration* to) : from_(from), to_(to) {}
  // Makes `to` what `from` is, without what only readers before to's bases could see and without
  // rows older than `expired`. Again and again; complete when from's writer stands still during the
  // call.
  void CatchUp(uint32_t row_count, uint32_t future_count, int64_t expired);

 private:
  static constexpr uint32_t kLeftOut = std::numeric_limits<uint32_t>::max();
  void SyncEnds();

  const VectorGeneration* const from_;
  VectorGeneration* const to_;
  std::vector<uint32_t> rows_;     // from's number -> to's
  std::vector<uint32_t> futures_;  // likewise
};

// The newest event time among the facts a reader at S can have met in memory. Bounded: older
// readers get a later time.
class NewestEventTimes {
 public:
  // Facts come in commit order.
  void Add(uint64_t seq, int64_t event_time);
  // One that readers of every S may meet.
  void AddForAll(int64_t event_time);
  // INT64_MIN: none.
  int64_t At(uint64_t read_seq) const;

 private:
  static constexpr size_t kMaxSteps = 1024;  // as many commits as a request may last
  struct Step {
    uint64_t seq;
    int64_t event_time;
  };
  std::deque<Step> steps_;  // both ascending
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_VECTOR_GENERATION_H_
