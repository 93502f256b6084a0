// SPDX-License-Identifier: Apache-2.0
// libFuzzer's way into index files: checksums are made to fit, so that what lies behind them is
// reached. `graph_file_fuzz --seeds FOLDER` writes what to start from.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "index/graph_file_testing.h"

namespace {

const fletch::IndexOptions kOptions{.metric = fletch::VectorMetric::kL2, .dimension = 6};

std::string Path() {
  static const std::string path = std::filesystem::temp_directory_path().string() +
                                  "/graph_file_fuzz." + std::to_string(getpid());
  return path;
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc != 3 || std::string((*argv)[1]) != "--seeds") return 0;
  const std::filesystem::path folder((*argv)[2]);
  std::filesystem::create_directories(folder);
  for (const size_t count : {1, 5, 40}) {
    fletch::SaveSmallIndex((folder / std::to_string(count)).string(), kOptions, count);
  }
  std::exit(0);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  fletch::MendChecksums(&bytes);
  fletch::WriteBytes(Path(), bytes);
  fletch::OpenAndSearch(Path(), kOptions).IgnoreError();
  std::filesystem::remove(Path());
  return 0;
}
