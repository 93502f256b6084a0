// SPDX-License-Identifier: Apache-2.0
// One search's comparisons with full-precision rows.
#ifndef FLETCH_INDEX_ROW_SCAN_H_
#define FLETCH_INDEX_ROW_SCAN_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "index/row_store.h"
#include "index/top_k.h"
#include "index/vector_index.h"

namespace fletch {

// Keeps the best hits of the rows it is offered: those of a plain loop over Score, bit for bit.
// Most rows are compared in float alone: a row is passed over when rounding cannot explain how far
// it is from being a hit. Not thread-safe; shorter-lived than its query and rows.
class RowScan {
 public:
  RowScan(VectorMetric metric, const RowStore& rows, const IndexQuery& query);

  // Forgets all hits.
  void Restart();
  // Compares one row, and asks `accept` of it before or after, whichever is dearer last.
  void Offer(RowId row) { Offer(row, !query_.accept_is_dear); }
  absl::Status OfferRange(RowId begin, RowId end);
  // Of rows that are likely to be accepted: `accept` is asked about those near enough.
  absl::Status OfferList(absl::Span<const RowId> rows);

  size_t hit_count() const { return best_->size(); }
  bool full() const { return best_->size() == query_.top_k; }
  // The worst hit. REQUIRES: hit_count() > 0.
  const IndexHit& worst() const { return best_->worst(); }
  // Rows that were scored and are not as near as the threshold.
  size_t beyond_threshold() const { return beyond_threshold_; }
  size_t compared() const { return compared_; }
  // Best first.
  std::vector<IndexHit> Take() { return best_->Take(); }

 private:
  void Offer(RowId row, bool ask_first);
  bool SurelyFarther(RowId row) const;

  const RowStore& rows_;
  const IndexQuery& query_;
  const Scorer scorer_;
  const std::function<bool(const IndexHit&, const IndexHit&)> tie_before_;
  const VectorMetric metric_;
  float (*const quick_sum_)(const float* a, const float* b, size_t d);
  const double query_length_;
  const double slack_;  // of a quick sum, relative to the product of the lengths or to itself
  std::optional<TopK<IndexHit>> best_;
  size_t beyond_threshold_ = 0;
  size_t compared_ = 0;
};

}  // namespace fletch

#endif  // FLETCH_INDEX_ROW_SCAN_H_
