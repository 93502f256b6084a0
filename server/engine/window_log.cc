// SPDX-License-Identifier: Apache-2.0
#include "server/engine/window_log.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "base/status.h"

namespace fletch {
namespace {

constexpr size_t kFactsPerCheck = 4096;

absl::Status CheckEvery(size_t facts, const Call& call) {
  return facts % kFactsPerCheck == kFactsPerCheck - 1 ? call.Check() : absl::OkStatus();
}

absl::Status AppendRow(const View& source, const FactRef& fact, EventBlock* rows) {
  ASSIGN_OR_RETURN(const RowView row, RowView::Parse(&source.layout, fact.row));
  rows->Append(fact.event_time, fact.commit_seq, fact.event_key, row);
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadCurrentEvents(FactReader* reader, const View& source, std::string_view entity_key,
                               int64_t start, int64_t end, uint64_t known_at, const Call& call,
                               CurrentEvents* events) {
  events->rows.Clear();
  events->tombstones.clear();
  size_t count = 0;
  RETURN_IF_ERROR(reader->ReadEntity(
      source.schema, entity_key, start, end, known_at, false, [&](const FactRef& fact) {
        RETURN_IF_ERROR(CheckEvery(count++, call));
        if (fact.form == FactForm::kRow) return AppendRow(source, fact, &events->rows);
        events->tombstones.push_back({fact.event_time, fact.commit_seq});
        return absl::OkStatus();
      }));
  events->rows.Reverse();
  std::reverse(events->tombstones.begin(), events->tombstones.end());
  return absl::OkStatus();
}

absl::StatusOr<FactLog> FactLog::Read(FactReader* reader, const View& source,
                                      const EventShape* shape, std::string_view entity_key,
                                      int64_t start, int64_t end, uint64_t known_at,
                                      const Call& call) {
  FactLog log(shape);
  RETURN_IF_ERROR(reader->ReadEntity(
      source.schema, entity_key, start, end, known_at, true, [&](const FactRef& fact) {
        RETURN_IF_ERROR(CheckEvery(log.facts_.size(), call));
        log.facts_.push_back({fact.event_time, fact.commit_seq, fact.form, fact.tombstone_identity,
                              log.rows_.size(), std::string(fact.event_key)});
        return fact.form == FactForm::kRow ? AppendRow(source, fact, &log.rows_) : absl::OkStatus();
      }));
  std::reverse(log.facts_.begin(), log.facts_.end());
  return log;
}

CurrentEvents FactLog::Current() const {
  CurrentEvents current(&rows_.shape());
  std::set<std::pair<bool, std::string_view>> met;  // identities of this microsecond
  for (size_t i = facts_.size(); i > 0; --i) {
    const LoggedFact& fact = facts_[i - 1];
    if (i < facts_.size() && facts_[i].time != fact.time) met.clear();
    if (!met.emplace(fact.tombstone, fact.event_key).second) continue;
    if (fact.form == FactForm::kRow) {
      current.rows.AppendFrom(rows_, fact.row);
    } else if (fact.form == FactForm::kTombstone) {
      current.tombstones.push_back({fact.time, fact.commit});
    }
  }
  current.rows.Reverse();
  std::reverse(current.tombstones.begin(), current.tombstones.end());
  return current;
}

std::vector<size_t> FactLog::InCommitOrder() const {
  std::vector<size_t> order(facts_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [this](size_t a, size_t b) {
    return std::pair(facts_[a].commit, a) < std::pair(facts_[b].commit, b);
  });
  return order;
}

void FactLog::Replay(size_t fact_index, const EventTreeEditor& editor, EventTree* tree) const {
  const LoggedFact& fact = facts_[fact_index];
  if (fact.form == FactForm::kRow) {
    EventBlock event(&rows_.shape());
    event.AppendFrom(rows_, fact.row);
    return editor.Put(event, tree);
  }
  if (fact.form == FactForm::kTombstone) {
    return editor.PutTombstone({fact.time, fact.commit}, tree);
  }
  if (fact.tombstone) return editor.RemoveTombstone(fact.time, tree);
  editor.Remove(fact.time, fact.event_key, tree);
}

}  // namespace fletch
