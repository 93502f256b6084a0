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
#include "server/engine/commit_log.h"
#include "storage/entity_key.h"
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

void AppendKeyValue(const KeyValue& value, Column* column) {
  ++column->row_count;
  if (const auto* number = std::get_if<int64_t>(&value)) {
    column->int64s.push_back(*number);
  } else {
    column->strings.push_back(std::get<std::string>(value));
  }
}

class PageBuilder {
 public:
  PageBuilder(const KvStore& store, const View& view) : store_(store), view_(view) {
    for (const auto* keys : {&view.schema.join_keys, &view.schema.event_keys}) {
      for (const KeyFieldSchema& key : *keys) AddColumn(key.name, DataType{key.type});
    }
    for (const FieldSchema& field : view.schema.fields) AddColumn(field.name, field.type);
  }

  absl::Status Append(const FactRef& fact) {
    const ViewSchema& schema = view_.schema;
    ASSIGN_OR_RETURN(std::vector<KeyValue> keys, DecodeKey(schema.join_keys, fact.entity_key));
    size_t column = 0;
    for (const KeyValue& key : keys) AppendKeyValue(key, &page_.columns[column++].column);
    RETURN_IF_ERROR(AppendEventKeys(fact, &column));
    RETURN_IF_ERROR(AppendFields(fact, column));
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
  void AddColumn(const std::string& name, const DataType& type) {
    page_.columns.emplace_back().name = name;
    page_.columns.back().column.type = type;
  }

  void AppendNull(Column* column) {
    column->null_rows.push_back(page_.row_count);
    AppendEmpty(column);
  }

  absl::Status AppendEventKeys(const FactRef& fact, size_t* column) {
    const auto& event_keys = view_.schema.event_keys;
    if (fact.tombstone_identity) {
      for (size_t i = 0; i < event_keys.size(); ++i) AppendNull(&page_.columns[(*column)++].column);
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(std::vector<KeyValue> keys, DecodeKey(event_keys, fact.event_key));
    for (const KeyValue& key : keys) AppendKeyValue(key, &page_.columns[(*column)++].column);
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

// The entity asked for, encoded; empty: all.
absl::StatusOr<std::string> RequestedEntity(const View& view, const HistoryRequest& request) {
  std::string entity;
  if (request.keys.empty()) return entity;
  std::vector<NamedColumn> keys = request.keys;
  std::vector<const Column*> ordered(view.schema.join_keys.size());
  for (NamedColumn& key : keys) {
    const std::string path = absl::StrCat("keys.", key.name);
    bool known = false;
    for (size_t i = 0; i < ordered.size(); ++i) {
      if (view.schema.join_keys[i].name != key.name) continue;
      CoerceColumn(DataType{view.schema.join_keys[i].type}, &key.column);
      RETURN_IF_ERROR(CheckKeyColumn(view.schema.join_keys[i], key.column, 1, path));
      ordered[i] = &key.column;
      known = true;
    }
    if (!known) {
      return InvalidArgument(
          absl::StrCat(key.name, " is no join key of view ", view.schema.versioned_name()), path);
    }
  }
  for (size_t i = 0; i < ordered.size(); ++i) {
    if (ordered[i] != nullptr) continue;
    return InvalidArgument(
        absl::StrCat("join key ", view.schema.join_keys[i].name,
                     " is missing; give all join keys, or none for the whole view"),
        absl::StrCat("keys.", view.schema.join_keys[i].name));
  }
  AppendKey(ordered, 0, &entity);
  return entity;
}

}  // namespace

absl::StatusOr<uint64_t> PageTokenSeq(const std::string& page_token) {
  std::pair<std::string, std::string> parts = absl::StrSplit(page_token, absl::MaxSplits('.', 1));
  uint64_t seq;
  if (!absl::SimpleAtoi(parts.first, &seq)) return BadToken();
  return seq;
}

absl::StatusOr<HistoryAnswer> ReadHistoryPage(const KvStore& store, const View& view,
                                              const HistoryRequest& request, uint64_t read_seq) {
  HistoryQuery query{.entity_key = {},
                     .start = request.start.value_or(limits::kMinTimeMicros),
                     .end = request.end.value_or(limits::kMaxTimeMicros),
                     .last_k = request.last_k,
                     .known_at = read_seq,
                     .all_forms = request.all_forms};
  ASSIGN_OR_RETURN(query.entity_key, RequestedEntity(view, request));
  std::string position;
  if (!request.page_token.empty()) {
    ASSIGN_OR_RETURN(position, PageTokenPosition(request.page_token));
  }
  PageBuilder page(store, view);
  auto next = ReadHistory(store, view.schema, query, position, request.page_size,
                          [&](const FactRef& fact) { return page.Append(fact); });
  if (absl::IsInvalidArgument(next.status())) return BadToken();
  RETURN_IF_ERROR(next.status());
  HistoryAnswer answer = page.Finish();
  answer.read_seq = read_seq;
  if (!next->empty()) {
    answer.next_page_token = absl::StrCat(read_seq, ".", absl::WebSafeBase64Escape(*next));
  }
  return answer;
}

}  // namespace fletch
