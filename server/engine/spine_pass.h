// SPDX-License-Identifier: Apache-2.0
// What a plan's views say of a stretch of spine rows: found in the order of the facts, kept for
// answers in the order of the spine.
#ifndef FLETCH_SERVER_ENGINE_SPINE_PASS_H_
#define FLETCH_SERVER_ENGINE_SPINE_PASS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/call.h"
#include "server/engine/feature_plan.h"
#include "server/engine/horizon.h"
#include "server/engine/snapshot.h"
#include "server/engine/spine_order.h"
#include "server/engine/work_sharing.h"
#include "storage/row_columns.h"

namespace fletch {

// Rows that were found, each once for neighbours that share it. One thread adds; then any may read.
class FoundRows {
 public:
  // A row in 8 bytes: where it lies, and its status in the low bits.
  using Cell = uint64_t;

  // Equal to the row added last: its cell. Else a copy's.
  Cell Add(const VisibleRow& row);
  // REQUIRES: FoundRows that gave `cell` is there.
  static VisibleRow Read(Cell cell);
  // Soon it will be read.
  static void PrefetchEntry(Cell cell);
  // Says so without a row.
  static Cell Bare(CellStatus status) { return static_cast<Cell>(status); }

  // Whether the row added last is this one.
  bool IsLast(const VisibleRow& row) const;
  size_t bytes() const { return bytes_; }

 private:
  struct Entry;
  Entry* Allocate(size_t bytes);

  std::vector<std::unique_ptr<char[]>> chunks_;
  char* next_ = nullptr;
  size_t left_ = 0;
  size_t bytes_ = 0;
  const Entry* last_ = nullptr;
};

// Rows of spine batches that lie next to each other.
struct SpineStretch {
  struct Part {
    const BoundKeys* keys = nullptr;
    absl::Span<const int64_t> times;
    size_t begin = 0;  // rows of the batch
    size_t end = 0;
  };
  std::vector<Part> parts;
  size_t row_count = 0;
  absl::Span<const uint64_t> known_at;  // one a row, or one for all
  size_t first_row = 0;                 // its number in the caller's spine, for errors
};

// Immutable after Find.
class SpinePass {
 public:
  // `horizons`: a plan's, view by view in its order (Flat). All outlive the pass.
  SpinePass(const FeaturePlan& plan, const ReadSources& sources, WorkSharing* workers,
            absl::Span<const Horizon> horizons, size_t row_count, size_t byte_limit);

  // Finds what every view says of every row; rows before a view's horizon are kOutOfRetention. Ends
  // with false when what was found outgrows the limit twice over and there is more than one row:
  // ask for fewer. Errors as FactReader's and WindowReader's.
  absl::StatusOr<bool> Find(const SpineStretch& stretch, const Call& call);

  // What view `flat` (counted over all groups) says of rows [begin, begin + out.size()).
  void Read(size_t flat, size_t begin, absl::Span<VisibleRow> out) const;

  size_t row_count() const { return row_count_; }
  size_t bytes() const { return bytes_.load(); }

 private:
  class Piece;
  absl::Status FindGroup(size_t group, size_t first_view, const SpineStretch& stretch,
                         const Call& call);

  const FeaturePlan& plan_;
  const ReadSources sources_;
  WorkSharing* const workers_;
  const absl::Span<const Horizon> horizons_;
  const size_t row_count_;
  const size_t byte_limit_;
  std::vector<std::vector<FoundRows::Cell>> cells_;  // by view; by row
  std::vector<std::unique_ptr<FoundRows>> found_;    // of all pieces
  std::atomic<size_t> bytes_{0};
  std::atomic<bool> too_large_{false};
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_SPINE_PASS_H_
