// SPDX-License-Identifier: Apache-2.0
// Nearest neighbours among numbered rows: full-precision rows, and an immutable graph of most of
// them behind one pointer. Knows row numbers, vectors and predicates; nothing of entities or time.
#ifndef FLETCH_INDEX_VECTOR_INDEX_H_
#define FLETCH_INDEX_VECTOR_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "index/distance.h"
#include "index/graph_data.h"
#include "index/graph_file.h"

namespace fletch {

using RowId = uint32_t;

struct IndexOptions {
  VectorMetric metric = VectorMetric::kL2;
  size_t dimension = 0;
  GraphParameters parameters = {};
  double target_recall = 0.95;  // of searches that do not say
  std::string folder = {};      // of the rows' file, see RowStore
};

struct IndexHit {
  RowId row = 0;
  float score = 0;  // as distance.h's Score
};

struct IndexQuery {
  absl::Span<const float> vector;  // dimension floats
  size_t top_k = 10;
  size_t ef = 0;             // graph candidates; 0: chosen from target_recall; at least top_k
  double target_recall = 0;  // 0: the index's
  size_t rescore = 0;        // candidates scored at most; 0: as many as can matter; at least top_k
  bool exact = false;        // compare with every accepted row
  std::optional<float> threshold = {};  // only hits with at least this near a score
  // Only rows of which this is true are hits. REQUIRES: may be called from the searching thread,
  // any number of times.
  absl::FunctionRef<bool(RowId)> accept;
  // Asks the memory for what `accept` will need of these rows. Unset: nothing needs it.
  std::optional<absl::FunctionRef<void(absl::Span<const RowId>)>> prepare = {};
  // `accept` may be asked of what a walk found and not on the way, if it passes most rows.
  bool unfiltered = true;
  // True when `accept` costs more than a distance: exact scans then ask it only about rows near
  // enough to be hits.
  bool accept_is_dear = false;
  // When the caller can list all rows that may be accepted: about how many there are, and how to
  // have them, each once. `rows` may find that it cannot, after all.
  struct Listing {
    size_t count;
    absl::FunctionRef<std::optional<std::vector<RowId>>()> rows;
  };
  std::optional<Listing> listing = {};
  // Order of rows with equal scores: true when `a` comes first.
  absl::FunctionRef<bool(RowId a, RowId b)> tie_before;
  double selectivity = 1.0;  // estimated share of rows that `accept` passes, 0 to 1
  double most_nanos = 0;     // a search that is estimated to take longer is not made; 0: any is
  // Asked every few thousand rows; an error ends the search and is returned.
  absl::FunctionRef<absl::Status()> check;
};

struct IndexAnswer {
  std::vector<IndexHit> hits;  // best first
  bool too_long = false;       // no search was made, see most_nanos
  bool used_graph = false;     // the hits are the graph's, which need not be the exact ones
  std::string reason;          // why, or why not, for people
  size_t ef = 0;               // of the walk
  size_t visited = 0;          // vectors compared
  size_t rescored = 0;         // of them again at full precision
  size_t segments = 0;         // graphs searched
  size_t buffered = 0;         // rows after the graph, compared one by one
};

// What it holds.
struct IndexFigures {
  size_t rows = 0;
  size_t graph_rows = 0;
  size_t buffered_rows = 0;  // after the graph
  size_t orphans = 0;        // rows that no walk would reach, compared one by one
  size_t graph_bytes = 0;
  size_t builder_bytes = 0;      // kept while rows keep coming
  size_t row_file_bytes = 0;     // full-precision rows in files
  size_t row_memory_bytes = 0;   // and in anonymous memory
  std::string warning;           // why they are there
  std::optional<CodeKind> code;  // of the graph
  std::vector<EffortPoint> effort;
};

// One thread at a time adds and blanks (the writer) and one builds and saves; any number search,
// without a lock. A graph that searches can see is never changed.
class VectorIndex {
 public:
  explicit VectorIndex(const IndexOptions& options);
  // Begins with the rows and the graph of a file that was opened for the same options.
  VectorIndex(const IndexOptions& options, std::shared_ptr<GraphFile> file);
  ~VectorIndex();
  const IndexOptions& options() const;

  // Writer: stores the vector as the next row (0, 1, 2, …); the next search finds it.
  RowId Add(absl::Span<const float> vector);
  // Writer: overwrites the row's floats. REQUIRES: `accept` and `live` refuse the row, and nobody
  // reads it who asked them before they did; nothing is built or saved meanwhile.
  void Blank(RowId row);
  size_t row_count() const;
  // The row's floats, as added. REQUIRES: row < row_count().
  absl::Span<const float> vector(RowId row) const;

  // Builder: makes a graph of the one there is and the rows after it of which `live` is true (or of
  // all such rows, if there is none), and swaps it in; rows added meanwhile stay after it. Some 0.1
  // to 1 ms a row; what it builds with is kept for the next time, until ForgetBuilder. `cancelled`
  // is asked now and then; `progress` is told 0 to 1. CANCELLED; RESOURCE_EXHAUSTED
  // (OUT_OF_MEMORY).
  absl::Status ExtendGraph(absl::FunctionRef<bool(RowId)> live, absl::FunctionRef<bool()> cancelled,
                           absl::FunctionRef<void(double)> progress);
  void ForgetBuilder();
  bool has_builder() const;

  // Builder: the graph and the rows before its row_limit in a file (WriteGraphFile) at `path`.
  // `label` is empty for rows that are of no use any more: their floats are left out.
  // FAILED_PRECONDITION: there is no graph.
  absl::Status Save(const std::string& path, uint64_t commit_seq,
                    absl::FunctionRef<std::string(RowId)> label,
                    absl::FunctionRef<bool()> cancelled) const;

  // Rows before it are in the graph, or were not live when it was built.
  size_t graph_row_limit() const;
  IndexFigures figures() const;
  // How many of the graph's rows of which `live` is true no walk would reach, by walking all links.
  size_t CountUnreachable(absl::FunctionRef<bool(RowId)> live) const;

  // Exact answers are equal to a plain loop over Score, ties by tie_before, bit for bit. The
  // graph's own answers are scored by Score; a graph answer shorter than an exact one is replaced
  // by it.
  absl::StatusOr<IndexAnswer> Search(const IndexQuery& query) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fletch

#endif  // FLETCH_INDEX_VECTOR_INDEX_H_
