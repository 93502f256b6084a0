// SPDX-License-Identifier: Apache-2.0
#include "server/engine/commit_facts.h"

#include <limits>
#include <optional>
#include <vector>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/row_merge.h"
#include "server/engine/time_text.h"

namespace fletch {
namespace {

constexpr int64_t kBeginningOfTime = std::numeric_limits<int64_t>::min();
constexpr int64_t kEndOfTime = std::numeric_limits<int64_t>::max();
constexpr uint64_t kNewest = std::numeric_limits<uint64_t>::max();

// Rows stand in a write's batches, deletions and retractions in a request's columns.
std::string PathOf(const PendingFact& fact, std::string_view column) {
  if (fact.form != FactForm::kRow) return std::string(column);
  return StrCat("batches[", fact.batch, "].", column);
}

// The row that a partial update at `identity` builds on: the identity's own, else what is visible
// at its event time. nullopt: neither is there, so the defaults are.
absl::StatusOr<std::optional<std::string>> FindBase(const ViewSchema& schema,
                                                    const Identity& identity, FactReader* reader) {
  std::optional<std::string> base;
  bool first = true;
  const absl::Status ended = reader->ReadEntity(
      schema, identity.entity_key, kBeginningOfTime, identity.event_time, kNewest,
      /*all_forms=*/false, [&](const FactRef& fact) {
        const bool own = fact.event_time == identity.event_time && !fact.tombstone_identity &&
                         fact.event_key == identity.event_key;
        if ((own || first) && fact.form == FactForm::kRow) base = std::string(fact.row);
        first = false;
        // Its own row may stand behind others of the same instant.
        const bool seen_all = own || fact.event_time < identity.event_time;
        return seen_all ? absl::CancelledError() : absl::OkStatus();
      });
  if (!ended.ok() && !absl::IsCancelled(ended)) return ended;
  return base;
}

}  // namespace

bool IsRetraction(const EncodedWrite& write) {
  return !write.facts.empty() && write.facts[0].form == FactForm::kRetraction;
}

absl::Status CommitFacts::Settle(EncodedWrite* write) const {
  RETURN_IF_ERROR(CheckHorizons(*write));
  if (IsRetraction(*write)) return CheckRetraction(*write);
  return CompleteRows(write);
}

absl::Status CommitFacts::CheckHorizons(const EncodedWrite& write) const {
  const View* view = nullptr;
  Horizon horizon;
  for (const PendingFact& fact : write.facts) {
    if (fact.view != view) {
      view = fact.view;
      horizon = horizons_->Of(view->schema.view_id);
    }
    if (fact.identity.event_time >= horizon.time) continue;
    return BeforeHorizon(StrCat("the event timestamp of row ", fact.request_row, " (",
                                TimeText(fact.identity.event_time), ")"),
                         view->schema, horizon.time, PathOf(fact, "event_timestamps"));
  }
  return absl::OkStatus();
}

absl::Status CommitFacts::CheckRetraction(const EncodedWrite& write) const {
  FactReader reader(store_);
  for (const PendingFact& fact : write.facts) {
    const Identity& identity = fact.identity;
    bool found = false;
    RETURN_IF_ERROR(reader.ReadEntity(
        fact.view->schema, identity.entity_key, identity.event_time, identity.event_time, kNewest,
        /*all_forms=*/true, [&](const FactRef& stored) {
          found = found || (stored.tombstone_identity == identity.tombstone &&
                            stored.event_key == identity.event_key);
          return absl::OkStatus();
        }));
    if (found) continue;
    return NotFound(StrCat("row ", fact.request_row, ": nothing was written to view ",
                           fact.view->schema.versioned_name(),
                           " with this key, event timestamp and event key, so there is nothing to "
                           "retract"),
                    "keys");
  }
  return absl::OkStatus();
}

absl::Status CommitFacts::CompleteRows(EncodedWrite* write) const {
  if (write->partials.empty()) return absl::OkStatus();
  FactReader reader(store_);
  for (PendingFact& fact : write->facts) {
    if (fact.partial < 0) continue;
    ASSIGN_OR_RETURN(const std::optional<std::string> base,
                     FindBase(fact.view->schema, fact.identity, &reader));
    if (!base.has_value()) continue;  // the encoder took the defaults
    ASSIGN_OR_RETURN(fact.row,
                     MergeRow(fact.view->layout, write->partials[fact.partial], fact.row, *base));
    if (fact.row.size() <= limits::kMaxRowBytes) continue;
    return OutOfRange(
        StrCat("row ", fact.request_row, " merged with what is known takes ", fact.row.size(),
               " bytes; at most ", limits::kMaxRowBytes, " are allowed"),
        PathOf(fact, "columns"));
  }
  return absl::OkStatus();
}

absl::Status CommitFacts::Add(const EncodedWrite& write, uint64_t seq, KvBatch* batch,
                              LatestChanges* changes) const {
  return IsRetraction(write) ? AddRetraction(write, seq, batch, changes)
                             : AddFacts(write, seq, batch, changes);
}

absl::StatusOr<Latest> CommitFacts::CurrentLatest(const View& view,
                                                  const std::string& entity_key) const {
  const ViewSchema& schema = view.schema;
  {
    OnlineTable::Reader reader(online_);
    const OnlineRecord* record = reader.Find(schema.entity_id, entity_key);
    OnlineSlot slot;
    if (record != nullptr && record->Find(schema.view_id, &slot)) {
      return Latest{slot.state, slot.event_time, slot.commit_seq, slot.changed_seq, {}};
    }
    if (online_->complete()) return Latest{};
  }
  ASSIGN_OR_RETURN(std::optional<std::string> stored,
                   store_->Get(Family::kLatest, LatestKey(schema.view_id, entity_key)));
  if (!stored.has_value()) return Latest{};
  return DecodeLatest(*stored);
}

absl::Status CommitFacts::AddFacts(const EncodedWrite& write, uint64_t seq, KvBatch* batch,
                                   LatestChanges* changes) const {
  for (const PendingFact& pending : write.facts) {
    AddFact(Fact{{pending.view->schema.view_id, pending.identity, seq}, pending.form, pending.row},
            batch);
    const auto key = std::make_pair(pending.view->schema.view_id, pending.identity.entity_key);
    auto found = changes->find(key);
    if (found == changes->end()) {
      ASSIGN_OR_RETURN(Latest current, CurrentLatest(*pending.view, pending.identity.entity_key));
      if (current.state != Latest::State::kAbsent &&
          current.event_time > pending.identity.event_time) {
        continue;  // a late fact
      }
      found = changes->try_emplace(key, LatestChange{pending.view, {}}).first;
    } else if (found->second.latest.event_time > pending.identity.event_time) {
      continue;
    }
    found->second.latest =
        Latest{pending.form == FactForm::kRow ? Latest::State::kRow : Latest::State::kTombstone,
               pending.identity.event_time, seq, seq, pending.row};
  }
  return absl::OkStatus();
}

// The newest that is left of each entity becomes its latest.
absl::Status CommitFacts::AddRetraction(const EncodedWrite& write, uint64_t seq, KvBatch* batch,
                                        LatestChanges* changes) const {
  FactReader reader(store_);
  const auto& facts = write.facts;
  for (size_t begin = 0, end; begin < facts.size(); begin = end) {
    std::vector<Identity> withdrawn;
    for (end = begin;
         end < facts.size() && facts[end].identity.entity_key == facts[begin].identity.entity_key;
         ++end) {
      AddFact(
          Fact{{facts[end].view->schema.view_id, facts[end].identity, seq}, facts[end].form, {}},
          batch);
      withdrawn.push_back(facts[end].identity);
    }
    const View& view = *facts[begin].view;
    const std::string& entity_key = facts[begin].identity.entity_key;
    ASSIGN_OR_RETURN(Latest current, CurrentLatest(view, entity_key));
    ASSIGN_OR_RETURN(Visible newest,
                     reader.FindVisible(view.schema, entity_key, kEndOfTime, kNewest, withdrawn));
    Latest latest;
    latest.changed_seq = seq;
    if (newest.has_value()) {
      if (current.state != Latest::State::kAbsent && newest->commit_seq == current.commit_seq &&
          newest->event_time == current.event_time && newest->form != FactForm::kRow) {
        continue;  // the same tombstone goes on
      }
      latest.state =
          newest->form == FactForm::kRow ? Latest::State::kRow : Latest::State::kTombstone;
      latest.event_time = newest->event_time;
      latest.commit_seq = newest->commit_seq;
      latest.row = std::string(newest->row);
    }
    changes->try_emplace({view.schema.view_id, entity_key}, LatestChange{&view, std::move(latest)});
  }
  return absl::OkStatus();
}

}  // namespace fletch
