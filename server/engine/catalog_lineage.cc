// SPDX-License-Identifier: Apache-2.0
#include "server/engine/catalog_lineage.h"

#include <string_view>
#include <utility>
#include <variant>

#include "absl/strings/str_join.h"
#include "base/strings.h"

namespace fletch {
namespace {

LineageNode NodeOf(const ViewSchema& schema) {
  return {v1::FEATURE_VIEW, schema.name, schema.version};
}
LineageNode NodeOf(const AggregationView& view) {
  return {v1::AGGREGATION_VIEW, view.name, view.version};
}

}  // namespace

LineageNode NodeOf(const AnyView& view) {
  if (const auto* stored = std::get_if<std::shared_ptr<const View>>(&view))
    return NodeOf((*stored)->schema);
  if (const auto* windows = std::get_if<std::shared_ptr<const AggregationView>>(&view))
    return NodeOf(**windows);
  const OnDemandView& on_demand = *std::get<std::shared_ptr<const OnDemandView>>(view);
  return {v1::ON_DEMAND_FEATURE_VIEW, on_demand.name, on_demand.version};
}

Lineage::Lineage(const ProjectState& project) {
  for (const auto& [name, versions] : project.views) {
    for (const auto& stored : versions)
      Add(NodeOf(stored->view->schema), {v1::ENTITY, stored->view->schema.entity, 0});
  }
  for (const auto& [name, versions] : project.aggregation_views) {
    for (const auto& stored : versions)
      Add(NodeOf(*stored->view), NodeOf(stored->view->source->schema));
  }
  for (const auto& [name, versions] : project.on_demand_views) {
    for (const auto& stored : versions) {
      for (const OnDemandView::Input& input : stored->view->inputs) {
        Add(NodeOf(AnyView(stored->view)),
            input.view != nullptr ? NodeOf(input.view->schema) : NodeOf(*input.windows));
      }
    }
  }
  for (const auto& [name, stored] : project.services) {
    const LineageNode node{v1::FEATURE_SERVICE, name, 0};
    const auto add = [&](std::string_view view_ref) {
      if (const auto view = FindVersion(project, view_ref)) Add(node, NodeOf(*view));
    };
    for (const std::string& ref : stored->spec.resolved_features())
      add(std::string_view(ref).substr(0, ref.find(':')));
    for (const v1::Binding& binding : stored->pinned_bindings) add(binding.feature_view());
  }
}

void Lineage::Add(const LineageNode& reader, const LineageNode& source) {
  reads_[reader].insert(source);
  readers_[source].insert(reader);
}

Lineage::Reached Lineage::Reach(const Edges& edges, const LineageNode& from) {
  Reached reached;
  std::vector<const LineageNode*> open = {&from};
  while (!open.empty()) {
    const LineageNode& node = *open.back();
    open.pop_back();
    const auto found = edges.find(node);
    if (found == edges.end()) continue;
    for (const LineageNode& next : found->second) {
      const auto [place, is_new] = reached.try_emplace(next, false);
      place->second = place->second || &node == &from;
      if (is_new) open.push_back(&place->first);
    }
  }
  return reached;
}

std::string DescribeReaders(const std::set<LineageNode>& readers) {
  std::map<v1::ObjectKind, std::vector<std::string>> names;
  for (const LineageNode& node : readers) {
    names[node.kind].push_back(node.version == 0 ? node.name
                                                 : StrCat(node.name, "@v", node.version));
  }
  std::vector<std::string> groups;
  for (const auto& [kind, list] : names) {
    groups.push_back(
        StrCat(KindWords(kind), list.size() > 1 ? "s " : " ", absl::StrJoin(list, ", ")));
  }
  return groups.empty() ? "nothing" : absl::StrJoin(groups, "; ");
}

}  // namespace fletch
