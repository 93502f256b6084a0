// SPDX-License-Identifier: Apache-2.0
// What changes: writes, deletions, retractions.
#include <utility>

#include "base/status.h"
#include "server/engine/engine_parts.h"

namespace fletch {

void Engine::Parts::Submit(absl::StatusOr<EncodedWrite> write, const std::string& project,
                           const std::string& request_id, Durability durability,
                           uint64_t payload_hash, const Call& call, WriteDone done) {
  if (!write.ok()) return done(write.status());
  CommitRequest request{.write = *std::move(write),
                        .sync = durability == Durability::kSync,
                        .request_key = request_id.empty() ? "" : RequestKey(project, request_id),
                        .payload_hash = payload_hash,
                        .call = call,
                        .done = done};
  absl::Status submitted = pipeline->Submit(std::move(request));
  if (!submitted.ok()) done(submitted);
}

void Engine::Write(WriteRequest request, const Call& call, WriteDone done) {
  const std::string project = request.project, request_id = request.request_id;
  const Durability durability = request.durability;
  const uint64_t payload_hash = request.payload_hash;
  parts_->Submit(
      EncodeWrite(*parts_->catalog->Snapshot(), std::move(request), parts_->clock->NowMicros()),
      project, request_id, durability, payload_hash, call, std::move(done));
}

void Engine::DeleteRows(KeyedRequest request, const Call& call, WriteDone done) {
  WriteKeyed(std::move(request), FactForm::kTombstone, call, std::move(done));
}

void Engine::Retract(KeyedRequest request, const Call& call, WriteDone done) {
  WriteKeyed(std::move(request), FactForm::kRetraction, call, std::move(done));
}

void Engine::WriteKeyed(KeyedRequest request, FactForm form, const Call& call, WriteDone done) {
  const std::string project = request.project, request_id = request.request_id;
  const Durability durability = request.durability;
  const uint64_t payload_hash = request.payload_hash;
  parts_->Submit(EncodeKeyed(*parts_->catalog->Snapshot(), std::move(request), form,
                             parts_->clock->NowMicros()),
                 project, request_id, durability, payload_hash, call, std::move(done));
}

}  // namespace fletch
