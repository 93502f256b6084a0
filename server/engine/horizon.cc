// SPDX-License-Identifier: Apache-2.0
#include "server/engine/horizon.h"

#include <algorithm>
#include <string>

#include "base/status.h"
#include "base/strings.h"
#include "server/engine/time_text.h"
#include "storage/big_endian.h"

namespace fletch {
namespace {

constexpr std::string_view kPrefix = "horizon/";
constexpr size_t kValueBytes = 16;

std::string KeyOf(ViewId view_id) {
  std::string key(kPrefix);
  AppendU32(view_id, &key);
  return key;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Horizons>> Horizons::Open(const KvStore* store) {
  auto horizons = std::make_unique<Horizons>();
  MutexLock lock(&horizons->mu_);
  auto it = store->NewIterator(Family::kMeta);
  for (it->Seek(kPrefix); it->Valid() && it->key().substr(0, kPrefix.size()) == kPrefix;
       it->Next()) {
    if (it->key().size() != kPrefix.size() + 4 || it->value().size() != kValueBytes) {
      return DataLoss(
          "the stored horizon of a view is damaged; restore the data directory from a backup");
    }
    const char* value = it->value().data();
    horizons->by_view_[ReadU32(it->key().data() + kPrefix.size())] = {
        Int64FromOrdered(ReadU64(value)), ReadU64(value + 8)};
  }
  RETURN_IF_ERROR(it->status());
  return horizons;
}

Horizon Horizons::Of(ViewId view_id) const {
  MutexLock lock(&mu_);
  const auto found = by_view_.find(view_id);
  return found == by_view_.end() ? Horizon{} : found->second;
}

absl::Status Horizons::Raise(KvStore* store, ViewId view_id, const Horizon& horizon) {
  const Horizon before = Of(view_id);
  const Horizon raised{std::max(before.time, horizon.time), std::max(before.floor, horizon.floor)};
  std::string value;
  AppendU64(OrderedFromInt64(raised.time), &value);
  AppendU64(raised.floor, &value);
  KvBatch batch;
  batch.Put(Family::kMeta, KeyOf(view_id), std::move(value));
  RETURN_IF_ERROR(store->Write(batch, /*sync=*/true));
  MutexLock lock(&mu_);
  by_view_[view_id] = raised;
  return absl::OkStatus();
}

absl::Status Horizons::Drop(KvStore* store, ViewId view_id) {
  KvBatch batch;
  batch.Delete(Family::kMeta, KeyOf(view_id));
  RETURN_IF_ERROR(store->Write(batch, /*sync=*/true));
  MutexLock lock(&mu_);
  by_view_.erase(view_id);
  return absl::OkStatus();
}

absl::Status BeforeHorizon(std::string_view what, const ViewSchema& schema, int64_t horizon,
                           std::string_view field) {
  return MakeError(absl::StatusCode::kOutOfRange, "BEFORE_HORIZON",
                   StrCat(what, " lies before the horizon of view ", schema.versioned_name(), " (",
                          TimeText(horizon),
                          "), and its retention keeps no history before that; give a later time"),
                   field);
}

}  // namespace fletch
