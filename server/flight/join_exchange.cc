// SPDX-License-Identifier: Apache-2.0
#include "server/flight/join_exchange.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "fletch/v1/flight.pb.h"
#include "server/flight/flight_answer.h"
#include "server/flight/flight_data.h"
#include "server/flight/flight_input.h"
#include "server/flight/ipc_reader.h"
#include "server/flight/ipc_schema.h"
#include "server/rpc/convert.h"
#include "server/rpc/wire.h"

namespace fletch {
namespace {

// Clients that send a whole spine before they read an answer must not be stopped too early.
constexpr size_t kWindowMessages = 1024;
constexpr size_t kWindowBytes = 64u << 20;
// As of the joins over gRPC: a pass over few of the spine's rows reads nearly as much as one over
// all.
constexpr int64_t kLingerMs = 5;
constexpr int64_t kMaxLingerMs = 200;
constexpr char kDefaultTimestampColumn[] = "event_timestamp";

// Where the spine's columns go.
struct SpineShape {
  size_t timestamps = 0;
  std::vector<size_t> keys;
  std::vector<std::pair<size_t, DataType>> context;
};

absl::StatusOr<SpineShape> ShapeOf(const std::vector<ArrowField>& fields,
                                   const std::string& timestamp_column, const FeaturePlan& plan) {
  SpineShape shape;
  ASSIGN_OR_RETURN(shape.timestamps, FindTimes(fields, timestamp_column));
  std::vector<std::string> context_names;
  for (const FieldSchema& field : plan.context) context_names.push_back(field.name);
  for (size_t i = 0; i < fields.size(); ++i) {
    const std::string& name = fields[i].name;
    const auto context = std::find(context_names.begin(), context_names.end(), name);
    if (plan.key_slot_by_name.contains(name)) {
      shape.keys.push_back(i);
    } else if (context != context_names.end()) {
      shape.context.emplace_back(i, plan.context[context - context_names.begin()].type);
    } else if (i != shape.timestamps) {
      return InvalidArgument(StrCat("nothing asks for the spine's column ", name, "; join keys: ",
                                    NameList(plan.key_columns), "; timestamps: ", timestamp_column,
                                    "; request_context: ", NameList(context_names),
                                    "; leave the others out, answers come in spine order"),
                             StrCat("columns.", name));
    }
  }
  return shape;
}

class JoinExchange final : public FlightStream {
 public:
  JoinExchange(Method* method, grpc::CallbackServerContext* context)
      : FlightStream(method, context,
                     {.where = RunOn::kJoin,
                      .in_messages = kWindowMessages,
                      .in_bytes = kWindowBytes,
                      .step_messages = kWindowMessages,
                      .linger_ms = kLingerMs,
                      .linger_ms_max = kMaxLingerMs}) {}

 private:
  // All that has come is joined in one pass: more rows at once cost less each, and whoever waits
  // for the answer to a single batch gets it.
  absl::StatusOr<Next> Step(std::vector<grpc::ByteBuffer> input, bool closed) override {
    for (const grpc::ByteBuffer& message : input) {
      if (absl::Status status = Take(message); !status.ok()) {
        return ForFlight(status, StrCat("message ", messages_, " of the spine"));
      }
      ++messages_;
    }
    if (closed) return AtEnd();
    if (joined_ == nullptr && !batches_.empty()) RETURN_IF_ERROR(Join());
    if (joined_ == nullptr) return Next::kInput;
    RETURN_IF_ERROR(SendBatches());
    return joined_ == nullptr ? Next::kInput : Next::kMore;
  }

  absl::Status Take(const grpc::ByteBuffer& message) {
    MessageArena arena;
    auto* data = arena.New<flight::FlightData>();
    RETURN_IF_ERROR(ParseMessage(message, data));
    if (read_ == nullptr) RETURN_IF_ERROR(Begin(data->flight_descriptor()));
    if (data->data_header().empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const IpcReader::Kind kind,
                     reader_.Take(data->data_header(), data->data_body()));
    if (kind == IpcReader::Kind::kSchema) {
      ASSIGN_OR_RETURN(shape_, ShapeOf(reader_.fields(), timestamp_column_, read_->plan()));
    }
    for (size_t begin = 0; begin < reader_.row_count(); begin += rows_per_batch_) {
      const size_t count = std::min(rows_per_batch_, reader_.row_count() - begin);
      ASSIGN_OR_RETURN(SpineBatch batch, ReadBatch(begin, count));
      batches_.push_back(std::move(batch));
    }
    return absl::OkStatus();
  }

  absl::Status Begin(const flight::FlightDescriptor& descriptor) {
    v1::FlightJoin command;
    RETURN_IF_ERROR(ParseDescriptor(descriptor, &command));
    absl::StatusOr<HistoricalHeader> header = ToEngine(command.header());
    if (!header.ok()) return PrefixField(header.status(), "header");
    timestamp_column_ =
        command.timestamp_column().empty() ? kDefaultTimestampColumn : command.timestamp_column();
    ASSIGN_OR_RETURN(read_, host()->engine()->BeginHistorical(*header, call()));
    answer_.emplace(read_->plan(), command.include_statuses(), header->event_times);
    rows_per_batch_ = RowsPerMessage(RowBytes(answer_->fields()), limits::kMaxSpineRowsPerBatch);
    Send(SchemaData(
        SchemaMessage(answer_->fields(), {{"fletch.read_seq", StrCat(read_->read_seq())}})));
    return absl::OkStatus();
  }

  absl::StatusOr<SpineBatch> ReadBatch(size_t begin, size_t count) const {
    SpineBatch batch;
    batch.row_count = count;
    ASSIGN_OR_RETURN(batch.timestamps, ReadTimes(reader_, shape_.timestamps, begin, count));
    for (const size_t key : shape_.keys) {
      ASSIGN_OR_RETURN(Column column, reader_.ReadColumn(key, begin, count));
      batch.keys.push_back({reader_.fields()[key].name, std::move(column)});
    }
    for (const auto& [field, type] : shape_.context) {
      ASSIGN_OR_RETURN(Column column, reader_.ReadColumn(field, begin, count, type));
      batch.request_context.push_back({reader_.fields()[field].name, std::move(column)});
    }
    return batch;
  }

  absl::Status Join() {
    row_counts_.clear();
    for (const SpineBatch& batch : batches_) row_counts_.push_back(batch.row_count);
    next_batch_ = 0;
    ASSIGN_OR_RETURN(joined_, read_->Join(std::exchange(batches_, {}), call()));
    return absl::OkStatus();
  }

  absl::Status SendBatches() {
    std::vector<std::vector<grpc::ByteBuffer>> messages(row_counts_.size() - next_batch_);
    ASSIGN_OR_RETURN(const size_t count,
                     joined_->SomeBatches(next_batch_, call(),
                                          [&](size_t i, const std::vector<Column>& columns) {
                                            return Encode(i, columns, &messages[i - next_batch_]);
                                          }));
    for (size_t i = 0; i < count; ++i) {
      for (grpc::ByteBuffer& message : messages[i]) Send(std::move(message));
      rows_sent_ += row_counts_[next_batch_++];
    }
    if (next_batch_ == row_counts_.size()) joined_ = nullptr;
    return absl::OkStatus();
  }

  // The messages of batch i. On any thread of the join.
  absl::Status Encode(size_t i, const std::vector<Column>& columns,
                      std::vector<grpc::ByteBuffer>* messages) const {
    uint64_t rows_before = rows_sent_;
    for (size_t batch = next_batch_; batch < i; ++batch) rows_before += row_counts_[batch];
    return SendRows(
        row_counts_[i], host()->options().max_message_bytes,
        [&](IpcBatchWriter* writer) { answer_->Add(columns, writer); },
        [&](size_t rows) {
          v1::FlightProgress progress;
          progress.set_rows(rows_before + rows);
          progress.set_read_seq(read_->read_seq());
          return progress.SerializeAsString();
        },
        [messages](grpc::ByteBuffer message) { messages->push_back(std::move(message)); });
  }

  absl::StatusOr<Next> AtEnd() const {
    if (read_ == nullptr) {
      return InvalidArgument(
          "the stream ended without a descriptor; its command is a fletch.v1.FlightJoin",
          "descriptor");
    }
    if (!reader_.has_schema()) return InvalidArgument("the stream ended without a spine's schema");
    return Next::kDone;
  }

  // Touched by steps alone.
  uint64_t messages_ = 0;
  std::string timestamp_column_;
  std::unique_ptr<HistoricalRead> read_;
  std::optional<FlightAnswer> answer_;
  size_t rows_per_batch_ = 0;
  IpcReader reader_;
  SpineShape shape_;
  std::vector<SpineBatch> batches_;  // not yet joined
  std::unique_ptr<JoinedSpine> joined_;
  std::vector<size_t> row_counts_;  // of what is joined
  size_t next_batch_ = 0;
  uint64_t rows_sent_ = 0;
};

}  // namespace

RawBidi* StartJoinExchange(Method* method, grpc::CallbackServerContext* context) {
  return FlightStream::StartBidi(std::make_shared<JoinExchange>(method, context));
}

}  // namespace fletch
