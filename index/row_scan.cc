// SPDX-License-Identifier: Apache-2.0
#include "index/row_scan.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/status.h"
#include "index/graph_distance.h"

namespace fletch {
namespace {

constexpr size_t kRowsPerCheck = 4096;  // under 1 ms at 100-d
constexpr size_t kRowsAhead = 6;        // in a list, that are fetched while others are compared
constexpr size_t kBytesAhead = 1024;    // of each; the processor goes on by itself

// Below it the float products are so small that they lose more than rounding.
constexpr double kSmallest = 1e-25;
constexpr double kRounding = 1.0 / (1 << 24);  // of one operation on floats

// What d + 3 roundings can add up to, and four more for the score's own.
double Slack(size_t dimension) {
  const double roundings = static_cast<double>(dimension + 7) * kRounding;
  return roundings / (1 - roundings);
}

}  // namespace

RowScan::RowScan(VectorMetric metric, const RowStore& rows, const IndexQuery& query)
    : rows_(rows),
      query_(query),
      scorer_(metric, query.vector),
      tie_before_([&query](const IndexHit& a, const IndexHit& b) {
        return query.tie_before(a.row, b.row);
      }),
      metric_(metric),
      quick_sum_(GraphSum(metric)),
      query_length_(
          std::sqrt(DotDouble(query.vector.data(), query.vector.data(), query.vector.size()))),
      slack_(Slack(query.vector.size())) {
  Restart();
}

void RowScan::Restart() {
  best_.emplace(metric_, query_.top_k, tie_before_);
  beyond_threshold_ = 0;
}

bool RowScan::SurelyFarther(RowId row) const {
  if (!full()) return false;
  const double worst = this->worst().score;
  const double sum =
      quick_sum_(query_.vector.data(), rows_.vector(row).data(), query_.vector.size());
  // What overflowed says nothing.
  if (!(std::abs(sum) <= std::numeric_limits<float>::max())) return false;
  if (metric_ == VectorMetric::kL2) {
    return sum > kSmallest && sum * (1 - slack_) > worst * worst * (1 + slack_);
  }
  const double lengths = query_length_ * rows_.length(row);
  if (!(lengths > kSmallest)) return false;
  return metric_ == VectorMetric::kCosine
             ? sum < (worst - slack_) * lengths
             : sum < worst - std::abs(worst) * slack_ - slack_ * lengths;
}

void RowScan::Offer(RowId row, bool ask_first) {
  if (ask_first && !query_.accept(row)) return;
  ++compared_;
  if (SurelyFarther(row)) return;
  const IndexHit hit{row, rows_.Score(scorer_, row)};
  if (query_.threshold.has_value() && Nearer(metric_, *query_.threshold, hit.score)) {
    ++beyond_threshold_;
    return;
  }
  if (!best_->WouldEnter(hit)) return;
  if (!ask_first && !query_.accept(row)) return;
  best_->Add(hit);
}

absl::Status RowScan::OfferRange(RowId begin, RowId end) {
  for (RowId row = begin; row < end; ++row) {
    if ((row - begin) % kRowsPerCheck == 0) RETURN_IF_ERROR(query_.check());
    Offer(row);
  }
  return query_.check();
}

absl::Status RowScan::OfferList(absl::Span<const RowId> rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i % kRowsPerCheck == 0) RETURN_IF_ERROR(query_.check());
    if (i + kRowsAhead < rows.size()) rows_.Prefetch(rows[i + kRowsAhead], kBytesAhead);
    Offer(rows[i], /*ask_first=*/false);
  }
  return query_.check();
}

}  // namespace fletch
