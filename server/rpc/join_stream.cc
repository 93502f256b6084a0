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

constexpr size_t kWindow = 3;  // one being sent, one in work, one that waits for its turn

// Faults of a field get the name of the part; others, as a passed deadline, have none.
absl::Status InPart(absl::Status status, std::string_view part) {
  return ErrorField(status).empty() ? status : PrefixField(std::move(status), part);
}

class JoinStream final : public OrderedStream {
 public:
  JoinStream(Method* method, grpc::CallbackServerContext* context)
      : OrderedStream(method, context, {.where = RunOn::kJoin, .window = kWindow}) {}

 private:
  void Work(uint64_t index, const grpc::ByteBuffer& message) override {
    Answer(index, Compute(message));
  }

  absl::StatusOr<grpc::ByteBuffer> Compute(const grpc::ByteBuffer& message) {
    RETURN_IF_ERROR(call().Check());
    MessageArena arena;
    auto* request = arena.New<v1::GetHistoricalFeaturesRequest>();
    RETURN_IF_ERROR(ParseMessage(message, request));
    auto* response = arena.New<v1::GetHistoricalFeaturesResponse>();
    switch (request->part_case()) {
      case v1::GetHistoricalFeaturesRequest::kHeader:
        RETURN_IF_ERROR(InPart(Begin(request->header(), response), "header"));
        break;
      case v1::GetHistoricalFeaturesRequest::kSpine:
        RETURN_IF_ERROR(InPart(Join(request->spine(), response), "spine"));
        break;
      case v1::GetHistoricalFeaturesRequest::PART_NOT_SET:
        return InvalidArgument("the message is empty; send a header first, then spine batches");
    }
    grpc::ByteBuffer bytes;
    RETURN_IF_ERROR(SerializeMessage(*response, host()->options().max_message_bytes, &bytes));
    return bytes;
  }

  absl::Status Begin(const v1::HistoricalHeader& header,
                     v1::GetHistoricalFeaturesResponse* response) {
    if (read_ != nullptr) {
      return InvalidArgument("a second header; one read takes one stream", "");
    }
    ASSIGN_OR_RETURN(const HistoricalHeader request, ToEngine(header));
    ASSIGN_OR_RETURN(read_, host()->engine()->BeginHistorical(request, call()));
    FillHeaderAnswer(read_->plan(), read_->read_seq(), response);
    return absl::OkStatus();
  }

  absl::Status Join(const v1::SpineBatch& spine, v1::GetHistoricalFeaturesResponse* response) {
    if (read_ == nullptr) {
      return InvalidArgument("a spine batch before the header; send the header first", "");
    }
    ASSIGN_OR_RETURN(const SpineBatch batch, ToEngine(spine));
    ASSIGN_OR_RETURN(std::vector<Column> columns, read_->Join(batch, call()));
    FillAnswer(std::move(columns), batch.row_count, read_->read_seq(), response);
    return absl::OkStatus();
  }

  absl::StatusOr<grpc::ByteBuffer> Refusal(uint64_t, const absl::Status& status) override {
    return status;
  }

  absl::Status AtEnd(uint64_t count) const override {
    if (count > 0) return absl::OkStatus();
    return InvalidArgument("the stream ended without a header; send the header first");
  }

  std::unique_ptr<HistoricalRead> read_;  // touched by Work alone
};

}  // namespace

RawBidiReactor* StartJoinStream(Method* method, grpc::CallbackServerContext* context) {
  return OrderedStream::Start(std::make_shared<JoinStream>(method, context));
}

}  // namespace fletch
