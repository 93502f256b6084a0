// SPDX-License-Identifier: Apache-2.0
#include "server/engine/spine_pass.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "server/engine/plan_horizon.h"
#include "storage/row_codec.h"

namespace fletch {
namespace {

constexpr size_t kMinChunkBytes = 4u << 10;
constexpr size_t kMaxChunkBytes = 1u << 20;
constexpr FoundRows::Cell kStatusBits = 7;
constexpr size_t kRowsBetweenChecks = 1024;
// Rows lie in the order of the facts, so each is a cache miss: they are asked for early.
constexpr size_t kEntriesAhead = 16;
constexpr size_t kRowBytesAhead = 1024;
constexpr size_t kLineBytes = 64;
constexpr size_t kPiecesPerThread = 8;  // of uneven work: the last one to finish is short

VisibleRow ToVisibleRow(const ViewSchema& schema, int64_t as_of,
                        const std::optional<VisibleFact>& fact) {
  if (!fact.has_value()) return {};
  return ApplyTtl(schema, as_of,
                  fact->form == FactForm::kRow ? Latest::State::kRow : Latest::State::kTombstone,
                  fact->event_time, fact->row);
}

}  // namespace

struct FoundRows::Entry {
  int64_t event_time;
  size_t size;
  const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
  std::string_view row() const { return {bytes(), size}; }
};

FoundRows::Entry* FoundRows::Allocate(size_t bytes) {
  bytes = (bytes + kStatusBits) & ~size_t{kStatusBits};
  if (bytes > left_) {
    left_ = std::max(bytes, std::clamp(bytes_, kMinChunkBytes, kMaxChunkBytes));
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(left_));
    next_ = chunks_.back().get();
    bytes_ += left_;
  }
  auto* entry = reinterpret_cast<Entry*>(next_);
  next_ += bytes;
  left_ -= bytes;
  return entry;
}

bool FoundRows::IsLast(const VisibleRow& row) const {
  return last_ != nullptr && last_->event_time == row.event_time && last_->row() == row.row;
}

FoundRows::Cell FoundRows::Add(const VisibleRow& row) {
  if (row.status != CellStatus::kPresent && row.event_time == kUnsetTime) return Bare(row.status);
  if (!IsLast(row)) {
    Entry* entry = Allocate(sizeof(Entry) + row.row.size());
    entry->event_time = row.event_time;
    entry->size = row.row.size();
    row.row.copy(reinterpret_cast<char*>(entry + 1), row.row.size());
    last_ = entry;
  }
  return reinterpret_cast<Cell>(last_) | Bare(row.status);
}

void FoundRows::PrefetchEntry(Cell cell) {
  __builtin_prefetch(reinterpret_cast<const Entry*>(cell & ~kStatusBits));
}

VisibleRow FoundRows::Read(Cell cell) {
  VisibleRow row{static_cast<CellStatus>(cell & kStatusBits), kUnsetTime, {}};
  if (const auto* entry = reinterpret_cast<const Entry*>(cell & ~kStatusBits)) {
    row.event_time = entry->event_time;
    row.row = entry->row();
  }
  return row;
}

// A sorted range of a group's questions, on one thread.
class SpinePass::Piece {
 public:
  Piece(SpinePass* pass, const SpineOrder& order, absl::Span<const SpineQuestion> questions,
        const SpineStretch& stretch, FoundRows* found, const Call& call)
      : pass_(pass),
        order_(order),
        questions_(questions),
        stretch_(stretch),
        found_(found),
        call_(call),
        use_(stretch.row_count < limits::kJoinPieceRows ? FactReader::Use::kLookups
                                                        : FactReader::Use::kSweep),
        facts_(pass->sources_.store, use_) {}

  absl::Status Find(const PlanView& view, size_t flat) {
    horizon_ = pass_->horizons_[flat];
    cells_ = absl::MakeSpan(pass_->cells_[flat]);
    return view.windows != nullptr ? FindWindows(view) : FindStored(*view.view);
  }

 private:
  uint64_t KnownAt(const SpineQuestion& question) const {
    return stretch_.known_at[stretch_.known_at.size() == 1 ? 0 : question.row];
  }

  // Marks what lies before the horizon.
  bool Mark(const SpineQuestion& question) {
    if (!IsBefore(horizon_, question.as_of, KnownAt(question))) return false;
    cells_[question.row] = FoundRows::Bare(CellStatus::kOutOfRetention);
    return true;
  }

  // OK while there is time and room.
  absl::Status Check() {
    pass_->bytes_ += found_->bytes() - counted_;
    counted_ = found_->bytes();
    if (stretch_.row_count > 1 && pass_->bytes_ > 2 * pass_->byte_limit_) {
      pass_->too_large_ = true;
    }
    if (pass_->too_large_) return absl::CancelledError("too large");  // seen by Find alone
    return call_.Check();
  }

  absl::Status FindStored(const View& view) {
    for (size_t i = 0; i < questions_.size(); ++i) {
      if (i % kRowsBetweenChecks == 0) RETURN_IF_ERROR(Check());
      const SpineQuestion& question = questions_[i];
      if (i == 0 || !order_.SameKey(questions_[i - 1], question)) {
        facts_.SetEntity(view.schema, order_.Key(question));
      }
      if (Mark(question)) continue;
      ASSIGN_OR_RETURN(const std::optional<VisibleFact> fact,
                       facts_.FindVisible(question.as_of, KnownAt(question)));
      const VisibleRow row = ToVisibleRow(view.schema, question.as_of, fact);
      if (row.status == CellStatus::kPresent && !found_->IsLast(row)) {
        RETURN_IF_ERROR(RowView::Parse(&view.layout, row.row).status());
      }
      cells_[question.row] = found_->Add(row);
    }
    return Check();
  }

  absl::Status FindWindows(const PlanView& view) {
    WindowReader reader(pass_->sources_.store, pass_->sources_.overflows, use_);
    std::vector<WindowQuestion> asked;
    for (size_t begin = 0, end = 0; begin < questions_.size(); begin = end) {
      asked.clear();
      for (; end < questions_.size() && order_.SameKey(questions_[begin], questions_[end]); ++end) {
        const SpineQuestion& question = questions_[end];
        if (Mark(question)) continue;
        asked.push_back({question.as_of, KnownAt(question), stretch_.first_row + question.row});
      }
      if (asked.empty()) continue;
      const std::string key = order_.Key(questions_[begin]);
      RETURN_IF_ERROR(reader.Evaluate(*view.window_plan, key, asked, call_,
                                      [this](size_t index, std::string_view row) {
                                        cells_[index - stretch_.first_row] =
                                            found_->Add({CellStatus::kPresent, kUnsetTime, row});
                                      }));
      RETURN_IF_ERROR(Check());
    }
    return absl::OkStatus();
  }

  SpinePass* const pass_;
  const SpineOrder& order_;
  const absl::Span<const SpineQuestion> questions_;
  const SpineStretch& stretch_;
  FoundRows* const found_;
  const Call& call_;
  const FactReader::Use use_;
  FactReader facts_;
  Horizon horizon_;                    // of the view in work
  absl::Span<FoundRows::Cell> cells_;  // the same
  size_t counted_ = 0;                 // of found_'s bytes, in the pass's
};

SpinePass::SpinePass(const FeaturePlan& plan, const ReadSources& sources, WorkSharing* workers,
                     absl::Span<const Horizon> horizons, size_t row_count, size_t byte_limit)
    : plan_(plan),
      sources_(sources),
      workers_(workers),
      horizons_(horizons),
      row_count_(row_count),
      byte_limit_(byte_limit),
      cells_(horizons.size()) {
  for (auto& cells : cells_) cells.resize(row_count);
}

absl::StatusOr<bool> SpinePass::Find(const SpineStretch& stretch, const Call& call) {
  size_t first_view = 0;
  for (size_t g = 0; g < plan_.groups.size(); ++g) {
    absl::Status status = FindGroup(g, first_view, stretch, call);
    if (too_large_) return false;
    RETURN_IF_ERROR(status);
    first_view += plan_.groups[g].views.size();
  }
  return true;
}

absl::Status SpinePass::FindGroup(size_t group, size_t first_view, const SpineStretch& stretch,
                                  const Call& call) {
  const std::vector<PlanView>& views = plan_.groups[group].views;
  SpineOrder order(row_count_);
  for (const SpineStretch::Part& part : stretch.parts) {
    order.Add(part.keys->groups[group], part.times, part.begin, part.end);
  }
  const size_t wanted =
      std::min(row_count_ / limits::kJoinPieceRows + 1, workers_->threads() * kPiecesPerThread);
  std::vector<absl::Span<SpineQuestion>> pieces = order.Cut(wanted);
  const size_t first_found = found_.size();
  for (size_t i = 0; i < pieces.size(); ++i) found_.push_back(std::make_unique<FoundRows>());
  return workers_->Run(pieces.size(), [&](size_t i) -> absl::Status {
    order.Sort(pieces[i]);
    Piece piece(this, order, pieces[i], stretch, found_[first_found + i].get(), call);
    for (size_t v = 0; v < views.size(); ++v) {
      RETURN_IF_ERROR(piece.Find(views[v], first_view + v));
    }
    return absl::OkStatus();
  });
}

void SpinePass::Read(size_t flat, size_t begin, absl::Span<VisibleRow> out) const {
  const FoundRows::Cell* const cells = cells_[flat].data() + begin;
  for (size_t i = 0; i < out.size(); ++i) {
    if (i + kEntriesAhead < out.size()) FoundRows::PrefetchEntry(cells[i + kEntriesAhead]);
    out[i] = FoundRows::Read(cells[i]);
    for (size_t at = 0; at < std::min(out[i].row.size(), kRowBytesAhead); at += kLineBytes) {
      __builtin_prefetch(out[i].row.data() + at);
    }
  }
}

}  // namespace fletch
