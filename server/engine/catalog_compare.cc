// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "base/strings.h"
#include "server/engine/catalog_spec.h"

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

std::string Seconds(int64_t micros) {
  return micros % 1'000'000 == 0 ? StrCat(micros / 1'000'000, " s") : StrCat(micros, " µs");
}

std::string Ttl(int64_t micros) { return micros == 0 ? "for ever" : Seconds(micros); }

class Comparison {
 public:
  void Changed(std::string detail) { Add(v1::CHANGED, std::move(detail)); }
  void Breaking(std::string detail) { Add(v1::BREAKING, std::move(detail)); }
  ViewDifference Take() && { return std::move(difference_); }

 private:
  void Add(v1::ChangeKind change, std::string detail) {
    difference_.change = std::max(difference_.change, change);
    difference_.details.push_back(std::move(detail));
  }
  ViewDifference difference_;
};

void CompareField(const FieldSchema& before, const FieldSchema& after, Comparison* out) {
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
  if (before.index_metric != after.index_metric) {
    out->Breaking(StrCat("the index of field ", before.name, " was ", IndexName(before),
                         " and becomes ", IndexName(after)));
  }
}

void CompareFields(const ViewSpec& before, const ViewSpec& after, Comparison* out) {
  const std::vector<FieldSchema>& olds = before.schema.fields;
  const std::vector<FieldSchema>& news = after.schema.fields;
  const auto named = [](const std::vector<FieldSchema>& fields, const std::string& name) {
    return std::find_if(fields.begin(), fields.end(),
                        [&](const FieldSchema& field) { return field.name == name; });
  };
  bool moved = false;
  bool removed = false;
  for (size_t i = 0; i < olds.size(); ++i) {
    const auto found = named(news, olds[i].name);
    if (found == news.end()) {
      out->Breaking(StrCat("field ", olds[i].name, " is removed"));
      removed = true;
      continue;
    }
    const size_t position = found - news.begin();
    moved = moved || position != i;
    CompareField(olds[i], *found, out);
    if (before.spec.fields(static_cast<int>(i)).description() !=
        after.spec.fields(static_cast<int>(position)).description()) {
      out->Changed(StrCat("the description of field ", olds[i].name, " changes"));
    }
  }
  for (const FieldSchema& field : news) {
    if (named(olds, field.name) != olds.end()) continue;
    out->Changed(StrCat("field ", field.name, " ", DataTypeName(field.type), " is added",
                        field.default_value.has_value() ? " with a default" : ""));
  }
  // A removal moves what follows it, and says so already.
  if (moved && !removed) out->Breaking("fields stand in another order; add new fields at the end");
}

}  // namespace

ViewDifference CompareViews(const ViewSpec& before, const ViewSpec& after) {
  Comparison out;
  if (before.schema.entity != after.schema.entity) {
    out.Breaking(
        StrCat("the entity was ", before.schema.entity, " and becomes ", after.schema.entity));
  }
  if (!SameKeys(before.spec.event_key(), after.spec.event_key())) {
    out.Breaking(StrCat("the event key was ", DescribeKeys(before.spec.event_key()),
                        " and becomes ", DescribeKeys(after.spec.event_key())));
  }
  if (before.schema.ttl_micros != after.schema.ttl_micros) {
    out.Breaking(StrCat("ttl was ", Ttl(before.schema.ttl_micros), " and becomes ",
                        Ttl(after.schema.ttl_micros)));
  }
  CompareFields(before, after, &out);
  if (before.schema.max_future_skew_micros != after.schema.max_future_skew_micros) {
    out.Changed(StrCat("max_future_skew was ", Seconds(before.schema.max_future_skew_micros),
                       " and becomes ", Seconds(after.schema.max_future_skew_micros)));
  }
  if (before.spec.description() != after.spec.description()) out.Changed("the description changes");
  return std::move(out).Take();
}

}  // namespace fletch
