// SPDX-License-Identifier: Apache-2.0
// How much of the exact answer searches find: on demand over random entities, and in production
// over a sample of what is asked.
#ifndef FLETCH_SERVER_ENGINE_RECALL_AUDIT_H_
#define FLETCH_SERVER_ENGINE_RECALL_AUDIT_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/call.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "fletch/v1/vector.pb.h"
#include "server/engine/catalog.h"
#include "server/engine/sampling.h"
#include "server/engine/search.h"
#include "server/engine/types.h"

namespace fletch {

// Asks a search as it stands, without a sample being taken of it.
using AskSearch = std::function<absl::StatusOr<SearchAnswer>(const SearchRequest&, const Call&)>;

// The share of the exact answer that was found: a hit at least as near as the last exact one
// counts, so ties and order do not matter. Scores are best first. Nothing to be found: 1.
double RecallOf(Metric metric, absl::Span<const float> found, absl::Span<const float> exact);

// VectorService.AuditRecall; all but `reachability`. The entities are those with the least hashes
// of (seed, key) among those whose latest row has a vector that is visible now, so the same seed
// and facts choose the same. Reads every latest row of the view once. `store`, `clock` and `view`
// outlive the call.
absl::StatusOr<v1::AuditRecallResponse> AuditRecall(const KvStore* store, const Clock& clock,
                                                    const IndexedField& index,
                                                    const RecallAuditRequest& request,
                                                    const AskSearch& ask, const Call& call);

// Asks a sample of what is searched again, exactly, behind the callers. Thread-safe.
class RecallSampler {
 public:
  struct Sources {
    AskSearch ask;
    std::function<bool(ViewId, size_t field)> is_there;  // the index; else its gauges are NaN
    MetricRegistry* metrics;
  };
  // `share` of the offered searches, 0 to 1; with 0 there is no thread. What `sources` name
  // outlives it. Metrics: fletch_search_recall and fletch_search_target_recall by project and
  // index, and fletch_search_recall_samples_total, fletch_search_recall_dropped_total.
  RecallSampler(double share, Sources sources);
  // Ends without the searches that still wait.
  ~RecallSampler();
  RecallSampler(const RecallSampler&) = delete;
  RecallSampler& operator=(const RecallSampler&) = delete;

  // Takes a copy of a share of those that walked a graph with the index's own effort (no ef, no
  // target_recall), unless as many wait as limits.h allows. Never waits.
  void Offer(const IndexedField& index, const SearchRequest& request, const SearchAnswer& answer) {
    if (share_.Chooses()) Take(index, request, answer);
  }

  struct Recall {
    double recall = 0;     // of the newest limits::kRecallSamplesKept; 0: none
    uint64_t samples = 0;  // since start
  };
  Recall Of(ViewId view_id, size_t field) const;
  // Waits until nothing that was taken waits any more. For tests.
  void Drain();

 private:
  using IndexId = std::pair<ViewId, size_t>;
  struct Sample {
    IndexedField index;
    SearchRequest request;  // at its own (as_of, read_seq), exact, without features
    std::vector<float> scores;
  };
  // The newest samples of one index.
  class Window;

  void Take(const IndexedField& index, const SearchRequest& request, const SearchAnswer& answer);
  void Run();
  std::optional<Sample> Next();
  absl::Status Check(const Sample& sample);
  std::shared_ptr<Window> WindowOf(const IndexedField& index);

  const ShareOf share_;
  const Sources sources_;
  Counter* const samples_;
  Counter* const dropped_;
  std::atomic<bool> stopping_{false};
  mutable Mutex mu_;
  CondVar wake_;
  CondVar idle_;
  std::deque<Sample> queue_ ABSL_GUARDED_BY(mu_);
  bool working_ ABSL_GUARDED_BY(mu_) = false;
  std::map<IndexId, std::shared_ptr<Window>> windows_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_RECALL_AUDIT_H_
