// SPDX-License-Identifier: Apache-2.0
// The kinds of objects, as specs and people name them.
#ifndef FLETCH_CLIENTS_FLETCHCTL_KINDS_H_
#define FLETCH_CLIENTS_FLETCHCTL_KINDS_H_

#include <string>

#include "absl/status/statusor.h"
#include "fletch/v1/registry.pb.h"

namespace fletch::ctl {

// "FeatureView".
std::string KindName(v1::ObjectKind kind);

// What kind an object is, its name, its version (0: of a kind without versions), and a line about
// it: "of departures, 3 windows".
v1::ObjectKind KindOf(const v1::Object& object);
std::string NameOf(const v1::Object& object);
uint64_t VersionOf(const v1::Object& object);
std::string Summary(const v1::Object& object);

// From "FeatureView", "feature_view", "feature-views" or "view", and so on; a usage error lists
// them. A training set is no object of the registry: only `with_training_sets` takes it.
absl::StatusOr<v1::ObjectKind> ParseKind(const std::string& text, bool with_training_sets = false);

// The words that ParseKind's error and the shells' completions list, separated by blanks.
inline constexpr char kKindWords[] = "project entity view aggregation-view on-demand-view service";

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_KINDS_H_
