// SPDX-License-Identifier: Apache-2.0
#include "server/engine/snapshot.h"

#include <utility>

#include "base/status.h"
#include "server/engine/plan_horizon.h"
#include "storage/row_codec.h"

namespace fletch {
namespace {

constexpr size_t kRowsBetweenChecks = 256;

}  // namespace

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
    if (!sources_.online->complete()) return std::nullopt;
    return VisibleRow{};  // nothing was ever written
  }
  if (slot.changed_seq > read_seq_) return std::nullopt;
  // Absent: all that ever was is withdrawn, at whatever event time.
  if (slot.state != Latest::State::kAbsent && slot.event_time > as_of_) return std::nullopt;
  return ApplyTtl(view.schema, as_of_, slot.state, slot.event_time, slot.row);
}

absl::StatusOr<VisibleRow> Snapshot::FromFacts(const View& view, std::string_view entity_key) {
  if (!facts_.has_value()) facts_.emplace(sources_.store);
  ASSIGN_OR_RETURN(Visible found, facts_->FindVisible(view.schema, entity_key, as_of_, read_seq_));
  VisibleRow row = ToVisibleRow(view.schema, as_of_, found);
  if (row.status == CellStatus::kPresent) {
    RETURN_IF_ERROR(RowView::Parse(&view.layout, row.row).status());
  }
  return row;
}

std::string_view Snapshot::Keep(std::string_view row) { return kept_.emplace_back(row); }

absl::StatusOr<std::optional<VisibleRow>> Snapshot::FindWindows(const PlanView& view,
                                                                std::string_view entity_key,
                                                                size_t row, bool may_block,
                                                                const Call& call) {
  VisibleRow out{CellStatus::kPresent, kUnsetTime, {}};
  ASSIGN_OR_RETURN(
      std::optional<std::string> found,
      sources_.events->Evaluate(*view.window_plan, entity_key, as_of_, read_seq_, row, may_block));
  if (found.has_value()) {
    out.row = kept_.emplace_back(*std::move(found));
    return out;
  }
  if (!may_block) return std::nullopt;
  if (!windows_.has_value()) windows_.emplace(sources_.store, sources_.overflows);
  const WindowQuestion question{as_of_, read_seq_, row};
  RETURN_IF_ERROR(
      windows_->Evaluate(*view.window_plan, entity_key, {&question, 1}, call,
                         [&](size_t, std::string_view bytes) { out.row = Keep(bytes); }));
  return out;
}

absl::StatusOr<std::optional<std::vector<VisibleRow>>> Snapshot::FindRows(
    const PlanView& view, absl::Span<const OnlineRecord* const> records,
    absl::Span<const std::string> entity_keys, bool may_block, const Call& call) {
  const bool in_memory = view.view != nullptr && !view.reads_vectors;
  std::vector<VisibleRow> rows(entity_keys.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i % kRowsBetweenChecks == kRowsBetweenChecks - 1) RETURN_IF_ERROR(call.Check());
    std::optional<VisibleRow> row;
    if (in_memory) row = FromMemory(*view.view, records[i]);
    if (!row.has_value() && view.windows != nullptr) {
      ASSIGN_OR_RETURN(row, FindWindows(view, entity_keys[i], i, may_block, call));
    } else if (!row.has_value() && may_block) {
      ASSIGN_OR_RETURN(row, FromFacts(*view.view, entity_keys[i]));
      row->row = Keep(row->row);
    }
    if (!row.has_value()) return std::nullopt;
    rows[i] = *row;
  }
  return rows;
}

absl::Status Snapshot::CheckHorizon(const ViewSchema& schema) const {
  return CheckMoment(sources_.horizons->Of(schema.view_id), schema, as_of_, read_seq_);
}

absl::Status Snapshot::CheckHorizon(const PlanView& view) const {
  const Horizon horizon = HorizonOf(*sources_.horizons, view);
  if (!IsBefore(horizon, as_of_, read_seq_)) return absl::OkStatus();
  return CheckMoment(horizon, AskedSchema(view), as_of_, read_seq_);
}

}  // namespace fletch
