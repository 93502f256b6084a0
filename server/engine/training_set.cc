// SPDX-License-Identifier: Apache-2.0
#include "server/engine/training_set.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "base/status.h"
#include "base/strings.h"
#include "server/engine/commit_log.h"
#include "server/engine/expression.h"
#include "server/engine/plan_horizon.h"
#include "server/engine/time_text.h"

namespace fletch {
namespace {

constexpr int64_t kNoRow = std::numeric_limits<int64_t>::max();

std::string VersionedName(const v1::TrainingSetView& view) {
  return StrCat(view.name(), "@v", view.version());
}

std::string VersionedName(const PlanView& view) {
  return view.view != nullptr ? view.view->schema.versioned_name() : view.windows->versioned_name();
}

std::string_view BeforeColon(std::string_view ref) { return ref.substr(0, ref.find(':')); }

ViewId StoredIn(const PlanView& view) {
  return view.view != nullptr ? view.view->schema.view_id : view.windows->source->schema.view_id;
}

// Collects the views of a record, each once.
class ViewCollector {
 public:
  ViewCollector(const FeaturePlan& plan, v1::TrainingSetRecord* record) : record_(record) {
    for (const PlanColumn& column : plan.columns) direct_.emplace(BeforeColon(column.resolved));
    for (const PlanGroup& group : plan.groups) {
      for (const PlanView& view : group.views) Add(view.view, view.windows);
    }
    for (const PlanExpressions& expressions : plan.expressions) {
      const OnDemandView& view = *expressions.view;
      AddOne(v1::ON_DEMAND_FEATURE_VIEW, view.name, view.version, 0);
      for (const OnDemandView::Input& input : view.inputs) Add(input.view, input.windows);
    }
  }

 private:
  void Add(const std::shared_ptr<const View>& view,
           const std::shared_ptr<const AggregationView>& windows) {
    if (view != nullptr) AddStored(*view);
    if (windows == nullptr) return;
    AddOne(v1::AGGREGATION_VIEW, windows->name, windows->version, windows->source->schema.view_id);
    AddStored(*windows->source);
  }

  void AddStored(const View& view) {
    AddOne(v1::FEATURE_VIEW, view.schema.name, view.schema.version, view.schema.view_id);
  }

  void AddOne(v1::ObjectKind kind, const std::string& name, uint64_t version, ViewId view_id) {
    const std::string ref = StrCat(name, "@v", version);
    if (!seen_.insert(ref).second) return;
    v1::TrainingSetView* view = record_->add_views();
    view->set_kind(kind);
    view->set_name(name);
    view->set_version(version);
    view->set_direct(direct_.contains(ref));
    view->set_view_id(view_id);
    view->set_min_answered_micros(kNoRow);
  }

  v1::TrainingSetRecord* const record_;
  std::set<std::string, std::less<>> direct_;
  std::set<std::string> seen_;
};

int FindView(const v1::TrainingSetRecord& record, const PlanView& view) {
  for (int i = 0; i < record.views_size(); ++i) {
    if (VersionedName(record.views(i)) == VersionedName(view)) return i;
  }
  return -1;
}

// The least timestamp that a read may ask about: of AS_SERVED rows it decides their commit too.
absl::StatusOr<int64_t> FirstAnswered(const KvStore& store, const v1::TrainingSetRecord& record,
                                      const Horizon& horizon) {
  if (record.known_at_mode() != v1::AS_SERVED) {
    return record.read_seq() < horizon.floor ? kNoRow : horizon.time;
  }
  if (horizon.floor == 0) return horizon.time;
  ASSIGN_OR_RETURN(const int64_t floor_time, CommitTimeOf(store, horizon.floor));
  return std::max(horizon.time, floor_time);
}

Service PinnedOf(const v1::TrainingSetRecord& record) {
  Service service;
  service.name = record.name();
  for (const v1::TrainingSetColumn& column : record.columns()) {
    service.pinned.features.push_back(column.pinned());
    service.refs.push_back(column.ref());
  }
  for (const v1::Binding& binding : record.bindings()) {
    BindingSpec& spec = service.pinned.bindings.emplace_back();
    spec.alias = binding.alias();
    spec.feature_view = binding.feature_view();
    spec.join_key_map.insert(binding.join_key_map().begin(), binding.join_key_map().end());
  }
  return service;
}

absl::Status ViewGone(const v1::TrainingSetRecord& record, std::string_view what) {
  return DataLoss(StrCat("training set \"", record.name(), "\" cannot be read: ", what,
                         "; restore the data directory from a backup, or delete the set"));
}

}  // namespace

absl::StatusOr<Service> PinSelection(const CatalogSnapshot& catalog, std::string_view project,
                                     const Selection& selection, const FeaturePlan& plan) {
  if (!selection.feature_service.empty()) {
    ASSIGN_OR_RETURN(const auto service, catalog.FindService(project, selection.feature_service));
    return *service;
  }
  Service pinned;
  pinned.refs = selection.features;
  pinned.pinned.bindings = selection.bindings;
  std::set<std::string, std::less<>> aliases;
  for (BindingSpec& binding : pinned.pinned.bindings) {
    ASSIGN_OR_RETURN(const AnyView view, catalog.FindAnyView(project, binding.feature_view));
    binding.feature_view = VersionedName(view);
    aliases.insert(binding.alias);
  }
  for (size_t i = 0; i < selection.features.size(); ++i) {
    const std::string& ref = selection.features[i];
    const bool aliased = aliases.contains(BeforeColon(ref));
    pinned.pinned.features.push_back(aliased ? ref : plan.columns[i].resolved);
  }
  return pinned;
}

v1::TrainingSetRecord DescribeReads(const Service& pinned, const FeaturePlan& plan) {
  v1::TrainingSetRecord record;
  for (size_t i = 0; i < plan.columns.size(); ++i) {
    v1::TrainingSetColumn* column = record.add_columns();
    column->set_ref(plan.columns[i].ref);
    column->set_pinned(pinned.pinned.features[i]);
    column->set_resolved(plan.columns[i].resolved);
  }
  for (const BindingSpec& spec : pinned.pinned.bindings) {
    v1::Binding* binding = record.add_bindings();
    binding->set_alias(spec.alias);
    binding->set_feature_view(spec.feature_view);
    binding->mutable_join_key_map()->insert(spec.join_key_map.begin(), spec.join_key_map.end());
  }
  ViewCollector(plan, &record);
  for (const PlanGroup& group : plan.groups) {
    v1::TrainingSetKey* key = record.add_keys();
    key->set_entity_id(group.entity_id);
    key->mutable_columns()->Assign(group.key_columns.begin(), group.key_columns.end());
  }
  record.set_fletch_version(FLETCH_VERSION);
  if (!plan.expressions.empty()) record.set_expression_engine(ExpressionEngineVersion());
  return record;
}

bool SameReads(const FeaturePlan& a, const FeaturePlan& b) {
  const auto same_column = [](const PlanColumn& x, const PlanColumn& y) {
    return x.ref == y.ref && x.resolved == y.resolved && x.type == y.type;
  };
  const auto same_group = [](const PlanGroup& x, const PlanGroup& y) {
    return x.entity_id == y.entity_id && x.key_columns == y.key_columns &&
           std::equal(x.views.begin(), x.views.end(), y.views.begin(), y.views.end(),
                      [](const PlanView& v, const PlanView& w) {
                        return StoredIn(v) == StoredIn(w) && VersionedName(v) == VersionedName(w);
                      });
  };
  return std::equal(a.columns.begin(), a.columns.end(), b.columns.begin(), b.columns.end(),
                    same_column) &&
         std::equal(a.groups.begin(), a.groups.end(), b.groups.begin(), b.groups.end(), same_group);
}

absl::StatusOr<std::shared_ptr<const FeaturePlan>> PlanOf(const CatalogSnapshot& catalog,
                                                          const v1::TrainingSetRecord& record) {
  const auto plan = MakePinnedPlan(catalog, record.project(), PinnedOf(record), "features");
  if (!plan.ok()) return ViewGone(record, FromAbsl(plan.status().message()));
  for (const PlanGroup& group : (*plan)->groups) {
    for (const PlanView& view : group.views) {
      const int i = FindView(record, view);
      if (i >= 0 && record.views(i).view_id() == StoredIn(view)) continue;
      return ViewGone(record, StrCat("its view ", VersionedName(view),
                                     " was deleted, and the one of this name is another"));
    }
  }
  return *plan;
}

absl::StatusOr<std::vector<uint64_t>> CommitsOf(const KvStore& store,
                                                const v1::TrainingSetRecord& record,
                                                absl::Span<const int64_t> timestamps) {
  if (record.known_at_mode() != v1::AS_SERVED) return std::vector<uint64_t>{record.read_seq()};
  ASSIGN_OR_RETURN(std::vector<uint64_t> seqs, CommitsAtTimes(store, timestamps));
  // After a restart with an earlier clock a commit may get a time that rows already asked about.
  for (uint64_t& seq : seqs) seq = std::min(seq, record.read_seq());
  return seqs;
}

absl::StatusOr<AnsweredRows> AnsweredRows::Begin(const KvStore& store, const Horizons& horizons,
                                                 const FeaturePlan& plan,
                                                 v1::TrainingSetRecord record) {
  AnsweredRows rows;
  for (const PlanGroup& group : plan.groups) {
    for (const PlanView& view : group.views) {
      const Horizon horizon = HorizonOf(horizons, view);
      const int i = FindView(record, view);
      record.mutable_views(i)->set_horizon_micros(horizon.time);
      record.mutable_views(i)->set_horizon_floor(horizon.floor);
      ASSIGN_OR_RETURN(const int64_t first, FirstAnswered(store, record, horizon));
      rows.watched_.push_back({i, first, kNoRow});
    }
  }
  record.set_min_timestamp_micros(kNoRow);
  record.set_max_timestamp_micros(std::numeric_limits<int64_t>::min());
  rows.record_ = std::move(record);
  return rows;
}

void AnsweredRows::Add(absl::Span<const int64_t> timestamps) {
  int64_t least = record_.min_timestamp_micros();
  int64_t greatest = record_.max_timestamp_micros();
  for (const int64_t time : timestamps) {
    least = std::min(least, time);
    greatest = std::max(greatest, time);
    for (Watched& watched : watched_) {
      if (time >= watched.threshold && time < watched.least) watched.least = time;
    }
  }
  record_.set_min_timestamp_micros(least);
  record_.set_max_timestamp_micros(greatest);
}

v1::TrainingSetRecord AnsweredRows::Finish() && {
  for (const Watched& watched : watched_) {
    record_.mutable_views(watched.view)->set_min_answered_micros(watched.least);
  }
  return std::move(record_);
}

absl::Status CheckReadable(const KvStore& store, const Horizons& horizons, const FeaturePlan& plan,
                           const v1::TrainingSetRecord& record) {
  const std::string set = StrCat("training set \"", record.name(), "\" cannot be read any more: ");
  if (record.erased()) {
    return FailedPrecondition("ENTITY_ERASED",
                              StrCat(set, "entities of ", record.erased_rows(),
                                     " of its rows were erased; make a new set without them"));
  }
  if (!record.expression_engine().empty() &&
      record.expression_engine() != ExpressionEngineVersion()) {
    return FailedPrecondition(
        "EXPRESSIONS_CHANGED",
        StrCat(set, "its on-demand features were computed by ", record.expression_engine(),
               ", this daemon has ", ExpressionEngineVersion(),
               "; read it with that daemon, or make it again"));
  }
  for (const PlanGroup& group : plan.groups) {
    for (const PlanView& view : group.views) {
      const v1::TrainingSetView& then = record.views(FindView(record, view));
      const Horizon now = HorizonOf(horizons, view);
      if (now.time == then.horizon_micros() && now.floor == then.horizon_floor()) continue;
      ASSIGN_OR_RETURN(const int64_t first, FirstAnswered(store, record, now));
      if (then.min_answered_micros() >= first) continue;
      return FailedPrecondition(
          "BEFORE_HORIZON",
          StrCat(set, "the history of ", VersionedName(view), " before ", TimeText(now.time),
                 ", commit ", now.floor, ", is not kept any more, and its rows begin at ",
                 TimeText(then.min_answered_micros())));
    }
  }
  return absl::OkStatus();
}

v1::TrainingSet DescribeSet(const v1::TrainingSetRecord& record, const FeaturePlan* plan,
                            const absl::Status& readable) {
  v1::TrainingSet set;
  set.set_project(record.project());
  set.set_name(record.name());
  set.set_description(record.description());
  set.set_created_micros(record.created_micros());
  set.set_row_count(record.row_count());
  set.set_batch_count(record.batch_count());
  set.set_read_seq(record.read_seq());
  set.set_known_at_mode(record.known_at_mode());
  for (int i = 0; i < record.columns_size(); ++i) {
    v1::ResolvedFeature* feature = set.add_features();
    feature->set_ref(record.columns(i).ref());
    feature->set_resolved(record.columns(i).resolved());
    if (plan == nullptr) continue;
    const DataType& type = plan->columns[i].type;
    feature->set_type(static_cast<v1::ValueType>(type.type));
    feature->set_array(type.array);
    feature->set_dimension(type.dimension);
  }
  set.set_feature_service(record.feature_service());
  set.set_min_timestamp_micros(record.min_timestamp_micros());
  set.set_max_timestamp_micros(record.max_timestamp_micros());
  set.set_digest(record.digest());
  std::string version = StrCat("fletch ", record.fletch_version());
  if (!record.expression_engine().empty()) {
    version += StrCat("; expressions: ", record.expression_engine());
  }
  set.set_engine_version(std::move(version));
  if (!readable.ok()) set.set_unreadable(std::string(FromAbsl(readable.message())));
  return set;
}

}  // namespace fletch
