// SPDX-License-Identifier: Apache-2.0
// Asks the daemon at argv[1] for its status and prints its version; without a daemon prints the
// error's reason.
#include <iostream>

#include "fletch/client.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto client =
      fletch::client::Client::Connect(argv[1], {.connect_timeout = absl::Milliseconds(500)});
  if (!client.ok()) {
    std::cout << fletch::client::ErrorReason(client.status()) << "\n";
    return 0;
  }
  auto status = client->Status();
  std::cout << (status.ok() ? status->version() : status.status().ToString()) << "\n";
  return status.ok() ? 0 : 1;
}
