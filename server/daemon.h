// SPDX-License-Identifier: Apache-2.0
// The composition root: store, engine, executors, services, health, metrics; start, drain, stop.
#ifndef FLETCH_SERVER_DAEMON_H_
#define FLETCH_SERVER_DAEMON_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/config.h"

namespace fletch {

// Thread-compatible.
class Daemon {
 public:
  // Listens, recovers the data and is ready when this returns; until then calls get UNAVAILABLE and
  // health says NOT_SERVING. UNAVAILABLE: an address cannot be listened on; FAILED_PRECONDITION
  // (LOCKED): another process has the folder; DATA_LOSS: it is damaged.
  static absl::StatusOr<std::unique_ptr<Daemon>> Start(const Config& config);

  // As Stop().
  ~Daemon();

  // Refuses new work, waits for what is in flight, ends the rest, closes the store. Ends the
  // process (exit code 1) when all that takes longer than the drain budget. Idempotent.
  void Stop();

  // "127.0.0.1:7447", with the chosen port.
  const std::string& address() const;

 private:
  struct Parts;
  explicit Daemon(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_DAEMON_H_
