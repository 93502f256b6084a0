// SPDX-License-Identifier: Apache-2.0
// One job cut into pieces that several threads take in turn. The caller works too, so a job ends
// however busy the helpers are.
#ifndef FLETCH_SERVER_ENGINE_WORK_SHARING_H_
#define FLETCH_SERVER_ENGINE_WORK_SHARING_H_

#include <cstddef>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "base/executor.h"

namespace fletch {

// Thread-safe; outlives the jobs.
class WorkSharing {
 public:
  // `threads` work on a job, its caller among them; 0: one a core.
  explicit WorkSharing(size_t threads);

  size_t threads() const { return threads_; }

  // Calls piece(i) for each i < count, in order of i but several at once. After a piece that is
  // not OK no further ones are begun; the status of the lowest such i is returned. Returns when no
  // piece runs any more.
  absl::Status Run(size_t count, const std::function<absl::Status(size_t)>& piece);

 private:
  const size_t threads_;
  const std::unique_ptr<Executor> helpers_;  // none for one thread
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_WORK_SHARING_H_
