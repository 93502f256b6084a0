# SPDX-License-Identifier: Apache-2.0
# find_package(fletch): fletch::client (the C++ client), fletch::proto (messages), fletch::grpc (raw stubs).
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(absl)
find_dependency(Protobuf)
find_dependency(gRPC CONFIG)
include(${CMAKE_CURRENT_LIST_DIR}/fletchTargets.cmake)
