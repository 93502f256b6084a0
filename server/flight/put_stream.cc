// SPDX-License-Identifier: Apache-2.0
#include "server/flight/put_stream.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/strings.h"
#include "fletch/v1/flight.pb.h"
#include "server/flight/flight_data.h"
#include "server/flight/ipc_reader.h"
#include "server/flight/put_request.h"
#include "server/rpc/wire.h"

namespace fletch {
namespace {

constexpr size_t kWindow = 8;  // commits of one stream that may share an fsync

absl::StatusOr<grpc::ByteBuffer> Acknowledgement(const WriteReceipt& receipt) {
  v1::WriteResponse response;
  response.set_commit_seq(receipt.commit_seq);
  response.set_commit_time_micros(receipt.commit_time);
  response.set_rows(receipt.rows);
  flight::PutResult result;
  result.set_app_metadata(response.SerializeAsString());
  const grpc::Slice slice(result.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

// A stream has one batch a commit, and its users know nothing of requests: "batches[0].columns.x"
// is their "columns.x".
absl::Status WithoutBatch(const absl::Status& status) {
  constexpr std::string_view kBatch = "batches[0].";
  const std::string field = ErrorField(status);
  if (field.substr(0, kBatch.size()) != kBatch) return status;
  return WithRetryAfterMs(MakeError(status.code(), ErrorReason(status), FromAbsl(status.message()),
                                    field.substr(kBatch.size())),
                          ErrorRetryAfterMs(status));
}

// Of one message's rows, one commit a step.
class PutStream final : public FlightStream {
 public:
  PutStream(Method* method, grpc::CallbackServerContext* context)
      : FlightStream(
            method, context,
            {.where = RunOn::kWrite, .out_messages = kWindow, .ends_when_draining = true}) {}

 private:
  absl::StatusOr<Next> Step(std::vector<grpc::ByteBuffer> input, bool closed) override {
    if (closed) return AtEnd();
    if (!input.empty()) RETURN_IF_ERROR(Take(input.front()));
    if (next_row_ < reader_.row_count()) RETURN_IF_ERROR(Commit());
    return next_row_ < reader_.row_count() ? Next::kMore : Next::kInput;
  }

  absl::Status Take(const grpc::ByteBuffer& message) {
    data_ = std::make_unique<flight::FlightData>();  // the reader refers to its body
    RETURN_IF_ERROR(ParseMessage(message, data_.get()));
    if (!request_.has_value()) RETURN_IF_ERROR(Begin(data_->flight_descriptor()));
    next_row_ = 0;
    if (data_->data_header().empty()) return absl::OkStatus();
    const absl::Status status = reader_.Take(data_->data_header(), data_->data_body()).status();
    return ForFlight(status, StrCat("behind row ", rows_, " of the stream"));
  }

  absl::Status Begin(const flight::FlightDescriptor& descriptor) {
    v1::FlightPut command;
    RETURN_IF_ERROR(ParseDescriptor(descriptor, &command));
    if (command.project().empty()) return InvalidArgument("project is required", "project");
    if (command.feature_view().empty()) {
      return InvalidArgument("feature_view is required", "feature_view");
    }
    v1::GetRequest get;
    get.set_project(command.project());
    get.set_kind(v1::FEATURE_VIEW);
    get.set_name(command.feature_view());
    ASSIGN_OR_RETURN(const v1::GetResponse view, host()->engine()->Get(get));
    ASSIGN_OR_RETURN(request_, PutRequest::Make(command, view.object().feature_view()));
    return absl::OkStatus();
  }

  absl::Status Commit() {
    const size_t count = std::min(request_->rows_per_commit(), reader_.row_count() - next_row_);
    // Rows are counted from the record batch's first by the reader, from the commit's by the
    // engine.
    absl::StatusOr<WriteRequest> request = request_->Rows(reader_, next_row_, count, commits_);
    if (!request.ok()) {
      return ForFlight(request.status(), StrCat("in the record batch that begins with row ",
                                                rows_ - next_row_, " of the stream"));
    }
    const std::string where = StrCat("in the commit of the stream's rows from ", rows_);
    next_row_ += count;
    rows_ += count;
    ++commits_;
    const uint64_t place = Owe();
    auto self = std::static_pointer_cast<PutStream>(shared_from_this());
    host()->engine()->Write(
        *std::move(request), call(), [self, place, where](absl::StatusOr<WriteReceipt> receipt) {
          self->Answer(place, receipt.ok() ? Acknowledgement(*receipt)
                                           : ForFlight(WithoutBatch(receipt.status()), where));
        });
    return absl::OkStatus();
  }

  absl::StatusOr<Next> AtEnd() const {
    if (!request_.has_value()) {
      return InvalidArgument(
          "the stream ended without a descriptor; its command is a fletch.v1.FlightPut",
          "descriptor");
    }
    if (!reader_.has_schema()) return InvalidArgument("the stream ended without a schema");
    return Next::kDone;
  }

  // Touched by steps alone.
  std::optional<PutRequest> request_;
  std::unique_ptr<flight::FlightData> data_;
  IpcReader reader_;
  size_t next_row_ = 0;  // of the batch in the reader
  uint64_t rows_ = 0;    // of the stream, before next_row_
  uint64_t commits_ = 0;
};

}  // namespace

RawBidi* StartPutStream(Method* method, grpc::CallbackServerContext* context) {
  return FlightStream::StartBidi(std::make_shared<PutStream>(method, context));
}

}  // namespace fletch
