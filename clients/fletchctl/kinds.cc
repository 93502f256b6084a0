// SPDX-License-Identifier: Apache-2.0
#include "kinds.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "count_text.h"
#include "result.h"

namespace fletch::ctl {
namespace {

constexpr std::pair<const char*, v1::ObjectKind> kWords[] = {
    {"project", v1::PROJECT},
    {"entity", v1::ENTITY},
    {"entitie", v1::ENTITY},
    {"featureview", v1::FEATURE_VIEW},
    {"view", v1::FEATURE_VIEW},
    {"aggregationview", v1::AGGREGATION_VIEW},
    {"aggregation", v1::AGGREGATION_VIEW},
    {"ondemandfeatureview", v1::ON_DEMAND_FEATURE_VIEW},
    {"ondemandview", v1::ON_DEMAND_FEATURE_VIEW},
    {"featureservice", v1::FEATURE_SERVICE},
    {"service", v1::FEATURE_SERVICE},
    {"trainingset", v1::TRAINING_SET}};

template <typename List>
std::string Names(const List& list) {
  return absl::StrJoin(list, ", ", [](std::string* out, const auto& item) { *out += item.name(); });
}

}  // namespace

std::string KindName(v1::ObjectKind kind) {
  switch (kind) {
    case v1::PROJECT:
      return "Project";
    case v1::ENTITY:
      return "Entity";
    case v1::FEATURE_VIEW:
      return "FeatureView";
    case v1::AGGREGATION_VIEW:
      return "AggregationView";
    case v1::ON_DEMAND_FEATURE_VIEW:
      return "OnDemandFeatureView";
    case v1::FEATURE_SERVICE:
      return "FeatureService";
    case v1::TRAINING_SET:
      return "TrainingSet";
    default:
      return v1::ObjectKind_Name(kind);
  }
}

v1::ObjectKind KindOf(const v1::Object& object) {
  switch (object.object_case()) {
    case v1::Object::kProject:
      return v1::PROJECT;
    case v1::Object::kEntity:
      return v1::ENTITY;
    case v1::Object::kFeatureView:
      return v1::FEATURE_VIEW;
    case v1::Object::kAggregationView:
      return v1::AGGREGATION_VIEW;
    case v1::Object::kOnDemandFeatureView:
      return v1::ON_DEMAND_FEATURE_VIEW;
    case v1::Object::kFeatureService:
      return v1::FEATURE_SERVICE;
    default:
      return v1::OBJECT_KIND_UNSPECIFIED;
  }
}

std::string NameOf(const v1::Object& object) {
  switch (object.object_case()) {
    case v1::Object::kProject:
      return object.project().name();
    case v1::Object::kEntity:
      return object.entity().name();
    case v1::Object::kFeatureView:
      return object.feature_view().name();
    case v1::Object::kAggregationView:
      return object.aggregation_view().name();
    case v1::Object::kOnDemandFeatureView:
      return object.on_demand_feature_view().name();
    case v1::Object::kFeatureService:
      return object.feature_service().name();
    default:
      return "";
  }
}

uint64_t VersionOf(const v1::Object& object) {
  // At most one of the three is there; the others are empty.
  return object.feature_view().version() + object.aggregation_view().version() +
         object.on_demand_feature_view().version();
}

std::string Summary(const v1::Object& object) {
  switch (object.object_case()) {
    case v1::Object::kEntity:
      return absl::StrCat("keys ", Names(object.entity().join_keys()));
    case v1::Object::kFeatureView:
      return absl::StrCat("of ", object.feature_view().entity(), ", ",
                          CountText(object.feature_view().fields_size(), "field"));
    case v1::Object::kAggregationView:
      return absl::StrCat("of ", object.aggregation_view().source(), ", ",
                          CountText(object.aggregation_view().aggregations_size(), "window"));
    case v1::Object::kOnDemandFeatureView: {
      const v1::OnDemandFeatureView& view = object.on_demand_feature_view();
      const std::string of =
          view.inputs().empty() ? "the request" : absl::StrJoin(view.inputs(), ", ");
      return absl::StrCat(CountText(view.fields_size(), "expression"), " of ", of);
    }
    case v1::Object::kFeatureService:
      return CountText(object.feature_service().features_size(), "feature");
    default:
      return object.project().description();
  }
}

absl::StatusOr<v1::ObjectKind> ParseKind(const std::string& text, bool with_training_sets) {
  const std::string word = absl::StrReplaceAll(absl::AsciiStrToLower(text), {{"_", ""}, {"-", ""}});
  for (const auto& [known, kind] : kWords) {
    if (kind == v1::TRAINING_SET && !with_training_sets) continue;
    if (word == known || absl::StripSuffix(word, "s") == known) return kind;
  }
  return UsageError(absl::StrCat("no such kind '", text, "'; kinds are ",
                                 absl::StrReplaceAll(kKindWords, {{" ", ", "}}),
                                 with_training_sets ? ", training-set" : ""));
}

}  // namespace fletch::ctl
