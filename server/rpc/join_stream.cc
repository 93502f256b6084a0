// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/join_stream.h"

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "fletch/v1/historical.pb.h"
#include "server/rpc/convert.h"
#include "server/rpc/wire.h"

namespace fletch {
namespace {

// What arrives together is joined together: each row costs less so. A million rows of one key are
// about 12 MB.
constexpr size_t kWindow = 4096;
constexpr size_t kWindowBytes = 32u << 20;
constexpr int64_t kLingerMs = 5;
constexpr int64_t kMaxLingerMs = 200;
constexpr size_t kUnsent = 2;  // one being sent, one that waits for its turn

// Faults of a field get the name of the part; others, as a passed deadline, have none.
absl::Status InPart(absl::Status status, std::string_view part) {
  return ErrorField(status).empty() ? status : PrefixField(std::move(status), part);
}

class JoinStream final : public OrderedStream {
 public:
  JoinStream(Method* method, grpc::CallbackServerContext* context)
      : OrderedStream(method, context,
                      {.where = RunOn::kJoin,
                       .window = kWindow,
                       .window_bytes = kWindowBytes,
                       .group = kWindow,
                       .linger_ms = kLingerMs,
                       .max_linger_ms = kMaxLingerMs,
                       .unsent = kUnsent}) {}

 private:
  void Work(uint64_t first, std::vector<grpc::ByteBuffer> messages) override {
    absl::Status status = first == 0 ? Open(messages[0]) : Join(first, std::move(messages));
    if (!status.ok()) return Answer(first, std::move(status));
    if (first > 0) Resume();
  }

  void Resume() override {
    while (joined_ != nullptr && WantsAnswer()) {
      const size_t i = next_++;
      Answer(first_ + i, AnswerBatch(i));
      if (next_ < row_counts_.size()) continue;
      joined_.reset();
      if (!fault_.ok()) Answer(first_ + next_, fault_);
    }
  }

  // The header, which is answered at once.
  absl::Status Open(const grpc::ByteBuffer& message) {
    RETURN_IF_ERROR(call().Check());
    MessageArena arena;
    auto* request = arena.New<v1::GetHistoricalFeaturesRequest>();
    RETURN_IF_ERROR(ParseMessage(message, request));
    RETURN_IF_ERROR(CheckPart(*request, /*first=*/true));
    auto* response = arena.New<v1::GetHistoricalFeaturesResponse>();
    RETURN_IF_ERROR(InPart(Begin(request->header(), response), "header"));
    Answer(0, Serialize(*response));
    return absl::OkStatus();
  }

  static absl::Status CheckPart(const v1::GetHistoricalFeaturesRequest& request, bool first) {
    switch (request.part_case()) {
      case v1::GetHistoricalFeaturesRequest::kHeader:
        if (first) return absl::OkStatus();
        return InvalidArgument("a second header; one read takes one stream", "");
      case v1::GetHistoricalFeaturesRequest::kSpine:
        if (!first) return absl::OkStatus();
        return InvalidArgument("a spine batch before the header; send the header first", "");
      case v1::GetHistoricalFeaturesRequest::PART_NOT_SET:
        break;
    }
    return InvalidArgument("the message is empty; send a header first, then spine batches");
  }

  absl::Status Begin(const v1::HistoricalHeader& header,
                     v1::GetHistoricalFeaturesResponse* response) {
    ASSIGN_OR_RETURN(const HistoricalHeader request, ToEngine(header));
    ASSIGN_OR_RETURN(read_, host()->engine()->BeginHistorical(request, call()));
    FillHeaderAnswer(read_->plan(), read_->read_seq(), response);
    return absl::OkStatus();
  }

  absl::Status Join(uint64_t first, std::vector<grpc::ByteBuffer> messages) {
    std::vector<SpineBatch> batches;
    row_counts_.clear();
    for (grpc::ByteBuffer& message : messages) {
      RETURN_IF_ERROR(call().Check());
      absl::StatusOr<SpineBatch> batch = ToBatch(message);
      message.Clear();
      if (!batch.ok() && batches.empty()) return batch.status();
      if (!batch.ok()) {
        fault_ = batch.status();  // those before it are answered first
        break;
      }
      row_counts_.push_back(batch->row_count);
      batches.push_back(*std::move(batch));
    }
    absl::StatusOr<std::unique_ptr<JoinedSpine>> joined = read_->Join(std::move(batches), call());
    if (!joined.ok()) return InPart(joined.status(), "spine");
    joined_ = *std::move(joined);
    first_ = first;
    next_ = 0;
    return absl::OkStatus();
  }

  static absl::StatusOr<SpineBatch> ToBatch(const grpc::ByteBuffer& message) {
    MessageArena arena;
    auto* request = arena.New<v1::GetHistoricalFeaturesRequest>();
    RETURN_IF_ERROR(ParseMessage(message, request));
    RETURN_IF_ERROR(CheckPart(*request, /*first=*/false));
    absl::StatusOr<SpineBatch> batch = ToEngine(request->spine());
    if (!batch.ok()) return InPart(batch.status(), "spine");
    return batch;
  }

  absl::StatusOr<grpc::ByteBuffer> AnswerBatch(size_t i) {
    ASSIGN_OR_RETURN(std::vector<Column> columns, joined_->Batch(i, call()));
    MessageArena arena;
    auto* response = arena.New<v1::GetHistoricalFeaturesResponse>();
    FillAnswer(std::move(columns), row_counts_[i], read_->read_seq(), response);
    return Serialize(*response);
  }

  absl::StatusOr<grpc::ByteBuffer> Serialize(const v1::GetHistoricalFeaturesResponse& response) {
    grpc::ByteBuffer bytes;
    RETURN_IF_ERROR(SerializeMessage(response, host()->options().max_message_bytes, &bytes));
    return bytes;
  }

  absl::StatusOr<grpc::ByteBuffer> Refusal(uint64_t, const absl::Status& status) override {
    return status;
  }

  absl::Status AtEnd(uint64_t count) const override {
    if (count > 0) return absl::OkStatus();
    return InvalidArgument("the stream ended without a header; send the header first");
  }

  // Touched by Work and Resume alone.
  std::unique_ptr<HistoricalRead> read_;
  std::unique_ptr<JoinedSpine> joined_;  // the group in work; null: all of it is answered
  std::vector<size_t> row_counts_;       // of its batches
  uint64_t first_ = 0;                   // its first message
  size_t next_ = 0;                      // its first batch that is not answered
  absl::Status fault_;                   // of the message behind the group; ends the stream
};

}  // namespace

RawBidiReactor* StartJoinStream(Method* method, grpc::CallbackServerContext* context) {
  return OrderedStream::Start(std::make_shared<JoinStream>(method, context));
}

}  // namespace fletch
