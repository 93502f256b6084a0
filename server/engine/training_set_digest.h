// SPDX-License-Identifier: Apache-2.0
// The canonical encoding of a training read's result (storage/FORMAT.md, Training sets), digested:
// the same for the same rows, however they were batched, stored or computed.
#ifndef FLETCH_SERVER_ENGINE_TRAINING_SET_DIGEST_H_
#define FLETCH_SERVER_ENGINE_TRAINING_SET_DIGEST_H_

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "server/engine/feature_plan.h"
#include "server/engine/sha256.h"
#include "server/engine/types.h"

namespace fletch {

// Thread-compatible.
class TrainingSetDigest {
 public:
  // The columns by their resolved refs. `plan` must outlive it.
  explicit TrainingSetDigest(const FeaturePlan& plan);

  // The next rows. REQUIRES: the batch was joined, its columns are of the plan's types; `columns`
  // are the plan's with event times (none: all unset).
  void Add(const SpineBatch& batch, absl::Span<const Column> columns);
  // SHA-256, 32 bytes. Nothing may be called after.
  std::string Finish();

 private:
  std::vector<std::string> key_names_;      // sorted
  std::vector<std::string> context_names_;  // sorted
  Sha256 sha_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_TRAINING_SET_DIGEST_H_
