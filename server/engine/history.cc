// SPDX-License-Identifier: Apache-2.0
#include "server/engine/history.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/commit_log.h"
#include "server/engine/entity_columns.h"
#include "server/engine/plan_horizon.h"
#include "server/engine/time_text.h"
#include "storage/fact_store.h"
#include "storage/row_codec.h"

namespace fletch {
namespace {

absl::Status BadToken() {
  return InvalidArgument(
      "this is no page token of GetFeatureHistory; pass next_page_token as it came", "page_token");
}

// "SEQ.POSITION", the position in web-safe base64.
absl::StatusOr<std::string> PageTokenPosition(const std::string& page_token) {
  std::pair<std::string, std::string> parts = absl::StrSplit(page_token, absl::MaxSplits('.', 1));
  std::string position;
  if (!absl::WebSafeBase64Unescape(parts.second, &position) || position.empty()) return BadToken();
  return position;
}

class PageBuilder {
 public:
  PageBuilder(const KvStore& store, const View& view) : store_(store), view_(view) {
    page_.columns = KeyColumns(view.schema.join_keys);
    for (NamedColumn& key : KeyColumns(view.schema.event_keys)) {
      page_.columns.push_back(std::move(key));
    }
    for (const FieldSchema& field : view.schema.fields) {
      page_.columns.emplace_back().name = field.name;
      page_.columns.back().column.type = field.type;
    }
  }

  absl::Status Append(const FactRef& fact) {
    const ViewSchema& schema = view_.schema;
    const size_t join_keys = schema.join_keys.size();
    absl::Span<NamedColumn> columns = absl::MakeSpan(page_.columns);
    RETURN_IF_ERROR(AppendKeyValues(schema.join_keys, fact.entity_key, columns));
    RETURN_IF_ERROR(AppendEventKeys(fact, columns.subspan(join_keys)));
    RETURN_IF_ERROR(AppendFields(fact, join_keys + schema.event_keys.size()));
    if (fact.commit_seq != last_seq_) {
      ASSIGN_OR_RETURN(last_time_, CommitTimeOf(store_, fact.commit_seq));
      last_seq_ = fact.commit_seq;
    }
    page_.event_times.push_back(fact.event_time);
    page_.commit_seqs.push_back(fact.commit_seq);
    page_.commit_times.push_back(last_time_);
    page_.forms.push_back(fact.form);
    ++page_.row_count;
    return absl::OkStatus();
  }

  HistoryAnswer Finish() { return std::move(page_); }

 private:
  void AppendNull(Column* column) {
    column->null_rows.push_back(page_.row_count);
    AppendEmpty(column);
  }

  absl::Status AppendEventKeys(const FactRef& fact, absl::Span<NamedColumn> columns) {
    const auto& event_keys = view_.schema.event_keys;
    if (!fact.tombstone_identity) return AppendKeyValues(event_keys, fact.event_key, columns);
    for (size_t i = 0; i < event_keys.size(); ++i) AppendNull(&columns[i].column);
    return absl::OkStatus();
  }

  absl::Status AppendFields(const FactRef& fact, size_t column) {
    std::optional<RowView> row;
    if (fact.form == FactForm::kRow) {
      ASSIGN_OR_RETURN(row, RowView::Parse(&view_.layout, fact.row));
    }
    for (size_t field = 0; field < view_.schema.fields.size(); ++field, ++column) {
      Column* out = &page_.columns[column].column;
      if (fact.form == FactForm::kRow && !row->is_null(field)) {
        row->AppendTo(field, out);
      } else {
        AppendNull(out);
      }
    }
    return absl::OkStatus();
  }

  const KvStore& store_;
  const View& view_;
  HistoryAnswer page_;
  uint64_t last_seq_ = 0;
  int64_t last_time_ = 0;
};

// Looked at after the facts were read: they are dropped behind a raised horizon.
absl::Status CheckHorizon(const Horizons& horizons, const View& view, const HistoryRequest& request,
                          uint64_t read_seq) {
  const Horizon horizon = horizons.Of(view.schema.view_id);
  if (request.start.has_value() && *request.start < horizon.time) {
    return BeforeHorizon(StrCat("start ", TimeText(*request.start)), view.schema, horizon.time,
                         "start");
  }
  return CheckMoment(horizon, view.schema, limits::kMaxTimeMicros, read_seq);
}

}  // namespace

absl::StatusOr<uint64_t> PageTokenSeq(const std::string& page_token) {
  std::pair<std::string, std::string> parts = absl::StrSplit(page_token, absl::MaxSplits('.', 1));
  uint64_t seq;
  if (!absl::SimpleAtoi(parts.first, &seq)) return BadToken();
  return seq;
}

absl::StatusOr<HistoryAnswer> ReadHistoryPage(const KvStore& store, const Horizons& horizons,
                                              const View& view, const HistoryRequest& request,
                                              uint64_t read_seq) {
  HistoryQuery query{.entity_key = {},
                     .start = request.start.value_or(limits::kMinTimeMicros),
                     .end = request.end.value_or(limits::kMaxTimeMicros),
                     .last_k = request.last_k,
                     .known_at = read_seq,
                     .all_forms = request.all_forms};
  if (!request.keys.empty()) {
    ASSIGN_OR_RETURN(query.entity_key, EncodeEntity(view.schema, request.keys, "keys"));
  }
  std::string position;
  if (!request.page_token.empty()) {
    ASSIGN_OR_RETURN(position, PageTokenPosition(request.page_token));
  }
  PageBuilder page(store, view);
  auto next = ReadHistory(store, view.schema, query, position, request.page_size,
                          [&](const FactRef& fact) { return page.Append(fact); });
  if (absl::IsInvalidArgument(next.status())) return BadToken();
  RETURN_IF_ERROR(next.status());
  RETURN_IF_ERROR(CheckHorizon(horizons, view, request, read_seq));
  HistoryAnswer answer = page.Finish();
  answer.read_seq = read_seq;
  if (!next->empty()) {
    answer.next_page_token = absl::StrCat(read_seq, ".", absl::WebSafeBase64Escape(*next));
  }
  return answer;
}

}  // namespace fletch
