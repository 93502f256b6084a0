// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/services.h"

#include <utility>

namespace fletch {

std::vector<NamedService> MakeServices(RpcHost* host) {
  std::vector<NamedService> services;
  services.push_back({"fletch.v1.RegistryService", MakeRegistryService(host)});
  services.push_back({"fletch.v1.IngestService", MakeIngestService(host)});
  services.push_back({"fletch.v1.ServingService", MakeServingService(host)});
  services.push_back({"fletch.v1.HistoricalService", MakeHistoricalService(host)});
  services.push_back({"fletch.v1.VectorService", MakeVectorService(host)});
  services.push_back({"fletch.v1.AdminService", MakeAdminService(host)});
  return services;
}

}  // namespace fletch
