// SPDX-License-Identifier: Apache-2.0
#include "server/engine/snapshot.h"

#include "base/status.h"

namespace fletch {

VisibleRow ApplyTtl(const ViewSchema& schema, int64_t as_of, Latest::State state,
                    int64_t event_time, std::string_view row) {
  if (state == Latest::State::kAbsent) return {};
  if (state == Latest::State::kTombstone) return {CellStatus::kNotFound, event_time, {}};
  if (schema.ttl_micros > 0 && as_of - event_time > schema.ttl_micros) {
    return {CellStatus::kOutsideMaxAge, event_time, {}};
  }
  return {CellStatus::kPresent, event_time, row};
}

VisibleRow ToVisibleRow(const ViewSchema& schema, int64_t as_of, const Visible& found) {
  if (!found.has_value()) return {};
  return ApplyTtl(schema, as_of,
                  found->form == FactForm::kRow ? Latest::State::kRow : Latest::State::kTombstone,
                  found->event_time, found->row);
}

std::optional<VisibleRow> Snapshot::FromMemory(const View& view, const OnlineRecord* record) const {
  OnlineSlot slot;
  if (record == nullptr || !record->Find(view.schema.view_id, &slot)) {
    if (!online_->complete()) return std::nullopt;
    return VisibleRow{};  // nothing was ever written
  }
  if (slot.changed_seq > read_seq_) return std::nullopt;
  // Absent: all that ever was is withdrawn, at whatever event time.
  if (slot.state != Latest::State::kAbsent && slot.event_time > as_of_) return std::nullopt;
  return ApplyTtl(view.schema, as_of_, slot.state, slot.event_time, slot.row);
}

absl::StatusOr<VisibleRow> Snapshot::FromFacts(const View& view, std::string_view entity_key) {
  if (!facts_.has_value()) facts_.emplace(store_);
  ASSIGN_OR_RETURN(Visible found, facts_->FindVisible(view.schema, entity_key, as_of_, read_seq_));
  return ToVisibleRow(view.schema, as_of_, found);
}

absl::StatusOr<VisibleRow> Snapshot::Find(const View& view, const OnlineRecord* record,
                                          std::string_view entity_key, bool vectors) {
  if (!vectors) {
    if (std::optional<VisibleRow> row = FromMemory(view, record)) return *row;
  }
  return FromFacts(view, entity_key);
}

}  // namespace fletch
