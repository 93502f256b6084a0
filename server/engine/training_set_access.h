// SPDX-License-Identifier: Apache-2.0
// Training sets made, read again and checked: the store's records and spines joined with the facts.
#ifndef FLETCH_SERVER_ENGINE_TRAINING_SET_ACCESS_H_
#define FLETCH_SERVER_ENGINE_TRAINING_SET_ACCESS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/call.h"
#include "base/clock.h"
#include "fletch/v1/historical.pb.h"
#include "fletch/v1/registry.pb.h"
#include "server/engine/catalog.h"
#include "server/engine/commit_pipeline.h"
#include "server/engine/engine.h"
#include "server/engine/snapshot.h"
#include "server/engine/training_set_store.h"
#include "server/engine/work_sharing.h"

namespace fletch {

// What it works with. All of it outlives the sets in the making. Copyable.
struct TrainingSetAccess {
  TrainingSetStore* sets;
  const Catalog* catalog;
  ReadSources sources;
  WorkSharing* workers;
  CommitPipeline* pipeline;
  const Clock* clock;
};

// As Engine::CreateTrainingSet. `read` was begun with `header`, with event times.
absl::StatusOr<std::unique_ptr<TrainingSetWriter>> BeginTrainingSet(
    const TrainingSetAccess& access, const std::string& name, const std::string& description,
    const HistoricalHeader& header, std::unique_ptr<HistoricalRead> read);

// As the methods of Engine.
absl::StatusOr<TrainingSetBatch> ReadTrainingSet(const TrainingSetAccess& access,
                                                 const v1::GetTrainingSetRequest& request,
                                                 const Call& call);
absl::StatusOr<v1::ListTrainingSetsResponse> ListTrainingSets(
    const TrainingSetAccess& access, const v1::ListTrainingSetsRequest& request);
// One batch in memory at a time.
absl::StatusOr<v1::VerifyTrainingSetResponse> VerifyTrainingSet(
    const TrainingSetAccess& access, const v1::VerifyTrainingSetRequest& request, const Call& call);
// The catalog's lineage with training sets, and of a feature view its first and newest commit,
// which costs a look at each of its facts. TRAINING_SET as kind is answered too.
absl::StatusOr<v1::GetLineageResponse> LineageWithTrainingSets(
    const TrainingSetAccess& access, const v1::GetLineageRequest& request);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_TRAINING_SET_ACCESS_H_
