// SPDX-License-Identifier: Apache-2.0
// AdminService.AuditParity: entities chosen at random, asked online and through the training path.
#ifndef FLETCH_SERVER_ENGINE_PARITY_AUDIT_H_
#define FLETCH_SERVER_ENGINE_PARITY_AUDIT_H_

#include <functional>

#include "absl/status/statusor.h"
#include "base/call.h"
#include "base/clock.h"
#include "fletch/v1/admin.pb.h"
#include "server/engine/catalog.h"
#include "server/engine/parity.h"
#include "server/engine/snapshot.h"
#include "server/engine/types.h"

namespace fletch {

// Of one audit. All outlive it.
struct ParityAudit {
  const CatalogSnapshot& catalog;
  const ReadSources sources;
  ParityChecker& checker;
  const Clock& clock;
  std::function<absl::StatusOr<OnlineAnswer>(const OnlineRequest&, const Call&)> ask_online;

  // The entities are those with the least hashes of (seed, key), so the same seed chooses the same.
  // Walks the online table once an entity kind, or the latest rows where the table has not all.
  // INVALID_ARGUMENT: features that need a request context; else as MakeFeaturePlan.
  absl::StatusOr<v1::AuditParityResponse> Run(const v1::AuditParityRequest& request,
                                              const Call& call) const;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_PARITY_AUDIT_H_
