// SPDX-License-Identifier: Apache-2.0
#include "server/flight/flight_answer.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "base/strings.h"
#include "server/flight/flight_data.h"

namespace fletch {
namespace {

constexpr size_t kMessageBytes = 16u << 20;  // what a client takes from a stream in one piece
constexpr size_t kMinRows = 256;             // of a message, however wide they are
constexpr size_t kFrameBytes = 64u << 10;    // around a body: its header and tags
constexpr size_t kTextBytes = 24;            // of a text that nobody knows yet

}  // namespace

FlightAnswer::FlightAnswer(const FeaturePlan& plan, bool statuses, bool event_times)
    : statuses_(statuses) {
  for (const PlanColumn& column : plan.columns) {
    fields_.push_back(ArrowFieldOf(column.ref, column.type));
    fields_.back().metadata.emplace_back("fletch.resolved", column.resolved);
    if (!statuses) continue;
    fields_.push_back({.name = StrCat(column.ref, "__status"),
                       .type = {.kind = ArrowKind::kInt, .bits = 8},
                       .metadata = {{"fletch.type", "STATUS"}}});
  }
  if (event_times) AddTimeFields(plan);
}

void FlightAnswer::AddTimeFields(const FeaturePlan& plan) {
  constexpr size_t kNone = SIZE_MAX;
  std::vector<size_t> source_of(plan.columns.size(), kNone);  // the column whose times it shares
  for (const PlanGroup& group : plan.groups) {
    for (const PlanView& view : group.views) {
      size_t first = kNone;
      for (const PlanField& field : view.fields) {
        if (field.column >= plan.columns.size()) continue;  // hidden
        first = std::min(first, field.column);
      }
      for (const PlanField& field : view.fields) {
        if (field.column >= plan.columns.size()) continue;
        source_of[field.column] = view.windows != nullptr ? field.column : first;
      }
    }
  }
  for (size_t i = 0; i < source_of.size(); ++i) {
    if (source_of[i] == kNone) continue;
    fields_[statuses_ ? 2 * i : i].metadata.emplace_back(
        "event_timestamp_column", StrCat(plan.columns[source_of[i]].ref, "__event_timestamp"));
    if (source_of[i] == i) time_columns_.push_back(i);
  }
  for (const size_t i : time_columns_) {
    fields_.push_back(
        ArrowFieldOf(StrCat(plan.columns[i].ref, "__event_timestamp"), {ValueType::kTimestamp}));
  }
}

void FlightAnswer::Add(const std::vector<Column>& columns, IpcBatchWriter* writer) const {
  for (const Column& column : columns) {
    writer->Add(column);
    if (statuses_) writer->AddStatuses(column.statuses);
  }
  for (const size_t i : time_columns_) {
    const auto& times = columns[i].event_times;
    times == nullptr ? writer->AddNoTimes() : writer->AddTimes(*times);
  }
}

namespace {

struct Sender {
  const size_t max_bytes;
  const std::function<void(IpcBatchWriter*)>& add;
  const std::function<std::string(size_t)>& metadata;
  const std::function<void(grpc::ByteBuffer)>& send;

  absl::Status Run(size_t begin, size_t count) const {
    IpcBatchWriter writer(begin, count);
    add(&writer);
    if (writer.body_size() + kFrameBytes <= max_bytes) {
      send(BatchData(writer, metadata(begin + count)));
      return absl::OkStatus();
    }
    if (count == 1) {
      return MakeError(absl::StatusCode::kResourceExhausted, "MESSAGE_TOO_LARGE",
                       StrCat("a row of the answer has ", writer.body_size(),
                              " bytes, max_message is ", max_bytes, "; ask for fewer features"));
    }
    RETURN_IF_ERROR(Run(begin, count / 2));
    return Run(begin + count / 2, count - count / 2);
  }
};

}  // namespace

absl::Status SendRows(size_t row_count, size_t max_bytes,
                      const std::function<void(IpcBatchWriter*)>& add,
                      const std::function<std::string(size_t rows)>& metadata,
                      const std::function<void(grpc::ByteBuffer)>& send) {
  if (row_count == 0) return absl::OkStatus();
  return Sender{max_bytes, add, metadata, send}.Run(0, row_count);
}

size_t RowsPerMessage(size_t row_bytes, size_t most) {
  return std::clamp(kMessageBytes / std::max<size_t>(row_bytes, 1), std::min(kMinRows, most), most);
}

size_t RowBytes(absl::Span<const ArrowField> fields) {
  size_t bytes = 0;
  for (const ArrowField& field : fields) {
    const ArrowType& type = field.type;
    const bool text = type.kind == ArrowKind::kUtf8 || type.kind == ArrowKind::kBinary;
    const size_t vector = static_cast<size_t>(field.element.bits) / 8 * type.list_size;
    bytes += text || type.kind == ArrowKind::kList ? kTextBytes : std::max<size_t>(8, vector);
  }
  return bytes;
}

}  // namespace fletch
