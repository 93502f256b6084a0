// SPDX-License-Identifier: Apache-2.0
// What reads what within a project: entities, views of all kinds in their versions, services.
#ifndef FLETCH_SERVER_ENGINE_CATALOG_LINEAGE_H_
#define FLETCH_SERVER_ENGINE_CATALOG_LINEAGE_H_

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "fletch/v1/registry.pb.h"
#include "server/engine/catalog_state.h"

namespace fletch {

struct LineageNode {
  v1::ObjectKind kind = v1::OBJECT_KIND_UNSPECIFIED;
  std::string name;
  uint64_t version = 0;  // of views; of others 0

  auto operator<=>(const LineageNode&) const = default;
};

LineageNode NodeOf(const AnyView& view);

// Of one state of a project. Immutable. Building it costs every object once.
class Lineage {
 public:
  explicit Lineage(const ProjectState& project);

  // What was reached, by kind, name and version; true: directly.
  using Reached = std::map<LineageNode, bool>;
  // All that `node` is made of, and all that is made of it.
  Reached Upstream(const LineageNode& node) const { return Reach(reads_, node); }
  Reached Downstream(const LineageNode& node) const { return Reach(readers_, node); }

 private:
  using Edges = std::map<LineageNode, std::set<LineageNode>>;
  void Add(const LineageNode& reader, const LineageNode& source);
  static Reached Reach(const Edges& edges, const LineageNode& from);

  Edges reads_;
  Edges readers_;
};

// "aggregation views a@v1, b@v1; feature service model; training set t"; "nothing".
std::string DescribeReaders(const std::set<LineageNode>& readers);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_CATALOG_LINEAGE_H_
