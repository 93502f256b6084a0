// SPDX-License-Identifier: Apache-2.0
// The part of a fact key after "view | entity", looked at without copying it. Private to this room.
#ifndef FLETCH_STORAGE_FACT_SUFFIX_H_
#define FLETCH_STORAGE_FACT_SUFFIX_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/big_endian.h"
#include "storage/fact_key.h"

namespace fletch {

inline constexpr size_t kFactSuffixBytes = 17;  // time, commit, kind; the event key follows
inline constexpr char kTombstoneKind = 0;
inline constexpr char kRowKind = 1;

struct FactSuffix {
  int64_t event_time = 0;
  uint64_t commit_seq = 0;
  bool tombstone = false;
  std::string_view event_key_complement;
  std::string_view
      identity;  // kind and event key: tells identities of one entity and instant apart
};

inline std::string Complement(std::string_view bytes) {
  std::string out(bytes);
  for (char& c : out) c = static_cast<char>(~c);
  return out;
}

// Kind and event key.
inline void AppendIdentitySuffix(const Identity& identity, std::string* out) {
  out->push_back(identity.tombstone ? kTombstoneKind : kRowKind);
  out->append(Complement(identity.event_key));
}

inline void AppendFactSuffix(const FactSuffix& at, std::string* out) {
  AppendU64(~OrderedFromInt64(at.event_time), out);
  AppendU64(~at.commit_seq, out);
  out->append(at.identity);
}

// nullopt: damaged. Views into `suffix`.
inline std::optional<FactSuffix> ParseFactSuffix(std::string_view suffix) {
  if (suffix.size() < kFactSuffixBytes) return std::nullopt;
  const std::string_view identity = suffix.substr(kFactSuffixBytes - 1);
  const char kind = identity[0];
  if (kind != kRowKind && (kind != kTombstoneKind || identity.size() > 1)) return std::nullopt;
  return FactSuffix{Int64FromOrdered(~ReadU64(suffix.data())),
                    ~ReadU64(suffix.data() + sizeof(uint64_t)), kind == kTombstoneKind,
                    identity.substr(1), identity};
}

}  // namespace fletch

#endif  // FLETCH_STORAGE_FACT_SUFFIX_H_
