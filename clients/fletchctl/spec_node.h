// SPDX-License-Identifier: Apache-2.0
// One place in a YAML spec, so that every error can say where it is. For the specs_*.cc only.
#ifndef FLETCH_CLIENTS_FLETCHCTL_SPEC_NODE_H_
#define FLETCH_CLIENTS_FLETCHCTL_SPEC_NODE_H_

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "fletch/v1/registry.pb.h"
#include "result.h"

namespace fletch::ctl {

// A node and where it stands, so that every error can say so.
class Spec {
 public:
  Spec(YAML::Node node, std::string file, std::string path)
      : node_(std::move(node)), file_(std::move(file)), path_(std::move(path)) {}

  absl::Status Error(absl::string_view what) const {
    const std::string path = path_.empty() ? "" : absl::StrCat(path_, ": ");
    return UsageError(absl::StrCat(file_, ":", node_.Mark().line + 1, ": ", path, what));
  }

  // A mapping with no key but these, each at most once.
  absl::Status CheckKeys(const std::vector<std::string>& known) const {
    if (!node_.IsMap()) return Error("a mapping (key: value) is needed here");
    std::set<std::string> seen;
    for (const auto& entry : node_) {
      const Spec key(entry.first, file_, path_);
      if (!entry.first.IsScalar()) return key.Error("a key must be a plain name");
      const std::string& name = entry.first.Scalar();
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        return key.Error(
            absl::StrCat("unknown key '", name, "'; known are ", absl::StrJoin(known, ", ")));
      }
      if (!seen.insert(name).second)
        return key.Error(absl::StrCat("key '", name, "' stands twice"));
    }
    return absl::OkStatus();
  }

  bool Has(const std::string& key) const { return node_[key] && !node_[key].IsNull(); }
  Spec At(const std::string& key) const {
    return Spec(node_[key], file_, path_.empty() ? key : absl::StrCat(path_, ".", key));
  }
  Spec In(std::string path) const { return Spec(node_, file_, std::move(path)); }

  absl::StatusOr<std::string> Text() const {
    if (!node_.IsScalar()) return Error("a single value is needed here");
    return node_.Scalar();
  }
  // The text under `key`, or "" when it is absent and may be.
  absl::StatusOr<std::string> Text(const std::string& key, bool required) const {
    if (Has(key)) return At(key).Text();
    if (required) return Error(absl::StrCat("'", key, "' is missing"));
    return "";
  }
  absl::StatusOr<bool> Bool(const std::string& key) const {
    if (!Has(key)) return false;
    CTL_ASSIGN(const std::string text, At(key).Text());
    if (text != "true" && text != "false") return At(key).Error("true or false is needed here");
    return text == "true";
  }
  absl::StatusOr<std::vector<Spec>> List(const std::string& key) const {
    std::vector<Spec> items;
    if (!Has(key)) return items;
    const Spec list = At(key);
    if (!list.node_.IsSequence()) return list.Error("a list is needed here");
    for (size_t i = 0; i < list.node_.size(); ++i) {
      items.emplace_back(list.node_[i], file_, absl::StrCat(list.path_, "[", i, "]"));
    }
    return items;
  }

  // A whole number from 0; absent: 0.
  absl::StatusOr<uint64_t> Count(const std::string& key) const {
    uint64_t count = 0;
    if (!Has(key)) return count;
    CTL_ASSIGN(const std::string text, At(key).Text());
    if (absl::SimpleAtoi(text, &count)) return count;
    return At(key).Error("a whole number is needed here");
  }
  // A finite number; absent: 0.
  absl::StatusOr<double> Number(const std::string& key) const {
    double number = 0;
    if (!Has(key)) return number;
    CTL_ASSIGN(const std::string text, At(key).Text());
    if (absl::SimpleAtod(text, &number) && std::isfinite(number)) return number;
    return At(key).Error("a number is needed here");
  }

  const YAML::Node& node() const { return node_; }

 private:
  YAML::Node node_;
  std::string file_;
  std::string path_;
};

// The type under `type`.
absl::StatusOr<v1::ValueType> ParseType(const Spec& spec);

// A duration under `key`; nullopt: absent.
absl::StatusOr<std::optional<google::protobuf::Duration>> ParseDurationAt(const Spec& spec,
                                                                          const std::string& key);

// The kinds of views that are computed from others (specs_derived.cc).
absl::StatusOr<v1::Object> ParseAggregationView(const Spec& spec);
absl::StatusOr<v1::Object> ParseOnDemandFeatureView(const Spec& spec);

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_SPEC_NODE_H_
