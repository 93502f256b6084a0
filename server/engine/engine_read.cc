// SPDX-License-Identifier: Apache-2.0
// What is asked: online, historical, history.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "server/engine/engine_parts.h"
#include "server/engine/history.h"
#include "server/engine/snapshot.h"
#include "server/engine/time_text.h"
#include "server/engine/training_join.h"

namespace fletch {

// K first, then T, so that every commit of K was made when T is.
absl::StatusOr<Engine::Parts::Moment> Engine::Parts::Resolve(std::optional<int64_t> as_of,
                                                             const std::optional<KnownAt>& known_at,
                                                             uint64_t min_seq, const Call& call) {
  if (min_seq > pipeline->applied_seq()) RETURN_IF_ERROR(pipeline->WaitForSeq(min_seq, call));
  Moment moment{0, pipeline->applied_seq()};
  if (known_at.has_value()) {
    ASSIGN_OR_RETURN(moment.read_seq, pipeline->Resolve(*known_at));
  }
  const int64_t now = clock->NowMicros();
  moment.as_of = as_of.value_or(now);
  if (moment.as_of > now) {
    return OutOfRange(
        absl::StrCat("as_of ", TimeText(moment.as_of), " lies after the daemon's clock (",
                     TimeText(now), "); ask about now or the past"),
        "as_of");
  }
  return moment;
}

bool Engine::Parts::ResolvesAtOnce(const std::optional<KnownAt>& known_at, uint64_t min_seq) const {
  return min_seq <= pipeline->applied_seq() && !(known_at.has_value() && known_at->by_time);
}

std::optional<absl::StatusOr<OnlineAnswer>> Engine::TryGetOnline(const OnlineRequest& request,
                                                                 const Call& call) {
  if (!parts_->ResolvesAtOnce(request.known_at, request.min_seq)) return std::nullopt;
  absl::StatusOr<std::optional<OnlineAnswer>> answer =
      ReadOnline(request, /*may_block=*/false, call);
  if (!answer.ok()) return answer.status();
  if (!answer->has_value()) return std::nullopt;
  return **std::move(answer);
}

absl::StatusOr<OnlineAnswer> Engine::GetOnline(const OnlineRequest& request, const Call& call) {
  ASSIGN_OR_RETURN(std::optional<OnlineAnswer> answer,
                   ReadOnline(request, /*may_block=*/true, call));
  return std::move(answer).value();
}

absl::StatusOr<std::optional<OnlineAnswer>> Engine::ReadOnline(const OnlineRequest& request,
                                                               bool may_block, const Call& call) {
  RETURN_IF_ERROR(call.Check());
  OnlineAnswer answer;
  ASSIGN_OR_RETURN(answer.plan, parts_->Plan(request.project, request.selection));
  ASSIGN_OR_RETURN(Parts::Moment moment,
                   parts_->Resolve(request.as_of, request.known_at, request.min_seq, call));
  answer.as_of = moment.as_of;
  answer.read_seq = moment.read_seq;
  Snapshot snapshot(parts_->Sources(), moment.as_of, moment.read_seq);
  ASSIGN_OR_RETURN(auto columns, ReadFeatures(*answer.plan, request.keys, request.request_context,
                                              request.row_count, request.event_times, may_block,
                                              call, &snapshot));
  if (!columns.has_value()) return std::nullopt;
  answer.columns = *std::move(columns);
  parts_->parity_sampler->Offer(request, answer);
  return answer;
}

namespace {

class AdmittedRead : public HistoricalRead {
 public:
  AdmittedRead(std::shared_ptr<const FeaturePlan> plan, const HistoricalHeader& header,
               uint64_t read_seq, const ReadSources& sources, WorkSharing* workers,
               const Clock* clock, CommitPipeline* pipeline)
      : plan_(std::move(plan)),
        as_served_(header.mode == KnownAtMode::kAsServed),
        event_times_(header.event_times),
        mark_out_of_range_(header.mark_out_of_range),
        read_seq_(read_seq),
        sources_(sources),
        workers_(workers),
        clock_(clock),
        pipeline_(pipeline) {}

  const FeaturePlan& plan() const override { return *plan_; }
  uint64_t read_seq() const override { return read_seq_; }

  absl::StatusOr<std::unique_ptr<JoinedSpine>> Join(std::vector<SpineBatch> batches,
                                                    const Call& call) override {
    RETURN_IF_ERROR(call.Check());
    SpineJoinRequest request{.plan = plan_,
                             .batches = std::move(batches),
                             .known_at = {read_seq_},
                             .event_times = event_times_,
                             .mark_out_of_range = mark_out_of_range_,
                             .rows_before = rows_joined_};
    if (as_served_) RETURN_IF_ERROR(ResolveEachRow(&request));
    for (const SpineBatch& batch : request.batches) rows_joined_ += batch.row_count;
    return JoinSpine(sources_, workers_, std::move(request), call);
  }

 private:
  absl::Status ResolveEachRow(SpineJoinRequest* request) {
    const int64_t now = clock_->NowMicros();
    std::vector<int64_t> times;
    for (const SpineBatch& batch : request->batches) {
      times.insert(times.end(), batch.timestamps.begin(), batch.timestamps.end());
    }
    if (times.empty()) return absl::OkStatus();
    for (size_t row = 0; row < times.size(); ++row) {
      if (times[row] <= now) continue;
      return FailedPrecondition(
          "NOT_YET_KNOWN",
          absl::StrCat("the timestamp of spine row ", rows_joined_ + row,
                       " lies after the daemon's clock, so nothing was served then"),
          "timestamps");
    }
    ASSIGN_OR_RETURN(request->known_at, pipeline_->ResolveTimes(times));
    request->known_at_each_row = true;
    read_seq_ =
        std::max(read_seq_, *std::max_element(request->known_at.begin(), request->known_at.end()));
    return absl::OkStatus();
  }

  const std::shared_ptr<const FeaturePlan> plan_;
  const bool as_served_;
  const bool event_times_;
  const bool mark_out_of_range_;
  uint64_t read_seq_;
  uint64_t rows_joined_ = 0;
  const ReadSources sources_;
  WorkSharing* const workers_;
  const Clock* const clock_;
  CommitPipeline* const pipeline_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HistoricalRead>> Engine::BeginHistorical(
    const HistoricalHeader& header, const Call& call) {
  RETURN_IF_ERROR(call.Check());
  ASSIGN_OR_RETURN(auto plan, parts_->Plan(header.project, header.selection));
  ASSIGN_OR_RETURN(Parts::Moment moment,
                   parts_->Resolve(std::nullopt, header.known_at, header.min_seq, call));
  return std::make_unique<AdmittedRead>(std::move(plan), header, moment.read_seq, parts_->Sources(),
                                        parts_->join_workers.get(), parts_->clock,
                                        parts_->pipeline.get());
}

absl::StatusOr<HistoryAnswer> Engine::GetHistory(const HistoryRequest& request,
                                                 const Call& call) const {
  RETURN_IF_ERROR(call.Check());
  auto view = parts_->catalog->Snapshot()->FindView(request.project, request.feature_view);
  if (!view.ok()) return PrefixField(view.status(), "feature_view");
  uint64_t read_seq = 0;
  if (request.page_token.empty()) {
    ASSIGN_OR_RETURN(Parts::Moment moment,
                     parts_->Resolve(std::nullopt, request.known_at, 0, call));
    read_seq = moment.read_seq;
  } else {
    ASSIGN_OR_RETURN(read_seq, PageTokenSeq(request.page_token));
  }
  return ReadHistoryPage(*parts_->store, *parts_->horizons, **view, request, read_seq);
}

}  // namespace fletch
