// SPDX-License-Identifier: Apache-2.0
// Specs checked and turned into schemas, and two versions of a view compared. Pure functions.
// Aggregation and on-demand views have files of their own: catalog_windows.h, catalog_on_demand.h.
#ifndef FLETCH_SERVER_ENGINE_CATALOG_SPEC_H_
#define FLETCH_SERVER_ENGINE_CATALOG_SPEC_H_

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/strings.h"
#include "fletch/v1/registry.pb.h"
#include "storage/schema.h"

namespace fletch {

// OK for [a-z][a-z0-9_]{0,63}; else INVALID_ARGUMENT, saying so. Field path: `path`.
absl::Status CheckName(std::string_view name, std::string_view path);

// OUT_OF_RANGE for a text that is too long. Field path: `path`.description.
absl::Status CheckDescription(std::string_view description, std::string_view path);
// OUT_OF_RANGE for more than `max` of `what` ("fields").
absl::Status CheckListSize(size_t size, size_t max, std::string_view what, std::string_view path);
// Microseconds; INVALID_ARGUMENT for negative, malformed or finer, OUT_OF_RANGE beyond
// `max_micros`.
absl::StatusOr<int64_t> ReadDuration(const google::protobuf::Duration& duration, int64_t max_micros,
                                     std::string_view path);
// "7 d", "90 s", "1500 µs".
std::string DescribeDuration(int64_t micros);

// The checks of registry.proto that need nothing but the spec. INVALID_ARGUMENT; OUT_OF_RANGE for
// limits.
absl::Status CheckProjectSpec(const v1::Project& spec, std::string_view path);
absl::Status CheckEntitySpec(const v1::Entity& spec, std::string_view path);
// Refs and bindings are checked by MakeFeaturePlan.
absl::Status CheckServiceSpec(const v1::FeatureService& spec, std::string_view path);

// "(airport STRING, runway INT64)".
std::string DescribeKeys(const google::protobuf::RepeatedPtrField<v1::KeyField>& keys);
bool SameKeys(const google::protobuf::RepeatedPtrField<v1::KeyField>& a,
              const google::protobuf::RepeatedPtrField<v1::KeyField>& b);

std::vector<KeyFieldSchema> MakeKeySchemas(
    const google::protobuf::RepeatedPtrField<v1::KeyField>& keys);

// The schema that `spec` declares, over its entity (REQUIRES: checked by CheckEntitySpec). view_id,
// entity_id, project and version are left for the caller. INVALID_ARGUMENT and OUT_OF_RANGE as
// above.
absl::StatusOr<ViewSchema> MakeViewSchema(const v1::FeatureView& spec, const v1::Entity& entity,
                                          std::string_view path);

// What differs, in sentences.
struct ViewDifference {
  v1::ChangeKind change = v1::UNCHANGED;  // UNCHANGED, CHANGED or BREAKING
  std::vector<std::string> details;
};
// A view's spec with the schema made from it.
struct ViewSpec {
  const v1::FeatureView& spec;
  const ViewSchema& schema;
};
// Gathers a difference sentence by sentence.
class DifferenceBuilder {
 public:
  void Add(v1::ChangeKind change, std::string detail) {
    difference_.change = std::max(difference_.change, change);
    difference_.details.push_back(std::move(detail));
  }
  void Changed(std::string detail) { Add(v1::CHANGED, std::move(detail)); }
  void Breaking(std::string detail) { Add(v1::BREAKING, std::move(detail)); }
  ViewDifference Take() && { return std::move(difference_); }

 private:
  ViewDifference difference_;
};

// Two lists of named parts (fields, aggregations): those of `before` must begin those of `after`.
// `compare(i, j)` says what else differs between part i of before and part j of after, `added(j)`
// says that part j of after is there ("INT64 is added"), which is a change of kind `addition`.
template <typename List, typename Compare, typename Added>
void CompareParts(std::string_view what, const List& before, const List& after, Compare compare,
                  Added added, v1::ChangeKind addition, DifferenceBuilder* out) {
  bool moved = false;
  bool removed = false;
  absl::flat_hash_map<std::string, int> places;
  for (int j = 0; j < static_cast<int>(after.size()); ++j) places[after[j].name()] = j;
  for (int i = 0; i < static_cast<int>(before.size()); ++i) {
    const auto found = places.find(before[i].name());
    if (found == places.end()) {
      out->Breaking(StrCat(what, " ", before[i].name(), " is removed"));
      removed = true;
      continue;
    }
    moved = moved || found->second != i;
    compare(i, found->second);
    if (before[i].description() != after[found->second].description())
      out->Changed(StrCat("the description of ", what, " ", before[i].name(), " changes"));
    places.erase(found);
  }
  for (int j = 0; j < static_cast<int>(after.size()); ++j) {
    if (places.contains(after[j].name()))
      out->Add(addition, StrCat(what, " ", after[j].name(), " ", added(j)));
  }
  // A removal moves what follows it, and says so already.
  if (moved && !removed)
    out->Breaking(StrCat(what, "s stand in another order; add new ", what, "s at the end"));
}

// Fields are matched by order: those of `before` must begin those of `after`, else it is breaking.
ViewDifference CompareViews(const ViewSpec& before, const ViewSpec& after);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_CATALOG_SPEC_H_
