# SPDX-License-Identifier: Apache-2.0
# fletchd: settings, composition root, main. The only place where all rooms meet.
find_package(gRPC CONFIG REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
fletch_room(fletch_daemon server
  SOURCES config.cc metrics_http.cc daemon.cc
  DEPS fletch_rpc fletch_flight fletch_rocksdb
  PRIVATE_DEPS yaml-cpp prometheus-cpp::pull gRPC::grpc++_reflection)
add_executable(fletchd main.cc)
target_compile_options(fletchd PRIVATE ${FLETCH_WARNINGS})
target_compile_definitions(fletchd PRIVATE FLETCH_VERSION="${PROJECT_VERSION}")
target_link_libraries(fletchd PRIVATE fletch_daemon)
