// SPDX-License-Identifier: Apache-2.0
// The services, ready to register. `host` outlives them. Thread-safe.
#ifndef FLETCH_SERVER_RPC_SERVICES_H_
#define FLETCH_SERVER_RPC_SERVICES_H_

#include <grpcpp/impl/service_type.h>

#include <memory>
#include <string>
#include <vector>

#include "server/rpc/rpc_host.h"

namespace fletch {

std::unique_ptr<grpc::Service> MakeRegistryService(RpcHost* host);
std::unique_ptr<grpc::Service> MakeIngestService(RpcHost* host);
std::unique_ptr<grpc::Service> MakeServingService(RpcHost* host);
std::unique_ptr<grpc::Service> MakeHistoricalService(RpcHost* host);
std::unique_ptr<grpc::Service> MakeVectorService(RpcHost* host);
std::unique_ptr<grpc::Service> MakeAdminService(RpcHost* host);

// All of the above, with their full names for health.
struct NamedService {
  std::string name;  // "fletch.v1.IngestService"
  std::unique_ptr<grpc::Service> service;
};
std::vector<NamedService> MakeServices(RpcHost* host);

}  // namespace fletch

#endif  // FLETCH_SERVER_RPC_SERVICES_H_
