// SPDX-License-Identifier: Apache-2.0
#include "server/engine/engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "server/engine/collections.h"
#include "server/engine/commit_log.h"
#include "server/engine/commit_pipeline.h"
#include "server/engine/history.h"
#include "server/engine/online_reader.h"
#include "server/engine/search.h"
#include "server/engine/snapshot.h"
#include "server/engine/time_text.h"
#include "server/engine/training_join.h"
#include "server/engine/write_encoder.h"
#include "storage/fact_store.h"
#include "storage/online_table.h"
#include "storage/row_codec.h"

namespace fletch {

// In the order in which they are made; they go in the reverse order, so the commit thread ends
// before what it feeds.
struct Engine::Parts {
  std::unique_ptr<KvStore> store;
  const Clock* clock;
  std::unique_ptr<Catalog> catalog;
  std::unique_ptr<OnlineTable> online;
  std::unique_ptr<Collections> collections;
  PlanCache plans;
  std::unique_ptr<CommitPipeline> pipeline;

  // What a read asks about.
  struct Moment {
    int64_t as_of = 0;
    uint64_t read_seq = 0;
  };
  absl::StatusOr<Moment> Resolve(std::optional<int64_t> as_of,
                                 const std::optional<KnownAt>& known_at, uint64_t min_seq,
                                 const Call& call);
  absl::Status LoadLatest();
  // The plan, from a catalog at which it was resolved.
  absl::StatusOr<std::shared_ptr<const FeaturePlan>> Plan(const std::string& project,
                                                          const Selection& selection) {
    return plans.Get(*catalog->Snapshot(), project, selection);
  }
  void Submit(absl::StatusOr<EncodedWrite> write, const std::string& project,
              const std::string& request_id, Durability durability, uint64_t payload_hash,
              const Call& call, WriteDone done);
  void AddGauges(MetricRegistry* metrics);
};

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

// The online table from the latest family.
absl::Status Engine::Parts::LoadLatest() {
  auto snapshot = catalog->Snapshot();
  for (const std::shared_ptr<const View>& view : snapshot->AllViews()) {
    const std::string prefix = ViewPrefix(view->schema.view_id);
    auto it = store->NewIterator(Family::kLatest);
    for (it->Seek(prefix); it->Valid() && it->key().substr(0, prefix.size()) == prefix;
         it->Next()) {
      ASSIGN_OR_RETURN(Latest latest, DecodeLatest(it->value()));
      if (latest.state == Latest::State::kRow) {
        RETURN_IF_ERROR(RowView::Parse(&view->layout, latest.row).status());
        latest.row = WithoutVectors(view->layout, latest.row);
      }
      online->Set(view->schema.entity_id, it->key().substr(prefix.size()),
                  OnlineSlot{view->schema.view_id, latest.state, latest.event_time,
                             latest.commit_seq, latest.changed_seq, latest.row});
    }
    RETURN_IF_ERROR(it->status());
  }
  return absl::OkStatus();
}

void Engine::Parts::AddGauges(MetricRegistry* metrics) {
  metrics->AddGauge("fletch_online_entities", "Entities in the online table.", {},
                    [this] { return static_cast<double>(online->entity_count()); });
  metrics->AddGauge("fletch_online_bytes", "Bytes of the online table.", {},
                    [this] { return static_cast<double>(online->bytes()); });
  metrics->AddGauge("fletch_online_complete",
                    "0: the memory budget is used up and some rows are read from disk.", {},
                    [this] { return online->complete() ? 1.0 : 0.0; });
  metrics->AddGauge("fletch_applied_seq", "Newest commit that every read sees.", {},
                    [this] { return static_cast<double>(pipeline->applied_seq()); });
  metrics->AddGauge("fletch_disk_bytes", "Bytes of the store's files.", {},
                    [this] { return static_cast<double>(store->DiskBytes()); });
  metrics->AddGauge("fletch_vectors", "Live vectors of all indexes.", {}, [this] {
    uint64_t vectors = 0;
    for (const auto& collection : collections->All()) vectors += collection->live_vectors();
    return static_cast<double>(vectors);
  });
}

absl::StatusOr<std::unique_ptr<Engine>> Engine::Open(std::unique_ptr<KvStore> store,
                                                     const Clock* clock, MetricRegistry* metrics,
                                                     const EngineOptions& options) {
  auto parts = std::make_unique<Parts>();
  Parts* p = parts.get();
  p->store = std::move(store);
  p->clock = clock;
  ASSIGN_OR_RETURN(p->catalog, Catalog::Open(p->store.get()));
  p->online = std::make_unique<OnlineTable>(options.online_budget_bytes);
  p->collections = std::make_unique<Collections>(p->store.get(), clock);
  RETURN_IF_ERROR(p->LoadLatest());
  RETURN_IF_ERROR(p->collections->Refresh(*p->catalog->Snapshot()));
  ASSIGN_OR_RETURN(CommitState state, OpenCommitLog(p->store.get()));
  p->pipeline = std::make_unique<CommitPipeline>(
      p->store.get(), p->catalog.get(), p->online.get(), clock, metrics, std::move(state),
      [p](const View& view, std::string_view key, const Latest& latest) {
        p->collections->Apply(view, key, latest);
      });
  if (options.background) {
    p->collections->StartMaintenance([p] { return p->pipeline->applied_seq(); });
  }
  p->AddGauges(metrics);
  return std::unique_ptr<Engine>(new Engine(std::move(parts)));
}

Engine::Engine(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Engine::~Engine() {
  parts_->collections->StopMaintenance();  // it asks the pipeline
}

absl::StatusOr<v1::ApplyResponse> Engine::Apply(const v1::ApplyRequest& request) {
  if (request.dry_run()) return parts_->catalog->Apply(request);
  absl::StatusOr<v1::ApplyResponse> response;
  parts_->pipeline->RunExclusive([&] {
    response = parts_->catalog->Apply(request);
    if (!response.ok()) return;
    absl::Status refreshed = parts_->collections->Refresh(*parts_->catalog->Snapshot());
    if (!refreshed.ok()) response = refreshed;
  });
  return response;
}

absl::StatusOr<v1::GetResponse> Engine::Get(const v1::GetRequest& request) const {
  return parts_->catalog->Snapshot()->Get(request);
}

absl::StatusOr<v1::ListResponse> Engine::List(const v1::ListRequest& request) const {
  return parts_->catalog->Snapshot()->List(request);
}

absl::StatusOr<v1::DeleteObjectResponse> Engine::Delete(const v1::DeleteObjectRequest& request) {
  absl::StatusOr<v1::DeleteObjectResponse> response;
  parts_->pipeline->RunExclusive([&] {
    absl::StatusOr<Catalog::Deleted> deleted = parts_->catalog->Delete(request);
    if (!deleted.ok()) {
      response = deleted.status();
      return;
    }
    for (const auto& view : deleted->views) {
      parts_->online->DropView(view->schema.entity_id, view->schema.view_id);
    }
    absl::Status refreshed = parts_->collections->Refresh(*parts_->catalog->Snapshot());
    if (!refreshed.ok()) {
      response = refreshed;
      return;
    }
    response.emplace().set_revision(deleted->revision);
  });
  return response;
}

void Engine::Parts::Submit(absl::StatusOr<EncodedWrite> write, const std::string& project,
                           const std::string& request_id, Durability durability,
                           uint64_t payload_hash, const Call& call, WriteDone done) {
  if (!write.ok()) return done(write.status());
  CommitRequest request{.write = *std::move(write),
                        .sync = durability == Durability::kSync,
                        .request_key = request_id.empty() ? "" : RequestKey(project, request_id),
                        .payload_hash = payload_hash,
                        .call = call,
                        .done = done};
  absl::Status submitted = pipeline->Submit(std::move(request));
  if (!submitted.ok()) done(submitted);
}

void Engine::Write(WriteRequest request, const Call& call, WriteDone done) {
  const std::string project = request.project, request_id = request.request_id;
  const Durability durability = request.durability;
  const uint64_t payload_hash = request.payload_hash;
  parts_->Submit(
      EncodeWrite(*parts_->catalog->Snapshot(), std::move(request), parts_->clock->NowMicros()),
      project, request_id, durability, payload_hash, call, std::move(done));
}

void Engine::DeleteRows(KeyedRequest request, const Call& call, WriteDone done) {
  WriteKeyed(std::move(request), FactForm::kTombstone, call, std::move(done));
}

void Engine::Retract(KeyedRequest request, const Call& call, WriteDone done) {
  WriteKeyed(std::move(request), FactForm::kRetraction, call, std::move(done));
}

void Engine::WriteKeyed(KeyedRequest request, FactForm form, const Call& call, WriteDone done) {
  const std::string project = request.project, request_id = request.request_id;
  const Durability durability = request.durability;
  const uint64_t payload_hash = request.payload_hash;
  parts_->Submit(EncodeKeyed(*parts_->catalog->Snapshot(), std::move(request), form,
                             parts_->clock->NowMicros()),
                 project, request_id, durability, payload_hash, call, std::move(done));
}

std::optional<absl::StatusOr<OnlineAnswer>> Engine::TryGetOnline(const OnlineRequest& request,
                                                                 const Call& call) {
  if (request.min_seq > applied_seq()) return std::nullopt;
  if (request.known_at.has_value() && request.known_at->by_time) return std::nullopt;
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
  Snapshot snapshot(parts_->online.get(), parts_->store.get(), moment.as_of, moment.read_seq);
  ASSIGN_OR_RETURN(auto columns, ReadFeatures(*answer.plan, request.keys, request.row_count,
                                              request.event_times, may_block, call, &snapshot));
  if (!columns.has_value()) return std::nullopt;
  answer.columns = *std::move(columns);
  return answer;
}

namespace {

class AdmittedRead : public HistoricalRead {
 public:
  AdmittedRead(std::shared_ptr<const FeaturePlan> plan, const HistoricalHeader& header,
               uint64_t read_seq, const KvStore* store, const Clock* clock,
               CommitPipeline* pipeline)
      : plan_(std::move(plan)),
        as_served_(header.mode == KnownAtMode::kAsServed),
        event_times_(header.event_times),
        read_seq_(read_seq),
        store_(store),
        clock_(clock),
        pipeline_(pipeline) {}

  const FeaturePlan& plan() const override { return *plan_; }
  uint64_t read_seq() const override { return read_seq_; }

  absl::StatusOr<std::vector<Column>> Join(const SpineBatch& spine, const Call& call) override {
    RETURN_IF_ERROR(call.Check());
    std::vector<uint64_t> known_at = {read_seq_};
    if (as_served_ && spine.row_count > 0) {
      RETURN_IF_ERROR(CheckReached(spine));
      ASSIGN_OR_RETURN(known_at, pipeline_->ResolveTimes(spine.timestamps));
      read_seq_ = std::max(read_seq_, *std::max_element(known_at.begin(), known_at.end()));
    }
    return JoinSpine(*plan_, *store_, spine, known_at, event_times_, call);
  }

 private:
  absl::Status CheckReached(const SpineBatch& spine) const {
    const int64_t now = clock_->NowMicros();
    for (size_t row = 0; row < spine.timestamps.size(); ++row) {
      if (spine.timestamps[row] <= now) continue;
      return FailedPrecondition(
          "NOT_YET_KNOWN",
          absl::StrCat("the timestamp of spine row ", row,
                       " lies after the daemon's clock, so nothing was served then"),
          "timestamps");
    }
    return absl::OkStatus();
  }

  const std::shared_ptr<const FeaturePlan> plan_;
  const bool as_served_;
  const bool event_times_;
  uint64_t read_seq_;
  const KvStore* const store_;
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
  return std::make_unique<AdmittedRead>(std::move(plan), header, moment.read_seq,
                                        parts_->store.get(), parts_->clock, parts_->pipeline.get());
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
  return ReadHistoryPage(*parts_->store, **view, request, read_seq);
}

absl::StatusOr<SearchAnswer> Engine::Search(const SearchRequest& request, const Call& call) {
  RETURN_IF_ERROR(call.Check());
  auto catalog = parts_->catalog->Snapshot();
  ASSIGN_OR_RETURN(IndexedField index, FindIndexedField(*catalog, request.project, request.index));
  std::shared_ptr<VectorCollection> collection =
      parts_->collections->Find(index.view->schema.view_id, index.field);
  if (collection == nullptr) {
    return NotFound(absl::StrCat("index ", request.index, " was deleted meanwhile"), "index");
  }
  ASSIGN_OR_RETURN(Parts::Moment moment,
                   parts_->Resolve(request.as_of, request.known_at, request.min_seq, call));
  SearchContext context{catalog.get(), collection.get(), parts_->online.get(), parts_->store.get(),
                        &parts_->plans};
  return RunSearch(context, request, moment.as_of, moment.read_seq, call);
}

EngineStatus Engine::Status() const {
  EngineStatus status;
  status.applied_seq = parts_->pipeline->applied_seq();
  status.applied_time = parts_->pipeline->applied_time();
  status.registry_revision = parts_->catalog->Snapshot()->revision();
  const OnlineTable& online = *parts_->online;
  status.online_entities = online.entity_count();
  status.online_bytes = online.bytes();
  status.online_budget_bytes = online.budget_bytes();
  status.online_complete = online.complete();
  status.disk_bytes = parts_->store->DiskBytes();
  for (const auto& collection : parts_->collections->All()) {
    const ViewSchema& schema = collection->view().schema;
    status.indexes.push_back(
        {schema.project,
         absl::StrCat(schema.versioned_name(), ":", schema.fields[collection->field()].name),
         collection->live_vectors(), collection->graph_vectors(), collection->buffered_vectors(),
         collection->building()});
  }
  if (!status.online_complete) {
    status.warnings.push_back(
        "the online table's memory budget is used up; some rows are read from disk: raise "
        "online_budget");
  }
  return status;
}

uint64_t Engine::applied_seq() const { return parts_->pipeline->applied_seq(); }

}  // namespace fletch
