// SPDX-License-Identifier: Apache-2.0
#include "storage/fact_key.h"

#include "base/status.h"
#include "storage/big_endian.h"
#include "storage/entity_key.h"
#include "storage/fact_suffix.h"

namespace fletch {

std::string EncodeFactKey(const FactKey& key) {
  const Identity& identity = key.identity;
  std::string out = FactPrefix(key.view_id, identity.entity_key);
  out.reserve(out.size() + kFactSuffixBytes + identity.event_key.size());
  AppendU64(~OrderedFromInt64(identity.event_time), &out);
  AppendU64(~key.commit_seq, &out);
  AppendIdentitySuffix(identity, &out);
  return out;
}

std::string FactPrefix(ViewId view_id, std::string_view entity_key) {
  std::string out = ViewPrefix(view_id);
  out.append(entity_key);
  return out;
}

std::string FactPrefixEnd(std::string_view prefix) {
  std::string out(prefix);
  while (out.back() == '\xFF') out.pop_back();  // ends at the view id, which is not all FF
  ++out.back();
  return out;
}

std::string ViewPrefix(ViewId view_id) {
  std::string out;
  AppendU32(view_id, &out);
  return out;
}

std::string ViewPrefixEnd(ViewId view_id) { return ViewPrefix(view_id + 1); }

std::string FactSeekKey(std::string_view prefix, int64_t event_time) {
  std::string out(prefix);
  AppendU64(~OrderedFromInt64(event_time), &out);
  return out;
}

absl::StatusOr<FactKey> DecodeFactKey(const ViewSchema& schema, std::string_view bytes) {
  if (bytes.size() < sizeof(ViewId) || ReadU32(bytes.data()) != schema.view_id) {
    return DataLoss("a stored fact's key is not of its view, " + schema.versioned_name());
  }
  bytes.remove_prefix(sizeof(ViewId));
  ASSIGN_OR_RETURN(const size_t entity_length, KeyLength(schema.join_keys, bytes));
  const std::optional<FactSuffix> suffix = ParseFactSuffix(bytes.substr(entity_length));
  if (!suffix.has_value())
    return DataLoss("a stored fact's key is damaged, in view " + schema.versioned_name());
  FactKey key{
      schema.view_id,
      {std::string(bytes.substr(0, entity_length)), suffix->event_time, suffix->tombstone, ""},
      suffix->commit_seq};
  key.identity.event_key = Complement(suffix->event_key_complement);
  if (!suffix->tombstone) {
    ASSIGN_OR_RETURN(const size_t length, KeyLength(schema.event_keys, key.identity.event_key));
    if (length != key.identity.event_key.size()) {
      return DataLoss("a stored fact's event key is damaged, in view " + schema.versioned_name());
    }
  }
  return key;
}

}  // namespace fletch
