// SPDX-License-Identifier: Apache-2.0
// Specs checked and turned into schemas, and two versions of a view compared. Pure functions.
#ifndef FLETCH_SERVER_ENGINE_CATALOG_SPEC_H_
#define FLETCH_SERVER_ENGINE_CATALOG_SPEC_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fletch/v1/registry.pb.h"
#include "storage/schema.h"

namespace fletch {

// OK for [a-z][a-z0-9_]{0,63}; else INVALID_ARGUMENT, saying so. Field path: `path`.
absl::Status CheckName(std::string_view name, std::string_view path);

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
// Fields are matched by order: those of `before` must begin those of `after`, else it is breaking.
ViewDifference CompareViews(const ViewSpec& before, const ViewSpec& after);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_CATALOG_SPEC_H_
