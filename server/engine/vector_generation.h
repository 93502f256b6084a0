// SPDX-License-Identifier: Apache-2.0
// The rows of one vector collection between two rebuilds: who they belong to and which readers see
// them.
#ifndef FLETCH_SERVER_ENGINE_VECTOR_GENERATION_H_
#define FLETCH_SERVER_ENGINE_VECTOR_GENERATION_H_

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "index/chunked_rows.h"
#include "index/vector_index.h"
#include "server/engine/dictionary.h"
#include "server/engine/ended_rows.h"

namespace fletch {

inline constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();

// Which readers see a row: those at S with born_seq <= S < died_seq. died_seq changes under
// readers.
struct RowLife {
  uint64_t born_seq;
  uint64_t died_seq;
};

// An entity whose latest fact lay in the future when it was applied: readers at S with since_seq <=
// S < until_seq must ask the facts, unless a row took its place (matured) before they began.
struct FutureFact {
  Ordinal entity = 0;
  int64_t event_time = 0;
  uint64_t since_seq = 0;
  std::vector<float> vector;  // empty: none
  std::atomic<uint64_t> until_seq{kNever};
  std::atomic<uint64_t> matured_version{
      0};  // 0: not; else readers of this version and later skip it
};

// One thread at a time writes; readers see the rows and futures whose number reached them by a lock
// of the collection's. Entities are ordinals of `entities`, whose writer is this writer, too. 28
// bytes a row and 4 an ordinal, beside what the index holds.
class VectorGeneration {
 public:
  // Readers at S < base_seq or T < base_time must not use it: what they would see was left out.
  VectorGeneration(const IndexOptions& options, std::shared_ptr<EntityDictionary> entities,
                   uint64_t base_seq, int64_t base_time);
  // Begins with the rows of a saved file, which nobody sees until Wake finds them to be still true.
  VectorGeneration(const IndexOptions& options, std::shared_ptr<EntityDictionary> entities,
                   std::shared_ptr<GraphFile> file);

  const uint64_t base_seq;
  const int64_t base_time;

  // Writer. The entity's row or future, if it has one, is not seen at `seq` and later.
  void End(Ordinal entity, uint64_t seq);
  // Writer. None of the entity's rows and futures is seen by any reader from now on. Returns the
  // rows. Looks at all.
  std::vector<RowId> Erase(Ordinal entity);
  void AddRow(Ordinal entity, int64_t event_time, uint64_t born_seq,
              absl::Span<const float> vector);
  // Writer, while loading. True: a saved row is the entity's at this time and commit, and is seen
  // from now on.
  bool Wake(Ordinal entity, int64_t event_time, uint64_t born_seq);
  void AddFuture(Ordinal entity, int64_t event_time, uint64_t since_seq, std::vector<float> vector);
  // Writer. Turns futures with event_time <= `due` into rows for readers of `version` and later;
  // returns the newest event time among them, or nothing's: INT64_MIN.
  int64_t Mature(int64_t due, uint64_t version);
  // Writer. Whether the entity has a row that new readers see.
  bool HasRow(Ordinal entity) const;
  uint32_t future_count() const { return future_count_; }
  // Rows and futures that no new reader sees; of all.
  uint64_t dead_count() const { return dead_count_.load(std::memory_order_relaxed); }
  uint64_t total_count() const { return index_.row_count() + future_count_; }

  // Readers, each within the counts they were given.
  const VectorIndex& index() const { return index_; }
  VectorIndex* mutable_index() { return &index_; }
  bool SeenAt(RowId row, uint64_t read_seq) const {
    return lives_[row]->born_seq <= read_seq && read_seq < DiedSeq(row);
  }
  // Asks the memory for what SeenAt, entity and event_time will need.
  void Prefetch(RowId row) const {
    __builtin_prefetch(lives_[row]);
    __builtin_prefetch(row_entities_[row]);
    __builtin_prefetch(event_times_[row]);
  }
  Ordinal entity(RowId row) const { return *row_entities_[row]; }
  // Empty for a dead row of an index file, of which nobody knows whose it was.
  std::string_view entity_key(RowId row) const {
    const Ordinal owner = entity(row);
    return owner == kNone ? std::string_view() : entities_->text(owner);
  }
  int64_t event_time(RowId row) const { return *event_times_[row]; }
  uint64_t born_seq(RowId row) const { return lives_[row]->born_seq; }
  uint64_t DiedSeq(RowId row) const {
    return std::atomic_ref(lives_[row]->died_seq).load(std::memory_order_relaxed);
  }
  const FutureFact& future(uint32_t future) const { return *futures_[future]; }
  const EntityDictionary& entities() const { return *entities_; }
  uint64_t live_rows() const { return live_rows_.load(std::memory_order_relaxed); }
  // All rows of the entities (ascending) that readers at `read_seq` can see, and perhaps some that
  // they cannot; nullopt: that is no longer known.
  std::optional<std::vector<RowId>> RowsOf(absl::Span<const Ordinal> entities,
                                           uint64_t read_seq) const;
  // Of memory, about, beside the index and the dictionary.
  uint64_t bytes() const;

  // What a saved file says of a row: its entity and when it was true; nothing of a dead one.
  std::string Label(RowId row) const;

  // Builder: rows that readers at `seen_from` and later can see. Readers at S < graph_base_seq()
  // may miss rows in the graph, not in an exact search.
  absl::Status ExtendGraph(uint64_t seen_from, absl::FunctionRef<bool()> cancelled,
                           absl::FunctionRef<void(double)> progress);
  uint64_t graph_base_seq() const { return graph_base_seq_.load(); }

 private:
  friend class GenerationCopier;
  static constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
  static constexpr uint32_t kFutureBit = 1u << 31;  // of a future's number; rows have less

  // Stores a row, or a future; it is the entity's current one only if its end is kNever.
  void AppendRow(Ordinal entity, int64_t event_time, uint64_t born_seq, uint64_t died_seq,
                 absl::Span<const float> vector);
  void AppendFuture(Ordinal entity, int64_t event_time, uint64_t since_seq, uint64_t until_seq,
                    std::vector<float> vector);
  void DescribeRow(RowId row, Ordinal entity, int64_t event_time, uint64_t born_seq,
                   uint64_t died_seq);
  void SetDied(RowId row, uint64_t seq) {
    std::atomic_ref(lives_[row]->died_seq).store(seq, std::memory_order_relaxed);
  }
  // The row (or, with kFutureBit, future) that new readers see of the entity; kNone.
  uint32_t Current(Ordinal entity) const;
  void PrefetchCurrent(Ordinal entity) const;
  void SetCurrent(Ordinal entity, uint32_t current);
  void Forget(Ordinal entity, uint32_t current);

  const std::shared_ptr<EntityDictionary> entities_;
  VectorIndex index_;
  ChunkedRows<RowLife> lives_;
  ChunkedRows<Ordinal> row_entities_;
  ChunkedRows<int64_t> event_times_;
  ChunkedRows<FutureFact> futures_;
  ChunkedRows<uint32_t> current_;  // by entity
  std::atomic<uint32_t> current_count_{0};
  EndedRows ended_;
  std::atomic<uint64_t> ended_base_seq_{0};  // before it `ended_` does not know all
  std::atomic<uint64_t> graph_base_seq_{0};
  std::atomic<uint64_t> live_rows_{0};
  std::atomic<uint64_t> dead_count_{0};
  // The writer's.
  uint32_t future_count_ = 0;
  uint64_t live_futures_ = 0;
};

// What a label says.
struct RowLabel {
  std::string_view entity_key;
  int64_t event_time = 0;
  uint64_t born_seq = 0;
};
// nullopt: it is empty, or none.
std::optional<RowLabel> ParseLabel(std::string_view label);

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
  void CopyEnds(RowId row, uint64_t died);

  const VectorGeneration* const from_;
  VectorGeneration* const to_;
  std::vector<uint32_t> rows_;     // from's number -> to's
  std::vector<uint32_t> futures_;  // likewise
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_VECTOR_GENERATION_H_
