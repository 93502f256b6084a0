// SPDX-License-Identifier: Apache-2.0
// What Apply and Delete do to the catalog's contents, as pure functions: nothing is stored here.
#ifndef FLETCH_SERVER_ENGINE_CATALOG_APPLY_H_
#define FLETCH_SERVER_ENGINE_CATALOG_APPLY_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "fletch/v1/registry.pb.h"
#include "server/engine/catalog_state.h"

namespace fletch {

struct Applied {
  CatalogState state;  // revision raised when `changed`
  bool changed = false;
  std::vector<v1::PlannedChange> changes;  // in the order of the request
};
// Errors as RegistryService.Apply. With dry_run a breaking change is no error.
absl::StatusOr<Applied> ApplySpecs(const CatalogState& before, const v1::ApplyRequest& request,
                                   const Catalog::Readers& training_sets);

struct Removed {
  CatalogState state;  // revision raised
  std::vector<std::shared_ptr<const View>> views;
};
// Errors as RegistryService.Delete.
absl::StatusOr<Removed> RemoveObject(const CatalogState& before,
                                     const v1::DeleteObjectRequest& request,
                                     const Catalog::Readers& training_sets);

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_CATALOG_APPLY_H_
