// SPDX-License-Identifier: Apache-2.0
// What a vector collection says of itself: VectorService.DescribeIndex.
#ifndef FLETCH_SERVER_ENGINE_INDEX_DESCRIPTION_H_
#define FLETCH_SERVER_ENGINE_INDEX_DESCRIPTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "index/graph_data.h"

namespace fletch {

// As DescribeIndexResponse's fields of the same names.
struct IndexDescription {
  GraphParameters parameters;  // of the newest graph; of the next one while there is none
  uint64_t vectors = 0;
  uint64_t graph_vectors = 0;
  uint64_t buffered_vectors = 0;
  uint64_t dead_vectors = 0;
  uint64_t unreachable_vectors = 0;
  std::string encoding;                  // empty: no graph
  std::vector<EffortPoint> calibration;  // ascending
  uint64_t graph_bytes = 0;
  uint64_t vector_bytes = 0;
  uint64_t other_bytes = 0;
  uint64_t file_bytes = 0;
  uint64_t file_seq = 0;       // 0: no file
  std::string state = "idle";  // "building", "saving"
  double progress = 0;
  std::string warning;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_INDEX_DESCRIPTION_H_
