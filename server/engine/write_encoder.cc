// SPDX-License-Identifier: Apache-2.0
#include "server/engine/write_encoder.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/time_text.h"
#include "storage/entity_key.h"
#include "storage/row_codec.h"

namespace fletch {
namespace {

absl::Status CheckEventTimes(const ViewSchema& schema, absl::Span<const int64_t> times,
                             size_t row_count, int64_t now, std::string_view path) {
  if (times.size() != row_count) {
    return InvalidArgument(
        StrCat("there are ", times.size(), " event timestamps for ", row_count, " rows"), path);
  }
  int64_t latest = std::min(limits::kMaxTimeMicros, now + schema.max_future_skew_micros);
  for (size_t row = 0; row < row_count; ++row) {
    if (times[row] < limits::kMinTimeMicros || times[row] > limits::kMaxTimeMicros) {
      return OutOfRange(StrCat("the event timestamp of row ", row, " (", times[row],
                               " us) lies outside the years 0001 to 9999"),
                        path);
    }
    if (times[row] > latest) {
      return OutOfRange(
          StrCat("the event timestamp of row ", row, " (", TimeText(times[row]), ") is more than ",
                 DurationText(schema.max_future_skew_micros), " (max_future_skew of ", schema.name,
                 ") after the daemon's clock (", TimeText(now), ")"),
          path);
    }
  }
  return absl::OkStatus();
}

// The columns of one batch by their place in the schema.
struct BoundColumns {
  std::vector<const Column*> join_keys;
  std::vector<const Column*> event_keys;
  std::vector<const Column*> fields;  // nullptr: left out
};

// Widens keys and fields to their types, checks them, and finds each one's place.
class ColumnBinder {
 public:
  ColumnBinder(const ViewSchema& schema, std::string owner, size_t row_count, std::string path)
      : schema_(schema), owner_(std::move(owner)), row_count_(row_count), path_(std::move(path)) {
    bound_.join_keys.resize(schema.join_keys.size());
    bound_.event_keys.resize(schema.event_keys.size());
    bound_.fields.resize(schema.fields.size());
  }

  absl::Status Bind(NamedColumn* column, bool event_keys, bool fields) {
    const std::string path = StrCat(path_, ".", column->name);
    for (size_t i = 0; i < schema_.join_keys.size(); ++i) {
      if (schema_.join_keys[i].name == column->name) {
        return BindKey(schema_.join_keys[i], &column->column, path, &bound_.join_keys[i]);
      }
    }
    for (size_t i = 0; event_keys && i < schema_.event_keys.size(); ++i) {
      if (schema_.event_keys[i].name == column->name) {
        return BindKey(schema_.event_keys[i], &column->column, path, &bound_.event_keys[i]);
      }
    }
    for (size_t i = 0; fields && i < schema_.fields.size(); ++i) {
      const FieldSchema& field = schema_.fields[i];
      if (field.name != column->name) continue;
      if (bound_.fields[i] != nullptr) return Repeated(path);
      CoerceColumn(field.type, &column->column);
      RETURN_IF_ERROR(CheckFieldColumn(field, column->column, row_count_, path));
      bound_.fields[i] = &column->column;
      return absl::OkStatus();
    }
    return NotFound(StrCat(owner_, " has no ", fields ? "field or key " : "key ", column->name),
                    path);
  }

  // What was bound; INVALID_ARGUMENT names a key that is missing.
  absl::StatusOr<BoundColumns> Finish(bool event_keys) {
    for (size_t i = 0; i < schema_.join_keys.size(); ++i) {
      if (bound_.join_keys[i] == nullptr) return Missing("join key", schema_.join_keys[i].name);
    }
    for (size_t i = 0; event_keys && i < schema_.event_keys.size(); ++i) {
      if (bound_.event_keys[i] == nullptr) return Missing("event key", schema_.event_keys[i].name);
    }
    return std::move(bound_);
  }

 private:
  absl::Status BindKey(const KeyFieldSchema& field, Column* column, const std::string& path,
                       const Column** place) {
    if (*place != nullptr) return Repeated(path);
    CoerceColumn(DataType{field.type}, column);
    RETURN_IF_ERROR(CheckKeyColumn(field, *column, row_count_, path));
    *place = column;
    return absl::OkStatus();
  }
  absl::Status Repeated(const std::string& path) {
    return InvalidArgument("the column is given twice; give it once", path);
  }
  absl::Status Missing(std::string_view kind, const std::string& name) {
    return InvalidArgument(
        StrCat(kind, " ", name, " of ", owner_, " is missing; give a column of that name"),
        StrCat(path_, ".", name));
  }

  const ViewSchema& schema_;
  const std::string owner_;  // whose columns they are, for messages
  const size_t row_count_;
  const std::string path_;
  BoundColumns bound_;
};

// One batch's facts, appended.
absl::Status EncodeBatch(const View& view, RowBatch* batch, uint32_t number, int64_t now,
                         EncodedWrite* out) {
  const std::string path = StrCat("batches[", number, "]");
  ColumnBinder binder(view.schema, "view " + view.schema.versioned_name(), batch->row_count,
                      path + ".columns");
  for (NamedColumn& column : batch->columns) RETURN_IF_ERROR(binder.Bind(&column, true, true));
  ASSIGN_OR_RETURN(BoundColumns bound, binder.Finish(/*event_keys=*/true));
  RETURN_IF_ERROR(CheckEventTimes(view.schema, batch->event_times, batch->row_count, now,
                                  path + ".event_timestamps"));
  if (batch->merge) {
    std::vector<bool>& given = out->partials.emplace_back();
    for (const Column* field : bound.fields) given.push_back(field != nullptr);
  }
  const int32_t partial = batch->merge ? static_cast<int32_t>(out->partials.size()) - 1 : -1;
  RowEncoder encoder(&view.layout, bound.fields);
  for (size_t row = 0; row < batch->row_count; ++row) {
    PendingFact fact;
    fact.view = &view;
    fact.request_row = row;
    fact.batch = number;
    fact.partial = partial;
    AppendKey(bound.join_keys, row, &fact.identity.entity_key);
    AppendKey(bound.event_keys, row, &fact.identity.event_key);
    fact.identity.event_time = batch->event_times[row];
    fact.row = encoder.Encode(row);
    if (fact.row.size() > limits::kMaxRowBytes) {
      return OutOfRange(StrCat("row ", row, " takes ", fact.row.size(), " bytes; at most ",
                               limits::kMaxRowBytes, " are allowed"),
                        path);
    }
    out->bytes += sizeof(PendingFact) + fact.identity.entity_key.size() +
                  fact.identity.event_key.size() + fact.row.size();
    out->facts.push_back(std::move(fact));
  }
  return absl::OkStatus();
}

// Sorts by (view, identity) and refuses the same identity twice.
absl::Status SortFacts(EncodedWrite* write, std::string_view path) {
  auto order = [](const PendingFact& a, const PendingFact& b) {
    return std::tie(a.view->schema.view_id, a.identity) <
           std::tie(b.view->schema.view_id, b.identity);
  };
  std::sort(write->facts.begin(), write->facts.end(), order);
  for (size_t i = 1; i < write->facts.size(); ++i) {
    const PendingFact& a = write->facts[i - 1];
    const PendingFact& b = write->facts[i];
    if (a.view != b.view || a.identity != b.identity) continue;
    auto [first, second] = std::minmax(a.request_row, b.request_row);
    return InvalidArgument(
        StrCat("rows ", first, " and ", second, " of view ", a.view->schema.versioned_name(),
               " have the same key, event timestamp (", TimeText(a.identity.event_time),
               ") and event key; one batch may hold an identity once"),
        path);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<EncodedWrite> EncodeWrite(const CatalogSnapshot& catalog, WriteRequest request,
                                         int64_t now) {
  RETURN_IF_ERROR(catalog.CheckProject(request.project));
  EncodedWrite write;
  std::map<ViewId, std::shared_ptr<const View>> views;
  for (size_t i = 0; i < request.batches.size(); ++i) {
    auto found = catalog.FindView(request.project, request.batches[i].feature_view);
    if (!found.ok()) {
      return PrefixField(found.status(), StrCat("batches[", i, "].feature_view"));
    }
    const auto& view = views.try_emplace((*found)->schema.view_id, *found).first->second;
    RETURN_IF_ERROR(EncodeBatch(*view, &request.batches[i], static_cast<uint32_t>(i), now, &write));
  }
  for (auto& [id, view] : views) write.views.push_back(std::move(view));
  RETURN_IF_ERROR(SortFacts(&write, "batches"));
  return write;
}

absl::StatusOr<EncodedWrite> EncodeKeyed(const CatalogSnapshot& catalog, KeyedRequest request,
                                         FactForm form, int64_t now) {
  auto found = catalog.FindView(request.project, request.feature_view);
  if (!found.ok()) return PrefixField(found.status(), "feature_view");
  const View& view = **found;
  const bool row_identity = form == FactForm::kRetraction && !request.tombstones;
  ColumnBinder binder(view.schema, "view " + view.schema.versioned_name(), request.row_count,
                      "keys");
  for (NamedColumn& key : request.keys) RETURN_IF_ERROR(binder.Bind(&key, row_identity, false));
  ASSIGN_OR_RETURN(BoundColumns bound, binder.Finish(row_identity));
  RETURN_IF_ERROR(CheckEventTimes(view.schema, request.event_times, request.row_count, now,
                                  "event_timestamps"));
  EncodedWrite write;
  write.views.push_back(*found);
  for (size_t row = 0; row < request.row_count; ++row) {
    PendingFact fact;
    fact.view = &view;
    fact.form = form;
    fact.request_row = row;
    AppendKey(bound.join_keys, row, &fact.identity.entity_key);
    if (row_identity) AppendKey(bound.event_keys, row, &fact.identity.event_key);
    fact.identity.event_time = request.event_times[row];
    fact.identity.tombstone = !row_identity;
    write.bytes += sizeof(PendingFact) + fact.identity.entity_key.size();
    write.facts.push_back(std::move(fact));
  }
  RETURN_IF_ERROR(SortFacts(&write, "keys"));
  return write;
}

absl::StatusOr<std::vector<std::string>> EncodeEntityKeys(
    const std::vector<KeyFieldSchema>& join_keys, EraseRequest request) {
  ViewSchema keys_only;
  keys_only.join_keys = join_keys;
  ColumnBinder binder(keys_only, "entity " + request.entity, request.row_count, "keys");
  for (NamedColumn& key : request.keys) RETURN_IF_ERROR(binder.Bind(&key, false, false));
  ASSIGN_OR_RETURN(const BoundColumns bound, binder.Finish(/*event_keys=*/false));
  std::vector<std::string> keys(request.row_count);
  for (size_t row = 0; row < keys.size(); ++row) AppendKey(bound.join_keys, row, &keys[row]);
  return keys;
}

}  // namespace fletch
