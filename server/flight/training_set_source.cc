// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/strings.h"
#include "server/flight/flight_answer.h"
#include "server/flight/flight_input.h"
#include "server/flight/get_source.h"
#include "server/flight/ipc_schema.h"
#include "storage/row_codec.h"

namespace fletch {
namespace {

template <class T>
void Repeat(std::vector<T>* values, size_t count) {
  if (!values->empty()) values->assign(count, T(values->front()));
}

// The column of that name for every row; a context column may have been given once for all.
Column SpineColumn(const std::vector<NamedColumn>& columns, const std::string& name,
                   const DataType& type, size_t row_count) {
  const auto it = std::find_if(columns.begin(), columns.end(),
                               [&](const NamedColumn& column) { return column.name == name; });
  Column out = it->column;  // the join could not have been made without it
  if (out.row_count != row_count) {
    Repeat(&out.bools, row_count);
    Repeat(&out.int32s, row_count);
    Repeat(&out.int64s, row_count);
    Repeat(&out.floats, row_count);
    Repeat(&out.doubles, row_count);
    Repeat(&out.strings, row_count);
    if (!out.null_rows.empty()) {
      out.null_rows.resize(row_count);
      std::iota(out.null_rows.begin(), out.null_rows.end(), 0);
    }
    out.row_count = row_count;
  }
  CoerceColumn(type, &out);
  return out;
}

class TrainingSetSource final : public GetSource {
 public:
  TrainingSetSource(Engine* engine, const Call& call, const v1::FlightTrainingSet& request)
      : engine_(engine), call_(call), statuses_(request.include_statuses()) {
    request_.set_project(request.project());
    request_.set_name(request.name());
    request_.set_include_event_timestamps(request.include_event_timestamps());
  }

  absl::StatusOr<std::string> Schema() override {
    RETURN_IF_ERROR(ReadBatch());
    answer_.emplace(*batch_->plan, statuses_, request_.include_event_timestamps());
    const FeaturePlan& plan = *batch_->plan;
    std::vector<ArrowField> fields;
    for (size_t i = 0; i < plan.key_columns.size(); ++i) {
      fields.push_back(ArrowFieldOf(plan.key_columns[i], {plan.key_fields[i].type}));
    }
    const bool taken = FindField(fields, "event_timestamp").has_value();
    fields.push_back(
        ArrowFieldOf(taken ? "__event_timestamp" : "event_timestamp", {ValueType::kTimestamp}));
    for (const FieldSchema& field : plan.context) {
      fields.push_back(ArrowFieldOf(field.name, field.type));
    }
    fields.insert(fields.end(), answer_->fields().begin(), answer_->fields().end());
    row_count_ = batch_->info.row_count();
    return SchemaMessage(fields, {{"fletch.read_seq", StrCat(batch_->info.read_seq())}});
  }

  absl::StatusOr<bool> SendNext(size_t max_message_bytes, const SendMessage& send) override {
    if (!batch_.has_value()) RETURN_IF_ERROR(ReadBatch());
    const TrainingSetBatch batch = *std::exchange(batch_, std::nullopt);
    const SpineColumns spine = SpineOf(batch);
    RETURN_IF_ERROR(SendRows(
        batch.spine.row_count, max_message_bytes,
        [&](IpcBatchWriter* writer) { AddBatch(batch, spine, writer); },
        [&](size_t rows) {
          v1::FlightProgress progress;
          progress.set_rows(rows_sent_ + rows);
          progress.set_read_seq(batch.info.read_seq());
          return progress.SerializeAsString();
        },
        send));
    rows_sent_ += batch.spine.row_count;
    request_.set_batch(request_.batch() + 1);
    return request_.batch() < batch.info.batch_count();
  }

  int64_t row_count() const override { return row_count_; }

 private:
  absl::Status ReadBatch() {
    ASSIGN_OR_RETURN(batch_, engine_->GetTrainingSet(request_, call_));
    return absl::OkStatus();
  }

  // In the order and with the types of the plan: every batch was stored as it was sent.
  struct SpineColumns {
    std::vector<Column> keys;
    std::vector<Column> context;
  };

  static SpineColumns SpineOf(const TrainingSetBatch& batch) {
    SpineColumns out;
    for (size_t i = 0; i < batch.plan->key_columns.size(); ++i) {
      out.keys.push_back(SpineColumn(batch.spine.keys, batch.plan->key_columns[i],
                                     {batch.plan->key_fields[i].type}, batch.spine.row_count));
    }
    for (const FieldSchema& field : batch.plan->context) {
      out.context.push_back(
          SpineColumn(batch.spine.request_context, field.name, field.type, batch.spine.row_count));
    }
    return out;
  }

  void AddBatch(const TrainingSetBatch& batch, const SpineColumns& spine,
                IpcBatchWriter* writer) const {
    for (const Column& key : spine.keys) writer->Add(key);
    writer->AddTimes(batch.spine.timestamps);
    for (const Column& column : spine.context) writer->Add(column);
    answer_->Add(batch.columns, writer);
  }

  Engine* const engine_;
  const Call call_;
  const bool statuses_;
  v1::GetTrainingSetRequest request_;
  std::optional<TrainingSetBatch> batch_;  // read and not yet sent
  std::optional<FlightAnswer> answer_;
  int64_t row_count_ = -1;
  uint64_t rows_sent_ = 0;
};

}  // namespace

std::unique_ptr<GetSource> MakeTrainingSetSource(Engine* engine, const Call& call,
                                                 const v1::FlightTrainingSet& request) {
  return std::make_unique<TrainingSetSource>(engine, call, request);
}

}  // namespace fletch
