// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/training_set_stream.h"

#include <atomic>
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

constexpr size_t kWindow = 3;  // one whose answer is sent, one in work, one that waits for its turn

// Faults of a field get the name of the part; others, as a passed deadline, have none.
absl::Status InPart(absl::Status status, std::string_view part) {
  return ErrorField(status).empty() ? status : PrefixField(std::move(status), part);
}

class TrainingSetStream final : public OrderedStream {
 public:
  TrainingSetStream(Method* method, grpc::CallbackServerContext* context)
      : OrderedStream(method, context, {.where = RunOn::kJoin, .window = kWindow}) {}

 private:
  void Work(uint64_t first, std::vector<grpc::ByteBuffer> messages) override {
    for (size_t i = 0; i < messages.size(); ++i) Answer(first + i, Compute(messages[i]));
  }

  absl::StatusOr<grpc::ByteBuffer> Compute(const grpc::ByteBuffer& message) {
    RETURN_IF_ERROR(call().Check());
    MessageArena arena;
    auto* request = arena.New<v1::CreateTrainingSetRequest>();
    RETURN_IF_ERROR(ParseMessage(message, request));
    auto* response = arena.New<v1::CreateTrainingSetResponse>();
    RETURN_IF_ERROR(CheckTurn(*request));
    switch (request->part_case()) {
      case v1::CreateTrainingSetRequest::kHeader:
        RETURN_IF_ERROR(InPart(Begin(request->header()), "header"));
        break;
      case v1::CreateTrainingSetRequest::kSpine:
        RETURN_IF_ERROR(InPart(Add(request->spine()), "spine"));
        break;
      default:
        RETURN_IF_ERROR(Finish(response));
    }
    response->set_row_count(row_count_);
    grpc::ByteBuffer bytes;
    RETURN_IF_ERROR(SerializeMessage(*response, host()->options().max_message_bytes, &bytes));
    return bytes;
  }

  absl::Status CheckTurn(const v1::CreateTrainingSetRequest& request) const {
    if (finished_.load()) {
      return InvalidArgument("the training set is finished; nothing may follow `finish`");
    }
    switch (request.part_case()) {
      case v1::CreateTrainingSetRequest::PART_NOT_SET:
        return InvalidArgument(
            "the message is empty; send a header first, then spine batches, then finish");
      case v1::CreateTrainingSetRequest::kHeader:
        if (writer_ == nullptr) return absl::OkStatus();
        return InvalidArgument("a second header; one training set takes one stream");
      default:
        if (writer_ != nullptr) return absl::OkStatus();
        return InvalidArgument("something else before the header; send the header first");
    }
  }

  absl::Status Begin(const v1::TrainingSetHeader& header) {
    absl::StatusOr<HistoricalHeader> read = ToEngine(header.read());
    if (!read.ok()) return InPart(read.status(), "read");
    ASSIGN_OR_RETURN(writer_, host()->engine()->CreateTrainingSet(
                                  header.name(), header.description(), *read, call()));
    return absl::OkStatus();
  }

  absl::Status Add(const v1::SpineBatch& spine) {
    ASSIGN_OR_RETURN(SpineBatch batch, ToEngine(spine));
    ASSIGN_OR_RETURN(row_count_, writer_->Add(std::move(batch), call()));
    return absl::OkStatus();
  }

  absl::Status Finish(v1::CreateTrainingSetResponse* response) {
    ASSIGN_OR_RETURN(*response->mutable_training_set(), writer_->Finish(call()));
    finished_.store(true);
    return absl::OkStatus();
  }

  absl::StatusOr<grpc::ByteBuffer> Refusal(uint64_t, const absl::Status& status) override {
    return status;
  }

  absl::Status AtEnd(uint64_t count) const override {
    if (finished_.load()) return absl::OkStatus();
    return InvalidArgument(count == 0 ? "the stream ended without a header; send the header first"
                                      : "the stream ended without finish, so nothing was kept");
  }

  std::unique_ptr<TrainingSetWriter> writer_;  // touched by Work alone
  uint64_t row_count_ = 0;                     // touched by Work alone
  std::atomic<bool> finished_{false};
};

}  // namespace

RawBidiReactor* StartTrainingSetStream(Method* method, grpc::CallbackServerContext* context) {
  return OrderedStream::Start(std::make_shared<TrainingSetStream>(method, context));
}

}  // namespace fletch
