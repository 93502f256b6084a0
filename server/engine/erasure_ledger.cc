// SPDX-License-Identifier: Apache-2.0
#include "server/engine/erasure_ledger.h"

#include <algorithm>
#include <limits>

#include "absl/strings/numbers.h"
#include "base/status.h"
#include "base/strings.h"
#include "storage/big_endian.h"

namespace fletch {
namespace {

constexpr std::string_view kDone = "erasure/";
constexpr std::string_view kPending = "erasing/";
constexpr size_t kHeaderBytes = 8;  // of a pending erasure: entity id, bytes of the key

std::string KeyOf(std::string_view prefix, uint64_t id) {
  std::string key(prefix);
  AppendU64(id, &key);
  return key;
}

bool IsUnder(const KvIterator& it, std::string_view prefix) {
  return it.Valid() && it.key().size() == prefix.size() + 8 &&
         it.key().substr(0, prefix.size()) == prefix;
}

absl::Status Damaged() {
  return DataLoss(
      "a record of the erasure ledger is damaged; restore the data directory from a backup");
}

absl::StatusOr<v1::EraseReceipt> ReadReceipt(std::string_view bytes) {
  v1::EraseReceipt receipt;
  if (!receipt.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return Damaged();
  return receipt;
}

absl::StatusOr<uint64_t> LastIdUnder(const KvStore& store, std::string_view prefix) {
  auto it = store.NewIterator(Family::kMeta);
  it->SeekForPrev(KeyOf(prefix, std::numeric_limits<uint64_t>::max()));
  RETURN_IF_ERROR(it->status());
  return IsUnder(*it, prefix) ? ReadU64(it->key().data() + prefix.size()) : 0;
}

}  // namespace

void AddPendingErasure(const PendingErasure& pending, KvBatch* batch) {
  std::string value;
  AppendU32(pending.entity_id, &value);
  AppendU32(static_cast<uint32_t>(pending.entity_key.size()), &value);
  value += pending.entity_key;
  value += pending.receipt.SerializeAsString();
  batch->Put(Family::kMeta, KeyOf(kPending, pending.receipt.id()), std::move(value));
}

void RemovePendingErasure(uint64_t id, KvBatch* batch) {
  batch->Delete(Family::kMeta, KeyOf(kPending, id));
}

absl::StatusOr<std::vector<PendingErasure>> ReadPendingErasures(const KvStore& store) {
  std::vector<PendingErasure> all;
  auto it = store.NewIterator(Family::kMeta);
  for (it->Seek(kPending); IsUnder(*it, kPending); it->Next()) {
    const std::string_view value = it->value();
    if (value.size() < kHeaderBytes) return Damaged();
    PendingErasure pending;
    pending.entity_id = ReadU32(value.data());
    const size_t key_bytes = ReadU32(value.data() + 4);
    if (value.size() - kHeaderBytes < key_bytes) return Damaged();
    pending.entity_key = value.substr(kHeaderBytes, key_bytes);
    ASSIGN_OR_RETURN(pending.receipt, ReadReceipt(value.substr(kHeaderBytes + key_bytes)));
    all.push_back(std::move(pending));
  }
  RETURN_IF_ERROR(it->status());
  return all;
}

void AddReceipt(const v1::EraseReceipt& receipt, KvBatch* batch) {
  batch->Put(Family::kMeta, KeyOf(kDone, receipt.id()), receipt.SerializeAsString());
}

absl::StatusOr<std::optional<v1::EraseReceipt>> FindReceipt(const KvStore& store, uint64_t id) {
  ASSIGN_OR_RETURN(const std::optional<std::string> value,
                   store.Get(Family::kMeta, KeyOf(kDone, id)));
  if (!value.has_value()) return std::nullopt;
  return ReadReceipt(*value);
}

absl::StatusOr<uint64_t> LastErasureId(const KvStore& store) {
  ASSIGN_OR_RETURN(const uint64_t done, LastIdUnder(store, kDone));
  ASSIGN_OR_RETURN(const uint64_t pending, LastIdUnder(store, kPending));
  return std::max(done, pending);
}

absl::StatusOr<v1::ListErasuresResponse> ListReceipts(const KvStore& store,
                                                      const std::string& project, size_t page_size,
                                                      const std::string& page_token) {
  uint64_t newest = std::numeric_limits<uint64_t>::max();
  if (!page_token.empty()) {
    // A token is the id of the last receipt of its page.
    if (!absl::SimpleAtoi(page_token, &newest) || newest == 0) {
      return InvalidArgument(
          "is no token of this list; use next_page_token of the page before, or leave it out",
          "page_token");
    }
    --newest;
  }
  v1::ListErasuresResponse response;
  auto it = store.NewIterator(Family::kMeta);
  for (it->SeekForPrev(KeyOf(kDone, newest)); IsUnder(*it, kDone); it->Prev()) {
    ASSIGN_OR_RETURN(v1::EraseReceipt receipt, ReadReceipt(it->value()));
    if (!project.empty() && receipt.project() != project) continue;
    if (static_cast<size_t>(response.receipts_size()) == page_size) {
      response.set_next_page_token(StrCat(response.receipts(response.receipts_size() - 1).id()));
      return response;
    }
    *response.add_receipts() = std::move(receipt);
  }
  RETURN_IF_ERROR(it->status());
  return response;
}

}  // namespace fletch
