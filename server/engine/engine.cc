// SPDX-License-Identifier: Apache-2.0
#include "server/engine/engine.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "server/engine/commit_log.h"
#include "server/engine/engine_parts.h"
#include "storage/fact_store.h"
#include "storage/row_codec.h"

namespace fletch {

// The online table and the vector collections from the latest family.
absl::Status Engine::Parts::LoadLatest() {
  auto snapshot = catalog->Snapshot();
  collections->Load(*snapshot);
  for (const std::shared_ptr<const View>& view : snapshot->AllViews()) {
    const std::string prefix = ViewPrefix(view->schema.view_id);
    const bool is_searchable = collections->IsSearchable(view->schema.view_id);
    auto it = store->NewIterator(Family::kLatest);
    for (it->Seek(prefix); it->Valid() && it->key().substr(0, prefix.size()) == prefix;
         it->Next()) {
      ASSIGN_OR_RETURN(Latest latest, DecodeLatest(it->value()));
      const std::string_view entity_key = it->key().substr(prefix.size());
      if (latest.state == Latest::State::kRow) {
        RETURN_IF_ERROR(RowView::Parse(&view->layout, latest.row).status());
      }
      if (is_searchable) collections->Apply(*view, entity_key, latest);
      if (latest.state == Latest::State::kRow) {
        latest.row = WithoutVectors(view->layout, latest.row);
      }
      online->Set(view->schema.entity_id, entity_key,
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
  metrics->AddGauge(
      "fletch_disk_bytes", "Bytes of the store's and the indexes' files.", {},
      [this] { return static_cast<double>(store->DiskBytes() + collections->file_bytes()); });
  metrics->AddGauge("fletch_window_bytes", "Bytes of the events kept for online windows.", {},
                    [this] { return static_cast<double>(events->bytes()); });
  metrics->AddGauge("fletch_window_entities", "Entities whose events are kept for online windows.",
                    {}, [this] { return static_cast<double>(events->entity_count()); });
  metrics->AddGauge("fletch_field_index_bytes",
                    "Bytes of indexed fields and of the entity keys that searches know.", {},
                    [this] { return static_cast<double>(field_indexes->bytes()); });
  metrics->AddGauge("fletch_vectors", "Live vectors of all indexes.", {}, [this] {
    uint64_t vectors = 0;
    for (const auto& collection : collections->All()) vectors += collection->live_vectors();
    return static_cast<double>(vectors);
  });
}

absl::Status Engine::Parts::RefreshDerived() {
  auto snapshot = catalog->Snapshot();
  events->Refresh(snapshot->AllAggregationViews());
  // Collections first: then entities get their numbers in the order of the rows, so that a scan of
  // rows asks the fields' records in their order.
  RETURN_IF_ERROR(collections->Refresh(*snapshot));
  return field_indexes->Refresh(*snapshot);
}

// The pipeline and what works through it.
absl::Status Engine::Parts::StartCommits(MetricRegistry* metrics) {
  ASSIGN_OR_RETURN(CommitState state, OpenCommitLog(store.get()));
  events->Apply(state.last_seq, state.last_time, {});
  pipeline = std::make_unique<CommitPipeline>(
      store.get(),
      CommitTargets{catalog.get(), horizons.get(), online.get(), field_indexes.get(),
                    collections.get(), events.get(),
                    [this] { return erasures->FinishUnfinished(); }},
      clock, metrics, std::move(state));
  maintenance =
      std::make_unique<Maintenance>(store.get(), catalog.get(), horizons.get(), pipeline.get(),
                                    clock, metrics, [this] { return erasures->unfinished(); });
  ASSIGN_OR_RETURN(
      erasures, Erasures::Open({store.get(), catalog.get(), hasher.get(), training_sets.get(),
                                online.get(), field_indexes.get(), collections.get(), events.get(),
                                maintenance.get(), pipeline.get()}));
  absl::Status finished;
  pipeline->RunExclusive([&] { finished = erasures->FinishUnfinished(); });
  return finished;
}

Catalog::Readers Engine::Parts::TrainingSetReaders() {
  return [this](std::string_view project, std::string_view view_ref) {
    return training_sets->ReadersOf(project, view_ref);
  };
}

absl::StatusOr<std::unique_ptr<Engine>> Engine::Open(std::unique_ptr<KvStore> store,
                                                     const Clock* clock, MetricRegistry* metrics,
                                                     const EngineOptions& options) {
  auto parts = std::make_unique<Parts>();
  Parts* p = parts.get();
  p->store = std::move(store);
  p->clock = clock;
  ASSIGN_OR_RETURN(p->catalog, Catalog::Open(p->store.get()));
  ASSIGN_OR_RETURN(p->horizons, Horizons::Open(p->store.get()));
  ASSIGN_OR_RETURN(p->hasher, KeyHasher::Open(p->store.get()));
  p->join_workers = std::make_unique<WorkSharing>(options.join_threads);
  p->window_overflows =
      metrics->GetCounter("fletch_window_overflows_total",
                          "INT64 sums over windows that did not fit, so are null.", {});
  ASSIGN_OR_RETURN(p->training_sets, TrainingSetStore::Open(p->store.get()));
  p->online = std::make_unique<OnlineTable>(options.online_budget_bytes);
  p->field_indexes = std::make_unique<FieldIndexes>(p->store.get(), p->online.get(), clock);
  ASSIGN_OR_RETURN(const uint64_t newest_seq, NewestCommit(*p->store));
  p->collections = std::make_unique<Collections>(
      p->store.get(), clock,
      CollectionsOptions{[p](EntityId id) { return p->field_indexes->Entities(id); },
                         options.index_folder, newest_seq, options.vector_budget_bytes});
  p->events = std::make_unique<EventIndex>(p->store.get(), options.window_budget_bytes,
                                           p->window_overflows);
  RETURN_IF_ERROR(p->LoadLatest());
  RETURN_IF_ERROR(p->RefreshDerived());
  RETURN_IF_ERROR(p->StartCommits(metrics));
  p->parity_checker = std::make_unique<ParityChecker>(
      ParitySources{p->catalog.get(), p->training_sets.get(), p->Sources(), p->hasher.get()},
      metrics);
  p->parity_sampler = std::make_unique<ParitySampler>(
      options.background ? options.parity_sample : 0, p->parity_checker.get(), metrics);
  p->search_workers = std::make_unique<WorkSharing>(options.join_threads);
  p->recall_sampler = std::make_unique<RecallSampler>(
      options.background ? options.recall_sample : 0,
      RecallSampler::Sources{p->SearchAgain(),
                             [p](ViewId view_id, size_t field) {
                               return p->collections->Find(view_id, field) != nullptr;
                             },
                             metrics});
  if (options.background) {
    p->field_indexes->StartMaintenance();
    p->collections->StartMaintenance([p] { return p->pipeline->applied_seq(); });
    p->maintenance->Start();
  }
  p->AddGauges(metrics);
  return std::unique_ptr<Engine>(new Engine(std::move(parts)));
}

Engine::Engine(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Engine::~Engine() {
  // They ask the pipeline.
  parts_->maintenance->Stop();
  parts_->collections->StopMaintenance();
  parts_->field_indexes->StopMaintenance();
}

absl::StatusOr<v1::ApplyResponse> Engine::Apply(const v1::ApplyRequest& request) {
  const Catalog::Readers readers = parts_->TrainingSetReaders();
  if (request.dry_run()) return parts_->catalog->Apply(request, readers);
  absl::StatusOr<v1::ApplyResponse> response;
  parts_->pipeline->RunExclusive([&] {
    response = parts_->catalog->Apply(request, readers);
    if (!response.ok()) return;
    absl::Status refreshed = parts_->RefreshDerived();
    if (!refreshed.ok()) response = refreshed;
  });
  return response;
}

absl::StatusOr<v1::GetResponse> Engine::Get(const v1::GetRequest& request) const {
  auto catalog = parts_->catalog->Snapshot();
  ASSIGN_OR_RETURN(v1::GetResponse response, catalog->Get(request));
  if (!response.object().has_feature_view()) return response;
  const v1::FeatureView& spec = response.object().feature_view();
  ASSIGN_OR_RETURN(
      const auto view,
      catalog->FindView(request.project(), absl::StrCat(spec.name(), "@v", spec.version())));
  const Horizon horizon = parts_->horizons->Of(view->schema.view_id);
  if (horizon.time != INT64_MIN) response.set_horizon_micros(horizon.time);
  return response;
}

absl::StatusOr<v1::ListResponse> Engine::List(const v1::ListRequest& request) const {
  return parts_->catalog->Snapshot()->List(request);
}

absl::StatusOr<v1::DeleteObjectResponse> Engine::Delete(const v1::DeleteObjectRequest& request) {
  absl::StatusOr<v1::DeleteObjectResponse> response;
  // A fold under way would bring facts of the view back.
  const Maintenance::Standstill standstill(parts_->maintenance.get());
  parts_->pipeline->RunExclusive([&] { response = parts_->Delete(request); });
  return response;
}

absl::StatusOr<v1::DeleteObjectResponse> Engine::Parts::Delete(
    const v1::DeleteObjectRequest& request) {
  ASSIGN_OR_RETURN(const Catalog::Deleted deleted, catalog->Delete(request, TrainingSetReaders()));
  for (const auto& view : deleted.views) {
    online->DropView(view->schema.entity_id, view->schema.view_id);
  }
  RETURN_IF_ERROR(RefreshDerived());
  for (const auto& view : deleted.views) {
    RETURN_IF_ERROR(horizons->Drop(store.get(), view->schema.view_id));
  }
  v1::DeleteObjectResponse response;
  response.set_revision(deleted.revision);
  return response;
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
  status.disk_bytes = parts_->store->DiskBytes() + parts_->collections->file_bytes();
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
  if (parts_->erasures->unfinished()) {
    status.warnings.push_back(
        "an erasure could not be finished, and maintenance rests until it is: it goes on with the "
        "next write or erasure, once the store takes writes again");
  }
  return status;
}

uint64_t Engine::applied_seq() const { return parts_->pipeline->applied_seq(); }

}  // namespace fletch
