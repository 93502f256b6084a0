// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <map>

#include "base/strings.h"
#include "server/engine/catalog_spec.h"
#include "server/engine/catalog_state.h"

namespace fletch {
namespace {

// Bit by bit, so that NaN is equal to itself and 0 is not -0.
template <typename T>
bool SameBits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

bool SameDefault(const std::optional<Column>& a, const std::optional<Column>& b) {
  if (!a.has_value() || !b.has_value()) return a.has_value() == b.has_value();
  return a->type == b->type && a->bools == b->bools && a->int32s == b->int32s &&
         a->int64s == b->int64s && SameBits(a->floats, b->floats) &&
         SameBits(a->doubles, b->doubles) && a->strings == b->strings && a->lengths == b->lengths;
}

std::string IndexName(const FieldSchema& field) {
  if (!field.index_metric.has_value()) return "none";
  return v1::Metric_Name(static_cast<v1::Metric>(*field.index_metric));
}

std::string DescribeIndex(const IndexParameters& index) {
  return StrCat("m ", index.m, ", ef_construction ", index.ef_construction, ", target_recall ",
                index.target_recall);
}

std::string ForEver(int64_t micros) { return micros == 0 ? "for ever" : DescribeDuration(micros); }

void CompareField(const FieldSchema& before, const FieldSchema& after, DifferenceBuilder* out) {
  if (before.type != after.type) {
    out->Breaking(StrCat("field ", before.name, " was ", DataTypeName(before.type), " and becomes ",
                         DataTypeName(after.type)));
    return;
  }
  if (!SameDefault(before.default_value, after.default_value)) {
    out->Breaking(StrCat(
        "field ", before.name,
        before.default_value.has_value()
            ? after.default_value.has_value() ? " gets another default" : " loses its default"
            : " gets a default"));
  }
  if (before.forbid_nan != after.forbid_nan) {
    out->Breaking(StrCat("field ", before.name, after.forbid_nan ? " forbids NaN" : " allows NaN"));
  }
  if (before.indexed != after.indexed) {
    out->Changed(
        StrCat("field ", before.name, after.indexed ? " is indexed" : " is indexed no more"));
  }
  if (before.index_metric != after.index_metric) {
    out->Breaking(StrCat("the index of field ", before.name, " was ", IndexName(before),
                         " and becomes ", IndexName(after)));
  } else if (!(before.index == after.index)) {
    out->Changed(StrCat("the index of field ", before.name, " had ", DescribeIndex(before.index),
                        " and gets ", DescribeIndex(after.index),
                        ", once its graph is built anew"));
  }
}

bool SameBindings(const v1::FeatureService& a, const v1::FeatureService& b) {
  return std::equal(a.bindings().begin(), a.bindings().end(), b.bindings().begin(),
                    b.bindings().end(), [](const v1::Binding& x, const v1::Binding& y) {
                      return x.alias() == y.alias() && x.feature_view() == y.feature_view() &&
                             std::map<std::string, std::string>(x.join_key_map().begin(),
                                                                x.join_key_map().end()) ==
                                 std::map<std::string, std::string>(y.join_key_map().begin(),
                                                                    y.join_key_map().end());
                    });
}

template <typename Repeated>
bool SameTexts(const Repeated& a, const Repeated& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace

ViewDifference CompareViews(const ViewSpec& before, const ViewSpec& after) {
  DifferenceBuilder out;
  if (before.schema.entity != after.schema.entity) {
    out.Breaking(
        StrCat("the entity was ", before.schema.entity, " and becomes ", after.schema.entity));
  }
  if (!SameKeys(before.spec.event_key(), after.spec.event_key())) {
    out.Breaking(StrCat("the event key was ", DescribeKeys(before.spec.event_key()),
                        " and becomes ", DescribeKeys(after.spec.event_key())));
  }
  if (before.schema.ttl_micros != after.schema.ttl_micros) {
    out.Breaking(StrCat("ttl was ", ForEver(before.schema.ttl_micros), " and becomes ",
                        ForEver(after.schema.ttl_micros)));
  }
  CompareParts(
      "field", before.spec.fields(), after.spec.fields(),
      [&](int i, int j) { CompareField(before.schema.fields[i], after.schema.fields[j], &out); },
      [&](int j) {
        const FieldSchema& field = after.schema.fields[j];
        return StrCat(DataTypeName(field.type), " is added",
                      field.default_value.has_value() ? " with a default" : "");
      },
      v1::CHANGED, &out);
  if (before.schema.max_future_skew_micros != after.schema.max_future_skew_micros) {
    out.Changed(StrCat("max_future_skew was ",
                       DescribeDuration(before.schema.max_future_skew_micros), " and becomes ",
                       DescribeDuration(after.schema.max_future_skew_micros)));
  }
  if (before.schema.retention_micros != after.schema.retention_micros) {
    out.Changed(StrCat("retention was ", ForEver(before.schema.retention_micros), " and becomes ",
                       ForEver(after.schema.retention_micros)));
  }
  if (before.spec.description() != after.spec.description()) out.Changed("the description changes");
  return std::move(out).Take();
}

std::vector<std::string> CompareServices(const StoredService& before, const StoredService& after) {
  std::vector<std::string> details;
  if (before.spec.description() != after.spec.description())
    details.push_back("the description changes");
  if (!SameTexts(before.spec.features(), after.spec.features()))
    details.push_back("the features change");
  if (!SameBindings(before.spec, after.spec)) details.push_back("the bindings change");
  if (!details.empty()) return details;
  for (int i = 0; i < after.spec.features_size(); ++i) {
    if (before.spec.resolved_features(i) == after.spec.resolved_features(i)) continue;
    details.push_back(StrCat("reads ", after.spec.resolved_features(i), " instead of ",
                             before.spec.resolved_features(i)));
  }
  if (!details.empty()) return details;
  for (size_t i = 0; i < after.pinned_bindings.size(); ++i) {
    const std::string& view = after.pinned_bindings[i].feature_view();
    if (before.pinned_bindings[i].feature_view() == view) continue;
    details.push_back(
        StrCat("binds ", view, " instead of ", before.pinned_bindings[i].feature_view()));
  }
  return details;
}

}  // namespace fletch
