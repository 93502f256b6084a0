// SPDX-License-Identifier: Apache-2.0
// Keys of the fact family (FORMAT.md, Facts):
//   u32 view id | entity key | event time, newest first | commit, newest first | u8 kind | event
//   key, greatest first
// Big-endian; "newest first" and "greatest first" are the complement of the ascending encoding.
// kind: 0 a tombstone's identity (no event key), 1 a row's. So facts of one entity iterate from the
// newest to the oldest in semantics.md's order (event_time, commit_seq, encoded event key).
#ifndef FLETCH_STORAGE_FACT_KEY_H_
#define FLETCH_STORAGE_FACT_KEY_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "storage/schema.h"

namespace fletch {

// Stored: never change the numbers.
enum class FactForm : uint8_t { kRow = 1, kTombstone = 2, kRetraction = 3 };

// What a fact is about, within a view. A tombstone's identity is never a row's.
struct Identity {
  std::string entity_key;  // encoded
  int64_t event_time = 0;
  bool tombstone = false;
  std::string
      event_key;  // encoded (ascending form); empty for tombstones and for views without event keys

  bool operator==(const Identity&) const = default;
  auto operator<=>(const Identity&) const = default;
};

struct FactKey {
  ViewId view_id = 0;
  Identity identity;
  uint64_t commit_seq = 0;
};

std::string EncodeFactKey(const FactKey& key);
// "view | entity": the common prefix of an entity's facts.
std::string FactPrefix(ViewId view_id, std::string_view entity_key);
// The least string greater than all that begin with `prefix` ("view | entity"): where the next
// entity may begin. REQUIRES: view_id < UINT32_MAX.
std::string FactPrefixEnd(std::string_view prefix);
// "view": the common prefix of a view's facts, and the end of its range. REQUIRES: view_id <
// UINT32_MAX.
std::string ViewPrefix(ViewId view_id);
std::string ViewPrefixEnd(ViewId view_id);
// Where facts of `prefix` with event_time <= t begin.
std::string FactSeekKey(std::string_view prefix, int64_t event_time);
// DATA_LOSS when the bytes are no fact key of `schema`.
absl::StatusOr<FactKey> DecodeFactKey(const ViewSchema& schema, std::string_view bytes);

}  // namespace fletch

#endif  // FLETCH_STORAGE_FACT_KEY_H_
