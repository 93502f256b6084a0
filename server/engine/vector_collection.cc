// SPDX-License-Identifier: Apache-2.0
#include "server/engine/vector_collection.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "base/strings.h"
#include "server/engine/vector_collection_state.h"

namespace fletch {
namespace {

// What a live vector takes beside its node: its upper levels, row numbers, times and key, about.
constexpr uint64_t kBytesBesideNode = 96;

IndexOptions OptionsFor(const FieldSchema& schema, const IndexParameters& parameters,
                        const std::string& folder) {
  return {.metric = static_cast<VectorMetric>(*schema.index_metric),
          .dimension = schema.type.dimension,
          .parameters = {parameters.m, parameters.ef_construction},
          .target_recall = parameters.target_recall,
          .folder = folder};
}

}  // namespace

VectorCollection::State::State(std::shared_ptr<const View> v, size_t f, const KvStore* s,
                               const CollectionOptions& o)
    : view(std::move(v)),
      field(f),
      store(s),
      metric(static_cast<VectorMetric>(*view->schema.fields[f].index_metric)),
      dimension(view->schema.fields[f].type.dimension),
      ttl(view->schema.ttl_micros),
      entities(o.entities ? o.entities : std::make_shared<EntityDictionary>()),
      budget_bytes(o.budget_bytes),
      target_recall(view->schema.fields[f].index.target_recall),
      saved(o.folder) {
  MutexLock lock(&sight_mu);
  next_parameters = view->schema.fields[f].index;
  const IndexOptions options = OptionsFor(view->schema.fields[f], next_parameters, saved.folder());
  if (auto file = saved.Open({metric, dimension, options.parameters}, o.newest_seq)) {
    generation = std::make_shared<VectorGeneration>(options, entities, std::move(file));
  } else {
    generation = std::make_shared<VectorGeneration>(options, entities, 0, kBeginningOfTime);
  }
  Publish();
}

absl::StatusOr<std::vector<float>> VectorCollection::State::VectorOf(std::string_view row) const {
  ASSIGN_OR_RETURN(const RowView parsed, RowView::Parse(&view->layout, row));
  return parsed.GetVector(field);
}

VectorSight VectorCollection::State::Look(uint64_t read_seq) const {
  MutexLock lock(&sight_mu);
  return {generation, row_count, future_count, version, newest.At(read_seq)};
}

std::shared_ptr<VectorGeneration> VectorCollection::State::Generation() const {
  MutexLock lock(&sight_mu);
  return generation;
}

void VectorCollection::State::Publish() {
  row_count = static_cast<uint32_t>(generation->index().row_count());
  future_count = generation->future_count();
}

IndexOptions VectorCollection::State::NextOptions() const {
  MutexLock lock(&sight_mu);
  return OptionsFor(view->schema.fields[field], next_parameters, saved.folder());
}

VectorCollection::VectorCollection(std::shared_ptr<const View> view, size_t field,
                                   const KvStore* store, const CollectionOptions& options)
    : state_(std::make_unique<State>(std::move(view), field, store, options)) {}

VectorCollection::~VectorCollection() = default;

const View& VectorCollection::view() const { return *state_->view; }
size_t VectorCollection::field() const { return state_->field; }
uint64_t VectorCollection::live_vectors() const { return state_->Generation()->live_rows(); }
uint64_t VectorCollection::graph_vectors() const {
  return state_->Generation()->index().figures().graph_rows;
}
uint64_t VectorCollection::buffered_vectors() const {
  return state_->Generation()->index().figures().buffered_rows;
}
bool VectorCollection::building() const { return state_->work == State::Work::kBuilding; }
uint64_t VectorCollection::file_bytes() const { return state_->saved.file().bytes; }
void VectorCollection::RequestRebuild() { state_->rebuild_requested = true; }
void VectorCollection::Drop() { state_->saved.Drop(); }

void VectorCollection::SetParameters(const IndexParameters& parameters) {
  state_->target_recall = parameters.target_recall;
  MutexLock lock(&state_->sight_mu);
  state_->next_parameters = parameters;
}

void VectorCollection::Apply(std::string_view entity_key, const Latest& latest, int64_t now) {
  State& s = *state_;
  MutexLock write(&s.write_mu);
  const std::shared_ptr<VectorGeneration> generation = s.Generation();
  const bool loading = s.loading.load();
  if (loading && latest.changed_seq > s.load_base_seq.load())
    s.load_base_seq.store(latest.changed_seq);
  const Ordinal entity = s.entities->Add(entity_key);
  const bool woken = loading && latest.state == Latest::State::kRow &&
                     generation->Wake(entity, latest.event_time, latest.changed_seq);
  bool is_future = false;
  if (!woken) {
    std::vector<float> vector;
    bool readable = true;
    if (latest.state == Latest::State::kRow) {
      absl::StatusOr<std::vector<float>> found = s.VectorOf(latest.row);
      readable = found.ok();
      if (readable) vector = *std::move(found);
    }
    generation->End(entity, latest.changed_seq);
    // An unreadable row is left to the facts for ever: they say what is wrong with it.
    const int64_t event_time = readable ? latest.event_time : std::numeric_limits<int64_t>::max();
    is_future = latest.state != Latest::State::kAbsent && event_time > now;
    if (is_future) {
      generation->AddFuture(entity, event_time, latest.changed_seq, std::move(vector));
    } else if (!vector.empty()) {
      generation->AddRow(entity, event_time, latest.changed_seq, vector);
    }
  }
  MutexLock sight(&s.sight_mu);
  if (!is_future && latest.state != Latest::State::kAbsent) {
    if (loading) {
      s.newest.AddForAll(latest.event_time);
    } else {
      s.newest.Add(latest.changed_seq, latest.event_time);
    }
  }
  s.Publish();
}

absl::Status VectorCollection::Erase(std::string_view entity_key) {
  State& s = *state_;
  MutexLock write(&s.write_mu);
  const std::optional<Ordinal> entity = s.entities->Find(entity_key);
  const std::shared_ptr<VectorGeneration> generation = s.Generation();
  std::vector<RowId> rows;
  if (entity.has_value()) rows = generation->Erase(*entity);
  uint64_t number = 0;
  {
    MutexLock sight(&s.sight_mu);
    number = s.generation_number;
  }
  const absl::Status status = s.saved.Erase(number, rows);
  if (!rows.empty()) s.erased.push_back({generation, std::move(rows)});
  return status;
}

absl::Status VectorCollection::CheckRoom(absl::Span<const std::string_view> entity_keys) const {
  const State& s = *state_;
  const std::shared_ptr<VectorGeneration> generation = s.Generation();
  const IndexOptions options = s.NextOptions();
  const uint64_t bytes_a_vector =
      NodeLayout(CodeKind::kInt8, s.dimension, options.parameters.m).bytes + kBytesBesideNode;
  const uint64_t most = s.budget_bytes / bytes_a_vector;
  const uint64_t live = generation->live_rows();
  if (live + entity_keys.size() <= most) return absl::OkStatus();
  const auto fresh =
      std::count_if(entity_keys.begin(), entity_keys.end(), [&](std::string_view key) {
        const std::optional<Ordinal> entity = s.entities->Find(key);
        return !entity.has_value() || !generation->HasRow(*entity);
      });
  if (live + static_cast<uint64_t>(fresh) <= most) return absl::OkStatus();
  const ViewSchema& schema = s.view->schema;
  return MakeError(
      absl::StatusCode::kResourceExhausted, "VECTOR_BUDGET",
      StrCat("the index of ", schema.versioned_name(), ":", schema.fields[s.field].name, " holds ",
             live, " vectors, and ", fresh, " more would pass its memory budget of ",
             s.budget_bytes, " bytes (", bytes_a_vector,
             " a vector): delete entities, or start the daemon with a larger "
             "vector_budget"));
}

IndexDescription VectorCollection::Describe() const {
  const State& s = *state_;
  const std::shared_ptr<VectorGeneration> generation = s.Generation();
  const IndexFigures figures = generation->index().figures();
  const SavedIndex::File file = s.saved.file();
  IndexDescription out;
  out.parameters =
      figures.code ? generation->index().options().parameters : s.NextOptions().parameters;
  const uint64_t row_limit = figures.rows - figures.buffered_rows;
  for (RowId row = 0; row < figures.rows; ++row) {
    if (generation->DiedSeq(row) == kNever)
      ++(row < row_limit ? out.graph_vectors : out.buffered_vectors);
  }
  out.vectors = out.graph_vectors + out.buffered_vectors;
  out.dead_vectors = figures.graph_rows - std::min(figures.graph_rows, out.graph_vectors);
  out.unreachable_vectors = figures.orphans;
  if (figures.code) out.encoding = *figures.code == CodeKind::kInt8 ? "int8" : "float";
  out.calibration = figures.effort;
  out.graph_bytes = figures.graph_bytes;
  out.vector_bytes = figures.row_file_bytes + figures.row_memory_bytes;
  out.other_bytes = generation->bytes() + figures.builder_bytes;
  out.file_bytes = file.bytes;
  out.file_seq = file.commit_seq;
  const State::Work work = s.work;
  if (work == State::Work::kBuilding || s.rebuild_requested) out.state = "building";
  if (work == State::Work::kSaving) out.state = "saving";
  out.progress = work == State::Work::kIdle ? 0 : s.progress.load();
  MutexLock lock(&s.sight_mu);
  out.warning = s.warning.empty() ? figures.warning : s.warning;
  return out;
}

uint64_t VectorCollection::Reachability() const {
  const std::shared_ptr<VectorGeneration> generation = state_->Generation();
  return generation->index().CountUnreachable(
      [&](RowId row) { return generation->DiedSeq(row) == kNever; });
}

}  // namespace fletch
