// SPDX-License-Identifier: Apache-2.0
#include "server/engine/training_join.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "base/limits.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/column_writer.h"
#include "server/engine/plan_horizon.h"
#include "server/engine/spine_pass.h"
#include "server/engine/time_text.h"

namespace fletch {
namespace {

constexpr size_t kRowsToTranspose = 512;  // at once: they fit the cache

// About the bytes of one row of a view, for a first guess.
size_t RowBytes(const RowLayout& layout) {
  size_t bytes = 32;
  for (size_t field = 0; field < layout.field_count(); ++field) {
    const DataType& type = layout.type(field);
    bytes += type.is_vector() ? type.dimension * sizeof(float) : type.array ? 64 : 8;
  }
  return bytes;
}

absl::Status CheckTimes(const SpineBatch& batch, uint64_t first_row) {
  if (batch.timestamps.size() != batch.row_count) {
    return InvalidArgument(StrCat("there are ", batch.timestamps.size(), " timestamps for ",
                                  batch.row_count, " spine rows"),
                           "timestamps");
  }
  for (size_t row = 0; row < batch.row_count; ++row) {
    const int64_t time = batch.timestamps[row];
    if (time >= limits::kMinTimeMicros && time <= limits::kMaxTimeMicros) continue;
    return OutOfRange(StrCat("the timestamp of spine row ", first_row + row, " (", time,
                             " us) lies outside the years 0001 to 9999"),
                      "timestamps");
  }
  return absl::OkStatus();
}

class SpineJoin final : public JoinedSpine {
 public:
  SpineJoin(const ReadSources& sources, WorkSharing* workers, SpineJoinRequest request)
      : sources_(sources), workers_(workers), request_(std::move(request)) {
    for (const PlanGroup& group : plan().groups) {
      for (const PlanView& view : group.views) {
        views_.push_back(&view);
        bytes_per_row_ += RowBytes(view.layout());
      }
    }
  }

  absl::Status Begin(const Call& call) {
    first_rows_.push_back(0);
    for (const SpineBatch& batch : request_.batches) {
      RETURN_IF_ERROR(CheckTimes(batch, request_.rows_before + first_rows_.back()));
      ASSIGN_OR_RETURN(keys_.emplace_back(), BindKeys(plan(), batch.keys, batch.row_count, "keys"));
      ASSIGN_OR_RETURN(contexts_.emplace_back(), BindContext(plan(), batch.request_context,
                                                             batch.row_count, "request_context"));
      first_rows_.push_back(first_rows_.back() + batch.row_count);
    }
    RETURN_IF_ERROR(CheckHorizons(Horizons()));
    return row_count() > 0 ? PassOf(0, call).status() : absl::OkStatus();
  }

  absl::StatusOr<std::vector<Column>> Batch(size_t i, const Call& call) override {
    const SpineBatch& batch = request_.batches[i];
    ColumnWriter writer(plan(), batch.row_count, request_.event_times);
    for (size_t row = first_rows_[i]; row < first_rows_[i + 1];) {
      ASSIGN_OR_RETURN(const std::shared_ptr<Pass> pass, PassOf(row, call));
      const size_t end = std::min(first_rows_[i + 1], pass->end());
      RETURN_IF_ERROR(Transpose(*pass, row, end, call, &writer));
      Release(pass, end - row);
      row = end;
    }
    return writer.Finish(contexts_[i], call);
  }

  absl::StatusOr<size_t> SomeBatches(size_t first, const Call& call, const Take& take) override {
    size_t count = 1;
    if (first_rows_[first] < first_rows_[first + 1]) {
      // What lies in another pass is left for later: pieces of work must not wait for one.
      ASSIGN_OR_RETURN(const std::shared_ptr<Pass> pass, PassOf(first_rows_[first], call));
      const size_t most = std::min(workers_->threads(), request_.batches.size() - first);
      while (count < most && first_rows_[first + count + 1] <= pass->end()) ++count;
    }
    RETURN_IF_ERROR(workers_->Run(count, [&](size_t piece) -> absl::Status {
      ASSIGN_OR_RETURN(std::vector<Column> columns, Batch(first + piece, call));
      return take(first + piece, std::move(columns));
    }));
    return count;
  }

 private:
  // What was found of rows [first_row, end()) of all batches together.
  struct Pass {
    Pass(const SpineJoin& join, std::vector<Horizon> of_views, size_t first, size_t count)
        : first_row(first),
          horizons(std::move(of_views)),
          found(join.plan(), join.sources_, join.workers_, horizons, count,
                join.request_.pass_bytes),
          rows_left(count) {}
    size_t end() const { return first_row + found.row_count(); }

    const size_t first_row;
    const std::vector<Horizon> horizons;
    SpinePass found;
    size_t rows_left;  // that no Batch took yet; guarded by mu_
  };

  const FeaturePlan& plan() const { return *request_.plan; }
  size_t row_count() const { return first_rows_.back(); }

  uint64_t KnownAt(size_t row) const {
    return request_.known_at[request_.known_at_each_row ? row : 0];
  }

  std::vector<Horizon> Horizons() const {
    std::vector<Horizon> horizons;
    for (const PlanView* view : views_) horizons.push_back(HorizonOf(*sources_.horizons, *view));
    return horizons;
  }

  // That no row lies before a horizon, unless such rows are to be marked.
  absl::Status CheckHorizons(const std::vector<Horizon>& horizons) const {
    if (request_.mark_out_of_range) {
      if (request_.known_at_each_row) return absl::OkStatus();
      for (size_t v = 0; v < views_.size(); ++v) {
        if (request_.known_at[0] >= horizons[v].floor) continue;
        return CheckMoment(horizons[v], AskedSchema(*views_[v]), limits::kMaxTimeMicros,
                           request_.known_at[0]);
      }
      return absl::OkStatus();
    }
    Horizon latest;
    for (const Horizon& horizon : horizons) {
      latest.time = std::max(latest.time, horizon.time);
      latest.floor = std::max(latest.floor, horizon.floor);
    }
    if (latest.time == Horizon().time && latest.floor == 0) return absl::OkStatus();
    size_t count = 0;
    std::optional<SpineRow> first;
    for (size_t i = 0; i < request_.batches.size(); ++i) {
      for (size_t row = 0; row < request_.batches[i].row_count; ++row) {
        const SpineRow at{first_rows_[i] + row, request_.batches[i].timestamps[row]};
        if (!IsBefore(latest, at.time, KnownAt(at.row))) continue;
        if (count++ == 0) first = at;
      }
    }
    return count == 0 ? absl::OkStatus() : BeforeAny(horizons, *first, count);
  }

  struct SpineRow {
    size_t row;
    int64_t time;
  };
  absl::Status BeforeAny(const std::vector<Horizon>& horizons, const SpineRow& first,
                         size_t count) const {
    const std::string more = count == 1
                                 ? ""
                                 : StrCat(" (and ", count - 1,
                                          " more rows like it; out_of_range MARK answers them "
                                          "with status OUT_OF_RETENTION)");
    const uint64_t row = request_.rows_before + first.row;
    for (size_t v = 0; v < views_.size(); ++v) {
      if (first.time < horizons[v].time) {
        return BeforeHorizon(
            StrCat("the timestamp of spine row ", row, " (", TimeText(first.time), ")", more),
            AskedSchema(*views_[v]), horizons[v].time, "timestamps");
      }
      if (KnownAt(first.row) < horizons[v].floor) {
        return BeforeFloor(
            StrCat("known_at of spine row ", row, " (commit ", KnownAt(first.row), ")", more),
            AskedSchema(*views_[v]), horizons[v].floor, "known_at");
      }
    }
    return absl::OkStatus();
  }

  // The pass that holds the row; finds it when there is none.
  absl::StatusOr<std::shared_ptr<Pass>> PassOf(size_t row, const Call& call) {
    MutexLock lock(&mu_);
    for (const std::shared_ptr<Pass>& pass : passes_) {
      if (pass->first_row <= row && row < pass->end()) return pass;
    }
    ASSIGN_OR_RETURN(std::shared_ptr<Pass> pass, FindPass(row, call));
    passes_.push_back(pass);
    return pass;
  }

  absl::StatusOr<std::shared_ptr<Pass>> FindPass(size_t row, const Call& call)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    size_t limit = std::clamp<size_t>(request_.pass_bytes / bytes_per_row_, 1, request_.pass_rows);
    for (;;) {
      RETURN_IF_ERROR(call.Check());
      auto pass = std::make_shared<Pass>(*this, Horizons(), row, EndOfPass(row, limit) - row);
      ASSIGN_OR_RETURN(const bool fits, pass->found.Find(StretchOf(*pass), call));
      if (!fits) {
        limit = std::max<size_t>(1, pass->found.row_count() / 4);
        bytes_per_row_ = request_.pass_bytes / limit;
        continue;
      }
      // Facts behind a horizon that was raised meanwhile may be gone.
      const std::vector<Horizon> horizons = Horizons();
      RETURN_IF_ERROR(CheckHorizons(horizons));
      if (!request_.mark_out_of_range || SameHorizons(horizons, pass->horizons)) return pass;
    }
  }

  static bool SameHorizons(const std::vector<Horizon>& a, const std::vector<Horizon>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), [](const Horizon& x, const Horizon& y) {
      return x.time == y.time && x.floor == y.floor;
    });
  }

  // At most `limit` rows on, whole batches where one fits.
  size_t EndOfPass(size_t row, size_t limit) const {
    if (row + limit >= row_count()) return row_count();
    const size_t end = *(std::upper_bound(first_rows_.begin(), first_rows_.end(), row + limit) - 1);
    return end > row ? end : row + limit;
  }

  SpineStretch StretchOf(const Pass& pass) const {
    SpineStretch stretch;
    stretch.row_count = pass.found.row_count();
    stretch.first_row = request_.rows_before + pass.first_row;
    stretch.known_at = request_.known_at;
    if (request_.known_at_each_row) {
      stretch.known_at = stretch.known_at.subspan(pass.first_row, stretch.row_count);
    }
    for (size_t i = 0; i < request_.batches.size(); ++i) {
      const size_t begin = std::max(pass.first_row, first_rows_[i]);
      const size_t end = std::min(pass.end(), first_rows_[i + 1]);
      if (begin >= end) continue;
      stretch.parts.push_back({&keys_[i], request_.batches[i].timestamps, begin - first_rows_[i],
                               end - first_rows_[i]});
    }
    return stretch;
  }

  absl::Status Transpose(const Pass& pass, size_t begin, size_t end, const Call& call,
                         ColumnWriter* writer) const {
    std::vector<VisibleRow> rows;
    size_t flat = 0;
    for (size_t g = 0; g < plan().groups.size(); ++g) {
      for (size_t v = 0; v < plan().groups[g].views.size(); ++v, ++flat) {
        RETURN_IF_ERROR(call.Check());
        for (size_t row = begin; row < end; row += rows.size()) {
          rows.resize(std::min(kRowsToTranspose, end - row));
          pass.found.Read(flat, row - pass.first_row, absl::MakeSpan(rows));
          writer->Append(g, v, rows);
        }
      }
    }
    return absl::OkStatus();
  }

  // A pass whose rows are all given away goes.
  void Release(const std::shared_ptr<Pass>& pass, size_t rows) {
    MutexLock lock(&mu_);
    pass->rows_left -= rows;
    if (pass->rows_left == 0) passes_.erase(std::find(passes_.begin(), passes_.end(), pass));
  }

  const ReadSources sources_;
  WorkSharing* const workers_;
  const SpineJoinRequest request_;
  std::vector<const PlanView*> views_;  // of all groups
  std::vector<BoundKeys> keys_;         // by batch, as the next two
  std::vector<BoundContext> contexts_;
  std::vector<size_t> first_rows_;  // and where the last one ends
  Mutex mu_;
  size_t bytes_per_row_ = 0;  // a guess; guarded by mu_ after Begin
  std::vector<std::shared_ptr<Pass>> passes_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<JoinedSpine>> JoinSpine(const ReadSources& sources,
                                                       WorkSharing* workers,
                                                       SpineJoinRequest request, const Call& call) {
  request.known_at_each_row = request.known_at_each_row || request.known_at.size() > 1;
  auto join = std::make_unique<SpineJoin>(sources, workers, std::move(request));
  RETURN_IF_ERROR(join->Begin(call));
  return join;
}

}  // namespace fletch
