// SPDX-License-Identifier: Apache-2.0
#include "server/engine/training_join.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/limits.h"
#include "base/status.h"
#include "server/engine/online_reader.h"
#include "server/engine/snapshot.h"
#include "storage/entity_key.h"
#include "storage/fact_store.h"
#include "storage/row_codec.h"

namespace fletch {
namespace {

constexpr size_t kRowsBetweenChecks = 1024;

// What one view says for every spine row; rows lie in one buffer, each found fact once for
// neighbours that share it.
struct FoundRows {
  struct Cell {
    CellStatus status;
    int64_t event_time;
    size_t offset;
    size_t size;
  };
  std::vector<Cell> cells;  // in spine order
  std::string bytes;
};

class Joiner {
 public:
  Joiner(const FeaturePlan& plan, const KvStore& store, const SpineBatch& spine,
         absl::Span<const uint64_t> known_at, const Call& call)
      : plan_(plan), reader_(&store), spine_(spine), known_at_(known_at), call_(call) {}

  absl::StatusOr<std::vector<Column>> Run(bool event_times) {
    RETURN_IF_ERROR(CheckTimes());
    ASSIGN_OR_RETURN(BoundKeys bound, BindKeys(plan_, spine_.keys, spine_.row_count, "keys"));
    ColumnWriter writer(plan_, spine_.row_count, event_times);
    for (size_t g = 0; g < plan_.groups.size(); ++g) {
      EncodeKeys(bound.groups[g]);
      for (const PlanView& view : plan_.groups[g].views) {
        ASSIGN_OR_RETURN(FoundRows found, FindRows(view));
        for (const FoundRows::Cell& cell : found.cells) {
          VisibleRow row{cell.status, cell.event_time,
                         std::string_view(found.bytes).substr(cell.offset, cell.size)};
          RETURN_IF_ERROR(writer.Append(view, row, /*trusted=*/false));
        }
      }
    }
    return writer.Finish();
  }

 private:
  absl::Status CheckTimes() const {
    if (spine_.timestamps.size() != spine_.row_count) {
      return InvalidArgument(absl::StrCat("there are ", spine_.timestamps.size(),
                                          " timestamps for ", spine_.row_count, " spine rows"),
                             "timestamps");
    }
    for (size_t row = 0; row < spine_.row_count; ++row) {
      int64_t time = spine_.timestamps[row];
      if (time >= limits::kMinTimeMicros && time <= limits::kMaxTimeMicros) continue;
      return OutOfRange(absl::StrCat("the timestamp of spine row ", row, " (", time,
                                     " us) lies outside the years 0001 to 9999"),
                        "timestamps");
    }
    return absl::OkStatus();
  }

  // The group's keys, and the spine rows in the order in which facts lie: by key, then newest
  // first.
  void EncodeKeys(absl::Span<const Column* const> columns) {
    keys_.assign(spine_.row_count, {});
    for (size_t row = 0; row < spine_.row_count; ++row) AppendKey(columns, row, &keys_[row]);
    order_.resize(spine_.row_count);
    std::iota(order_.begin(), order_.end(), size_t{0});
    std::sort(order_.begin(), order_.end(), [&](size_t a, size_t b) {
      int keys = keys_[a].compare(keys_[b]);
      return keys != 0 ? keys < 0 : spine_.timestamps[a] > spine_.timestamps[b];
    });
  }

  uint64_t KnownAt(size_t row) const { return known_at_[known_at_.size() == 1 ? 0 : row]; }

  absl::StatusOr<FoundRows> FindRows(const PlanView& view) {
    FoundRows found;
    found.cells.resize(spine_.row_count);
    size_t last_size = 0;  // of the row appended last
    for (size_t i = 0; i < order_.size(); ++i) {
      if (i % kRowsBetweenChecks == 0) RETURN_IF_ERROR(call_.Check());
      const size_t row = order_[i];
      const int64_t time = spine_.timestamps[row];
      ASSIGN_OR_RETURN(Visible visible,
                       reader_.FindVisible(view.view->schema, keys_[row], time, KnownAt(row)));
      VisibleRow answer = ToVisibleRow(view.view->schema, time, visible);
      size_t offset = found.bytes.size() - last_size;
      if (answer.row != std::string_view(found.bytes).substr(offset)) {
        offset = found.bytes.size();
        last_size = answer.row.size();
        found.bytes.append(answer.row);
      }
      found.cells[row] = {answer.status, answer.event_time, offset, answer.row.size()};
    }
    return found;
  }

  const FeaturePlan& plan_;
  FactReader reader_;
  const SpineBatch& spine_;
  const absl::Span<const uint64_t> known_at_;
  const Call& call_;
  std::vector<std::string> keys_;
  std::vector<size_t> order_;
};

}  // namespace

absl::StatusOr<std::vector<Column>> JoinSpine(const FeaturePlan& plan, const KvStore& store,
                                              const SpineBatch& spine,
                                              absl::Span<const uint64_t> known_at, bool event_times,
                                              const Call& call) {
  return Joiner(plan, store, spine, known_at, call).Run(event_times);
}

}  // namespace fletch
