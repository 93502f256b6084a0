// SPDX-License-Identifier: Apache-2.0
// libFuzzer's way into the reader. `ipc_fuzz --seeds FOLDER` writes what to start from.
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "server/flight/ipc_testing.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc != 3 || std::string((*argv)[1]) != "--seeds") return 0;
  std::filesystem::create_directories((*argv)[2]);
  int count = 0;
  for (const auto& stream : fletch::SeedStreams()) {
    std::ofstream file(std::filesystem::path((*argv)[2]) / std::to_string(count++),
                       std::ios::binary);
    file << fletch::JoinMessages(stream);
  }
  std::exit(0);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fletch::ReadWholeStream(fletch::SplitMessages({reinterpret_cast<const char*>(data), size}));
  return 0;
}
