// SPDX-License-Identifier: Apache-2.0
#include "server/engine/parity_audit.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/key_sample.h"
#include "storage/entity_key.h"
#include "storage/fact_key.h"

namespace fletch {
namespace {

constexpr size_t kRowsPerQuestion = 1000;
constexpr uint64_t kListPage = 1000;

template <class Spec>
Selection AllFieldsOf(const Spec& spec, const auto& fields) {
  Selection selection;
  for (const auto& field : fields) {
    selection.features.push_back(StrCat(spec.name(), "@v", spec.version(), ":", field.name()));
  }
  return selection;
}

// One for each version of each view that can be asked without a request context.
absl::StatusOr<std::vector<Selection>> EveryView(const CatalogSnapshot& catalog,
                                                 const std::string& project) {
  std::vector<Selection> selections;
  v1::ListRequest request;
  request.set_project(project);
  request.set_page_size(kListPage);
  do {
    ASSIGN_OR_RETURN(v1::ListResponse page, catalog.List(request));
    for (const v1::Object& object : page.objects()) {
      if (object.has_feature_view()) {
        const v1::FeatureView& spec = object.feature_view();
        selections.push_back(AllFieldsOf(spec, spec.fields()));
      } else if (object.has_aggregation_view()) {
        const v1::AggregationView& spec = object.aggregation_view();
        selections.push_back(AllFieldsOf(spec, spec.aggregations()));
      } else if (object.has_on_demand_feature_view() &&
                 object.on_demand_feature_view().request().empty()) {
        const v1::OnDemandFeatureView& spec = object.on_demand_feature_view();
        selections.push_back(AllFieldsOf(spec, spec.fields()));
      }
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return selections;
}

// One run with its choice of entities.
class Auditor {
 public:
  Auditor(const ParityAudit& audit, std::string project, size_t entities, uint64_t seed,
          const Call& call)
      : audit_(audit), project_(std::move(project)), entities_(entities), seed_(seed), call_(call) {
    response_.set_seed(seed);
  }

  absl::Status Ask(const Selection& selection, const FeaturePlan& plan) {
    ASSIGN_OR_RETURN(const std::vector<NamedColumn> keys, ChooseKeys(plan));
    const size_t rows = keys.empty() ? 0 : keys.front().column.row_count;
    std::set<EntityId> kinds;
    for (const PlanGroup& group : plan.groups) kinds.insert(group.entity_id);
    if (asked_.insert(kinds).second) response_.set_entities(response_.entities() + rows);
    for (size_t first = 0; first < rows; first += kRowsPerQuestion) {
      RETURN_IF_ERROR(AskRows(selection, keys, first, std::min(rows, first + kRowsPerQuestion)));
    }
    return absl::OkStatus();
  }

  v1::AuditParityResponse Finish() && { return std::move(response_); }

 private:
  absl::Status AskRows(const Selection& selection, const std::vector<NamedColumn>& keys,
                       size_t first, size_t end) {
    OnlineRequest request;
    request.project = project_;
    request.selection = selection;
    request.row_count = end - first;
    request.event_times = true;
    for (const NamedColumn& key : keys) {
      NamedColumn& part =
          request.keys.emplace_back(NamedColumn{key.name, {.type = key.column.type}});
      part.column.row_count = request.row_count;
      const auto slice = [&](const auto& from, auto* to) {
        if (!from.empty()) to->assign(from.begin() + first, from.begin() + end);
      };
      slice(key.column.int64s, &part.column.int64s);
      slice(key.column.strings, &part.column.strings);
    }
    const uint64_t erasures = audit_.checker.ErasureCount();
    ASSIGN_OR_RETURN(const OnlineAnswer answer, audit_.ask_online(request, call_));
    ASSIGN_OR_RETURN(const auto result, audit_.checker.Check(request, answer, erasures, call_));
    if (!result.has_value()) return absl::OkStatus();
    response_.set_cells(response_.cells() + result->cells);
    response_.set_mismatches(response_.mismatches() + result->mismatches);
    for (const v1::ParityMismatch& example : result->examples) {
      if (static_cast<size_t>(response_.examples_size()) >= limits::kMaxParityExamples) break;
      *response_.add_examples() = example;
    }
    return absl::OkStatus();
  }

  // Key columns of the plan, a row an entity. Where two kinds of entities share a column, the one
  // with more columns says what stands there.
  absl::StatusOr<std::vector<NamedColumn>> ChooseKeys(const FeaturePlan& plan) {
    std::vector<const PlanGroup*> groups;
    for (const PlanGroup& group : plan.groups) groups.push_back(&group);
    std::stable_sort(groups.begin(), groups.end(), [](const PlanGroup* a, const PlanGroup* b) {
      return a->key_columns.size() > b->key_columns.size();
    });
    size_t rows = 0;
    std::vector<std::vector<std::string>> samples;
    for (const PlanGroup* group : groups) {
      ASSIGN_OR_RETURN(std::vector<std::string> sample, Sample(*group));
      rows = std::max(rows, sample.size());
      samples.push_back(std::move(sample));
    }
    std::vector<NamedColumn> columns;
    for (const KeyFieldSchema& field : plan.key_fields) {
      columns.push_back({field.name, {.type = {.type = field.type}, .row_count = rows}});
    }
    for (size_t g = 0; g < groups.size(); ++g) {
      RETURN_IF_ERROR(FillKeys(*groups[g], samples[g], rows, &columns));
    }
    return columns;
  }

  static absl::Status FillKeys(const PlanGroup& group, const std::vector<std::string>& sample,
                               size_t rows, std::vector<NamedColumn>* columns) {
    std::vector<Column*> open(group.key_slots.size(), nullptr);
    for (size_t i = 0; i < open.size(); ++i) {
      Column& column = (*columns)[group.key_slots[i]].column;
      if (column.int64s.empty() && column.strings.empty()) open[i] = &column;
    }
    for (size_t row = 0; row < rows; ++row) {
      std::vector<KeyValue> values;  // an entity that is not there may be asked about too
      for (const KeyFieldSchema& key : group.join_keys) {
        values.push_back(key.type == ValueType::kInt64 ? KeyValue(int64_t{0}) : KeyValue("none"));
      }
      if (!sample.empty()) {
        ASSIGN_OR_RETURN(values, DecodeKey(group.join_keys, sample[row % sample.size()]));
      }
      for (size_t i = 0; i < open.size(); ++i) {
        if (open[i] == nullptr) continue;
        if (const auto* number = std::get_if<int64_t>(&values[i])) {
          open[i]->int64s.push_back(*number);
        } else {
          open[i]->strings.push_back(std::get<std::string>(values[i]));
        }
      }
    }
    return absl::OkStatus();
  }

  // From memory, where it has all entities.
  absl::StatusOr<std::vector<std::string>> Sample(const PlanGroup& group) {
    const bool in_memory = audit_.sources.online->complete();
    if (in_memory) {
      const auto known = samples_.find(group.entity_id);
      if (known != samples_.end()) return known->second;
    }
    RETURN_IF_ERROR(call_.Check());
    KeySample sample(seed_, entities_);
    if (in_memory) {
      OnlineTable::Reader reader(audit_.sources.online);
      reader.ForEach(group.entity_id,
                     [&](const OnlineRecord& record) { sample.Show(record.entity_key()); });
      samples_[group.entity_id] = sample.Keys();
    } else {
      for (const PlanView& view : group.views) RETURN_IF_ERROR(ShowLatest(view, &sample));
    }
    return sample.Keys();
  }

  absl::Status ShowLatest(const PlanView& view, KeySample* sample) {
    const View& stored = view.view != nullptr ? *view.view : *view.windows->source;
    const std::string prefix = ViewPrefix(stored.schema.view_id);
    auto it = audit_.sources.store->NewIterator(Family::kLatest);
    for (it->Seek(prefix); it->Valid() && it->key().substr(0, prefix.size()) == prefix;
         it->Next()) {
      sample->Show(it->key().substr(prefix.size()));
    }
    return it->status();
  }

  const ParityAudit& audit_;
  const std::string project_;
  const size_t entities_;
  const uint64_t seed_;
  const Call& call_;
  v1::AuditParityResponse response_;
  std::map<EntityId, std::vector<std::string>> samples_;
  std::set<std::set<EntityId>> asked_;
};

absl::StatusOr<size_t> EntitiesOf(const v1::AuditParityRequest& request) {
  if (request.entities() == 0) return limits::kDefaultParityEntities;
  if (request.entities() <= limits::kMaxParityEntities) return request.entities();
  return OutOfRange(StrCat("is ", request.entities(), "; at most ", limits::kMaxParityEntities,
                           " are allowed (max_parity_entities)"),
                    "entities");
}

}  // namespace

absl::StatusOr<v1::AuditParityResponse> ParityAudit::Run(const v1::AuditParityRequest& request,
                                                         const Call& call) const {
  RETURN_IF_ERROR(call.Check());
  RETURN_IF_ERROR(catalog.CheckProject(request.project()));
  ASSIGN_OR_RETURN(const size_t entities, EntitiesOf(request));
  const bool every = request.feature_service().empty() && request.features().empty();
  std::vector<Selection> selections;
  if (every) {
    ASSIGN_OR_RETURN(selections, EveryView(catalog, request.project()));
  } else {
    Selection& selection = selections.emplace_back();
    selection.feature_service = request.feature_service();
    selection.features.assign(request.features().begin(), request.features().end());
  }
  const uint64_t seed =
      request.seed() != 0 ? request.seed() : static_cast<uint64_t>(clock.NowMicros());
  Auditor auditor(*this, request.project(), entities, seed, call);
  for (const Selection& selection : selections) {
    ASSIGN_OR_RETURN(const auto plan, MakeFeaturePlan(catalog, request.project(), selection));
    if (!plan->context.empty()) {
      return InvalidArgument(
          StrCat("the features need the request context \"", plan->context.front().name,
                 "\", which an audit does not have; leave them out"),
          request.feature_service().empty() ? "features" : "feature_service");
    }
    RETURN_IF_ERROR(auditor.Ask(selection, *plan));
  }
  return std::move(auditor).Finish();
}

}  // namespace fletch
