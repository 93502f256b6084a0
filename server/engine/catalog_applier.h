// SPDX-License-Identifier: Apache-2.0
// One Apply on its way; private to catalog_apply*.cc.
#ifndef FLETCH_SERVER_ENGINE_CATALOG_APPLIER_H_
#define FLETCH_SERVER_ENGINE_CATALOG_APPLIER_H_

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fletch/v1/registry.pb.h"
#include "server/engine/catalog_apply.h"
#include "server/engine/catalog_lineage.h"
#include "server/engine/catalog_spec.h"
#include "server/engine/catalog_state.h"

namespace fletch {

// Objects are applied kind by kind, each kind after those it may name.
class Applier {
 public:
  Applier(const CatalogState& before, const v1::ApplyRequest& request,
          const Catalog::Readers& training_sets)
      : before_(before), request_(request), training_sets_(training_sets) {}

  absl::StatusOr<Applied> Run() &&;

 private:
  // Who reads the older versions of a view, through others too, and goes on doing so.
  struct Affected {
    std::set<LineageNode> readers;     // views, services, training sets
    std::vector<std::string> keepers;  // of the views among them that read it directly: sentences
  };

  absl::Status CheckRequest();
  template <typename Function>
  absl::Status ForEach(v1::ObjectKind kind, Function apply);
  void Set(v1::PlannedChange* plan, v1::ChangeKind change, std::vector<std::string> details = {});
  absl::Status ApplyProject(const v1::Project& spec, std::string_view path,
                            v1::PlannedChange* plan);
  absl::Status ApplyEntity(const v1::Entity& spec, std::string_view path, v1::PlannedChange* plan);
  absl::Status ApplyDerived();
  absl::Status ApplyService(const CatalogSnapshot& snapshot, const v1::FeatureService& spec,
                            std::string_view path, v1::PlannedChange* plan);
  Affected FindAffected(const Lineage& lineage, const v1::PlannedChange& change) const;
  absl::Status CheckBreaking() const;
  void AddAffected();

  // catalog_apply_views.cc.
  absl::Status CheckFreeName(v1::ObjectKind kind, std::string_view name,
                             std::string_view path) const;
  absl::Status CheckRetention(const ViewSchema& schema, uint64_t version,
                              std::string_view path) const;
  // Writes the difference into the plan; the version afterwards.
  uint64_t SetVersion(ViewDifference difference, size_t versions, v1::PlannedChange* plan);
  absl::Status ApplyView(const v1::FeatureView& spec, std::string_view path,
                         v1::PlannedChange* plan);
  absl::StatusOr<std::shared_ptr<const View>> FindSource(const v1::AggregationView& spec,
                                                         std::string_view path) const;
  absl::Status ApplyAggregationView(const v1::AggregationView& spec, std::string_view path,
                                    v1::PlannedChange* plan);
  absl::StatusOr<std::vector<OnDemandView::Input>> FindInputs(const v1::OnDemandFeatureView& spec,
                                                              std::string_view path) const;
  absl::Status ApplyOnDemandView(const v1::OnDemandFeatureView& spec, std::string_view path,
                                 v1::PlannedChange* plan);

  const CatalogState& before_;
  const v1::ApplyRequest& request_;
  const Catalog::Readers& training_sets_;
  Applied applied_;
  ProjectState* project_ = nullptr;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_CATALOG_APPLIER_H_
