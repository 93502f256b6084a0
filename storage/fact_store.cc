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

FactReader::FactReader(const KvStore* store, Use use)
    : cursor_(std::make_unique<FactCursor>(store, use == Use::kSweep)) {}
FactReader::~FactReader() = default;

absl::StatusOr<Visible> FactReader::FindVisible(const ViewSchema& schema,
                                                std::string_view entity_key, int64_t as_of,
                                                uint64_t known_at,
                                                absl::Span<const Identity> excluding) {
  Excluded excluded;
  for (const Identity& identity : excluding) {
    if (identity.entity_key == entity_key)
      excluded.emplace(identity.event_time, IdentitySuffix(identity));
  }
  SetEntity(schema, entity_key);
  RETURN_IF_ERROR(WalkToVisible(as_of, known_at, excluded.empty() ? nullptr : &excluded));
  return VisibleHere();
}

absl::StatusOr<std::optional<VisibleFact>> FactReader::FindVisible(int64_t as_of,
                                                                   uint64_t known_at) {
  RETURN_IF_ERROR(WalkToVisible(as_of, known_at, nullptr));
  const FactView* const fact = cursor_->fact();
  if (fact == nullptr) return std::nullopt;
  return VisibleFact{fact->form, fact->at.event_time, fact->row};
}

absl::StatusOr<Visible> FactReader::VisibleHere() const {
  const FactView* const fact = cursor_->fact();
  if (fact == nullptr) return std::nullopt;
  return ToFactRef(*fact, EntityKey());
}

void FactReader::SetEntity(const ViewSchema& schema, std::string_view entity_key) {
  prefix_.clear();
  AppendU32(schema.view_id, &prefix_);
  prefix_.append(entity_key);
}

std::string_view FactReader::EntityKey() const {
  return std::string_view(prefix_).substr(sizeof(ViewId));
}

absl::Status FactReader::WalkToVisible(int64_t as_of, uint64_t known_at, const Excluded* excluded) {
  RETURN_IF_ERROR(cursor_->Seek(prefix_, as_of, known_at));
  const FactView* fact = cursor_->fact();
  if (fact == nullptr) return absl::OkStatus();
  if (fact->form != FactForm::kRetraction && excluded == nullptr) return absl::OkStatus();
  CurrentForms forms;
  for (; fact != nullptr; fact = cursor_->fact()) {
    if (forms.IsCurrent(fact->at) && fact->form != FactForm::kRetraction &&
        (excluded == nullptr ||
         !excluded->contains({fact->at.event_time, std::string(fact->at.identity)}))) {
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(cursor_->Next());
  }
  return absl::OkStatus();
}

absl::Status FactReader::ScanVisible(const ViewSchema& schema, int64_t as_of, uint64_t known_at,
                                     const std::function<absl::Status(const FactRef&)>& emit) {
  const std::string range = ViewPrefix(schema.view_id);
  std::string next = range;
  while (true) {
    ASSIGN_OR_RETURN(prefix_, cursor_->FindEntity(schema, next, range));
    if (prefix_.empty()) return absl::OkStatus();
    next = FactPrefixEnd(prefix_);
    RETURN_IF_ERROR(WalkToVisible(as_of, known_at, nullptr));
    ASSIGN_OR_RETURN(const Visible visible, VisibleHere());
    if (visible.has_value() && visible->form == FactForm::kRow) RETURN_IF_ERROR(emit(*visible));
  }
}

absl::Status FactReader::ReadEntity(const ViewSchema& schema, std::string_view entity_key,
                                    int64_t start, int64_t end, uint64_t known_at, bool all_forms,
                                    const std::function<absl::Status(const FactRef&)>& emit) {
  SetEntity(schema, entity_key);
  CurrentForms forms;
  RETURN_IF_ERROR(cursor_->Seek(prefix_, end, known_at));
  while (const FactView* const fact = cursor_->fact()) {
    if (fact->at.event_time < start) return absl::OkStatus();
    if (all_forms || (forms.IsCurrent(fact->at) && fact->form != FactForm::kRetraction)) {
      RETURN_IF_ERROR(emit(ToFactRef(*fact, EntityKey())));
    }
    RETURN_IF_ERROR(cursor_->Next());
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> FactReader::IdentityCounts(const ViewSchema& schema, const Identity& identity,
                                                uint64_t known_at) {
  // Facts of other identities of the instant stand between: they are passed over.
  const std::string suffix = IdentitySuffix(identity);
  SetEntity(schema, identity.entity_key);
  RETURN_IF_ERROR(cursor_->Seek(prefix_, identity.event_time, known_at));
  while (const FactView* const fact = cursor_->fact()) {
    if (fact->at.event_time != identity.event_time) return false;
    if (fact->at.identity == suffix) return fact->form != FactForm::kRetraction;
    RETURN_IF_ERROR(cursor_->Next());
  }
  return false;
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
