// SPDX-License-Identifier: Apache-2.0
// Specs: objects of the registry as YAML (docs: api.md, "Specs"), both ways.
#ifndef FLETCH_CLIENTS_FLETCHCTL_SPECS_H_
#define FLETCH_CLIENTS_FLETCHCTL_SPECS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cells.h"
#include "fletch/v1/registry.pb.h"

namespace fletch::ctl {

// The objects of a YAML text, one a document, in order. Errors are usage errors and name `file`,
// the line and the path within the document; an unknown key is an error.
absl::StatusOr<std::vector<v1::Object>> ParseSpecs(const std::string& text,
                                                   const std::string& file);

// The same mapping back: {"kind": "Entity", "name": …}. With `answers` also what only the daemon
// says (version, resolved_features).
Json ToSpec(const v1::Object& object, bool answers);

// A spec as a YAML document that ParseSpecs reads.
std::string ToYaml(const Json& spec);

// "approx_percentile".
std::string FunctionName(v1::AggregateFunction function);

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_SPECS_H_
