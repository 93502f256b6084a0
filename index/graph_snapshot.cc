// SPDX-License-Identifier: Apache-2.0
#include "index/graph_snapshot.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <numeric>
#include <utility>

namespace fletch {
namespace {

constexpr size_t kHugePage = 2u << 20;
// A code this many times farther from its vector than usual (squared: about a twentieth of the
// vectors' variance) may hide it.
constexpr double kFarResidual = 1000;

}  // namespace

NodeMemory::NodeMemory(size_t bytes)
    : size_(bytes),
      bytes_(static_cast<char*>(
          std::aligned_alloc(kHugePage, (bytes + kHugePage - 1) / kHugePage * kHugePage))) {
  if (bytes_ == nullptr) throw std::bad_alloc();
  // Small pages do as well, a little slower.
  madvise(bytes_.get(), bytes, MADV_HUGEPAGE);
}

void NodeMemory::Free::operator()(char* p) const { std::free(p); }

void GraphSnapshot::SetRows(size_t node_count, const std::vector<uint32_t>& row_of,
                            const std::vector<uint32_t>& node_of) {
  row_start.assign(node_count + 1, 0);
  for (const uint32_t node : node_of) ++row_start[node + 1];
  std::partial_sum(row_start.begin(), row_start.end(), row_start.begin());
  std::vector<uint32_t> next(row_start.begin(), row_start.end() - 1);
  rows.resize(row_of.size());
  for (size_t i = 0; i < row_of.size(); ++i) rows[next[node_of[i]]++] = row_of[i];
  for (size_t node = 0; node < node_count; ++node) {
    if (row_start[node + 1] - row_start[node] < 2) continue;
    std::sort(rows.begin() + row_start[node], rows.begin() + row_start[node + 1]);
  }
}

void GraphSnapshot::SetOrphans(const std::vector<uint32_t>& lost) {
  for (const uint32_t node : lost) {
    orphans.insert(orphans.end(), rows.begin() + row_start[node],
                   rows.begin() + row_start[node + 1]);
  }
  std::sort(orphans.begin(), orphans.end());
  orphans.erase(std::unique(orphans.begin(), orphans.end()), orphans.end());
}

void NodeCoder::UseFloats() {
  kind_ = CodeKind::kFloat;
  ranges_ = {};
}

void NodeCoder::UseRanges(CodeRanges ranges) {
  kind_ = CodeKind::kInt8;
  ranges_ = std::move(ranges);
  usual_residual_ = UsualResidual(ranges_);
}

void NodeCoder::Learn(size_t count, absl::FunctionRef<const float*(size_t i)> vector,
                      bool trimmed) {
  CodeRanges ranges = LearnRanges(dimension_, count, vector, trimmed);
  if (ranges.low.empty()) {
    UseFloats();
  } else {
    UseRanges(std::move(ranges));
  }
}

bool NodeCoder::Write(const float* v, const NodeLayout& layout, char* node) const {
  std::memset(node, 0, layout.link_count);
  float bias = 0;
  bool near = true;
  if (kind_ == CodeKind::kFloat) {
    std::memcpy(node, v, dimension_ * sizeof(float));
    bias = PlainBias(metric_, v, dimension_);
  } else {
    auto* const code = reinterpret_cast<uint8_t*>(node);
    near = EncodeVector(ranges_, v, code) <= kFarResidual * usual_residual_;
    bias = CodeBias(metric_, ranges_, v, code);
  }
  std::memcpy(node + layout.bias, &bias, sizeof(bias));
  return near;
}

}  // namespace fletch
