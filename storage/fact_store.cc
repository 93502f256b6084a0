// SPDX-License-Identifier: Apache-2.0
#include "storage/fact_store.h"

#include "base/status.h"
#include "storage/big_endian.h"
#include "storage/entity_key.h"
#include "storage/fact_cursor.h"

namespace fletch {
namespace {

constexpr size_t kLatestHeaderBytes = 1 + 3 * sizeof(uint64_t);

std::string IdentitySuffix(const Identity& identity) {
  std::string suffix;
  AppendIdentitySuffix(identity, &suffix);
  return suffix;
}

}  // namespace

void AddFact(const Fact& fact, KvBatch* batch) {
  std::string value(1, static_cast<char>(fact.form));
  if (fact.form == FactForm::kRow) value += fact.row;
  batch->Put(Family::kFacts, EncodeFactKey(fact.key), std::move(value));
}

FactReader::FactReader(const KvStore* store) : cursor_(std::make_unique<FactCursor>(store)) {}
FactReader::~FactReader() = default;

absl::StatusOr<Visible> FactReader::FindVisible(const ViewSchema& schema,
                                                std::string_view entity_key, int64_t as_of,
                                                uint64_t known_at,
                                                absl::Span<const Identity> excluding) {
  std::set<std::pair<int64_t, std::string>> excluded;
  for (const Identity& identity : excluding) {
    if (identity.entity_key == entity_key)
      excluded.emplace(identity.event_time, IdentitySuffix(identity));
  }
  prefix_.clear();
  AppendU32(schema.view_id, &prefix_);
  prefix_.append(entity_key);
  return WalkToVisible(as_of, known_at, excluded);
}

absl::StatusOr<Visible> FactReader::WalkToVisible(
    int64_t as_of, uint64_t known_at, const std::set<std::pair<int64_t, std::string>>& excluded) {
  seek_key_.assign(prefix_);
  AppendU64(~OrderedFromInt64(as_of), &seek_key_);
  cursor_->Seek(seek_key_);
  // Identities of this instant that do not count: facts older than the one that said so are not
  // their current form.
  std::set<std::string, std::less<>> withdrawn;
  int64_t instant = as_of;
  for (;; cursor_->Next()) {
    ASSIGN_OR_RETURN(const bool within, cursor_->IsWithin(prefix_));
    if (!within) return std::nullopt;
    ASSIGN_OR_RETURN(const FactView fact, cursor_->Read(prefix_));
    if (fact.at.commit_seq > known_at) continue;
    if (fact.at.event_time != instant) {
      instant = fact.at.event_time;
      withdrawn.clear();
    }
    const bool counts =
        fact.form != FactForm::kRetraction &&
        (excluded.empty() || !excluded.contains({instant, std::string(fact.at.identity)}));
    if (!counts) {
      withdrawn.emplace(fact.at.identity);
    } else if (withdrawn.empty() || !withdrawn.contains(fact.at.identity)) {
      return ToFactRef(fact,
                       cursor_->key().substr(sizeof(ViewId), prefix_.size() - sizeof(ViewId)));
    }
  }
}

absl::Status FactReader::ScanVisible(const ViewSchema& schema, int64_t as_of, uint64_t known_at,
                                     const std::function<absl::Status(const FactRef&)>& emit) {
  const std::string view_prefix = ViewPrefix(schema.view_id);
  std::string next = view_prefix;
  while (true) {
    cursor_->Seek(next);
    ASSIGN_OR_RETURN(const bool within, cursor_->IsWithin(view_prefix));
    if (!within) return absl::OkStatus();
    const std::string_view key = cursor_->key();
    ASSIGN_OR_RETURN(const size_t length,
                     KeyLength(schema.join_keys, key.substr(view_prefix.size())));
    prefix_.assign(key.substr(0, view_prefix.size() + length));
    next = FactPrefixEnd(prefix_);
    ASSIGN_OR_RETURN(const Visible visible, WalkToVisible(as_of, known_at, {}));
    if (visible.has_value() && visible->form == FactForm::kRow) RETURN_IF_ERROR(emit(*visible));
  }
}

absl::StatusOr<bool> FactReader::IdentityCounts(const ViewSchema& schema, const Identity& identity,
                                                uint64_t known_at) {
  // Facts of other identities of the instant stand between: they are passed over.
  const std::string suffix = IdentitySuffix(identity);
  prefix_ = FactSeekKey(FactPrefix(schema.view_id, identity.entity_key), identity.event_time);
  const std::string_view entity_prefix =
      std::string_view(prefix_).substr(0, prefix_.size() - sizeof(int64_t));
  for (cursor_->Seek(prefix_);; cursor_->Next()) {
    ASSIGN_OR_RETURN(const bool within, cursor_->IsWithin(prefix_));
    if (!within) return false;
    ASSIGN_OR_RETURN(const FactView fact, cursor_->Read(entity_prefix));
    if (fact.at.commit_seq <= known_at && fact.at.identity == suffix)
      return fact.form != FactForm::kRetraction;
  }
}

std::string LatestKey(ViewId view_id, std::string_view entity_key) {
  return FactPrefix(view_id, entity_key);
}

std::string EncodeLatest(const Latest& latest) {
  std::string out(1, static_cast<char>(latest.state));
  AppendU64(OrderedFromInt64(latest.event_time), &out);
  AppendU64(latest.commit_seq, &out);
  AppendU64(latest.changed_seq, &out);
  if (latest.state == Latest::State::kRow) out += latest.row;
  return out;
}

absl::StatusOr<Latest> DecodeLatest(std::string_view bytes) {
  if (bytes.size() < kLatestHeaderBytes) return DataLoss("a stored latest row is cut short");
  Latest latest;
  latest.state = static_cast<Latest::State>(bytes[0]);
  latest.event_time = Int64FromOrdered(ReadU64(bytes.data() + 1));
  latest.commit_seq = ReadU64(bytes.data() + 9);
  latest.changed_seq = ReadU64(bytes.data() + 17);
  latest.row = bytes.substr(kLatestHeaderBytes);
  if (latest.state > Latest::State::kTombstone ||
      (latest.state != Latest::State::kRow && !latest.row.empty())) {
    return DataLoss("a stored latest row has an impossible state");
  }
  return latest;
}

}  // namespace fletch
