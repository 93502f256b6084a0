// SPDX-License-Identifier: Apache-2.0
#include "reference_hnswlib.h"

#include <hnswlib/hnswlib.h>

namespace fletch::bench {

struct ReferenceHnsw::State {
  State(size_t dimension, size_t capacity) : space(dimension), graph(&space, capacity, 16, 200) {}
  hnswlib::InnerProductSpace space;
  hnswlib::HierarchicalNSW<float> graph;
};

ReferenceHnsw::ReferenceHnsw(size_t dimension, size_t capacity)
    : state_(std::make_unique<State>(dimension, capacity)) {}
ReferenceHnsw::~ReferenceHnsw() = default;

void ReferenceHnsw::Add(const float* vector, uint32_t label) {
  state_->graph.addPoint(vector, label);
}

std::vector<uint32_t> ReferenceHnsw::Search(const float* query, size_t k, size_t ef) {
  state_->graph.setEf(ef);
  auto queue = state_->graph.searchKnn(query, k);
  std::vector<uint32_t> labels;
  for (; !queue.empty(); queue.pop()) labels.push_back(static_cast<uint32_t>(queue.top().second));
  return labels;
}

}  // namespace fletch::bench
