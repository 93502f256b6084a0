// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/write_stream.h"

#include <memory>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/strings.h"
#include "fletch/v1/ingest.pb.h"
#include "server/rpc/convert.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/wire.h"

namespace fletch {
namespace {

constexpr size_t kWindow = 8;  // commits of one stream that may share an fsync

class WriteStream final : public OrderedStream {
 public:
  WriteStream(Method* method, grpc::CallbackServerContext* context)
      : OrderedStream(method, context,
                      {.where = RunOn::kWrite, .window = kWindow, .ends_when_draining = true}) {}

 private:
  void Work(uint64_t index, std::vector<grpc::ByteBuffer> messages) override {
    MessageArena arena;
    auto* proto = arena.New<v1::WriteRequest>();
    absl::StatusOr<WriteRequest> request = Read(messages[0], proto);
    if (!request.ok()) return Answer(index, Acknowledge(index, request.status()));
    auto self = std::static_pointer_cast<WriteStream>(shared_from_this());
    host()->engine()->Write(*request, call(), [self, index](absl::StatusOr<WriteReceipt> receipt) {
      self->Answer(index, self->Acknowledge(index, receipt));
    });
  }

  absl::StatusOr<WriteRequest> Read(const grpc::ByteBuffer& message, v1::WriteRequest* proto) {
    RETURN_IF_ERROR(call().Check());
    RETURN_IF_ERROR(ParseMessage(message, proto));
    return ToEngine(proto);
  }

  absl::StatusOr<grpc::ByteBuffer> Refusal(uint64_t index, const absl::Status& status) override {
    return Acknowledge(index, status);
  }

  absl::StatusOr<grpc::ByteBuffer> Acknowledge(uint64_t index,
                                               const absl::StatusOr<WriteReceipt>& receipt) {
    v1::WriteStreamResponse out;
    out.set_index(index);
    if (receipt.ok()) {
      out.mutable_result()->set_commit_seq(receipt->commit_seq);
      out.mutable_result()->set_commit_time_micros(receipt->commit_time);
      out.mutable_result()->set_rows(receipt->rows);
    } else {
      out.set_code(static_cast<int32_t>(receipt.status().code()));
      out.set_message(CutText(FromAbsl(receipt.status().message()), kMaxErrorMessageBytes));
      out.set_reason(ReasonOf(receipt.status()));
      out.set_field(CutText(ErrorField(receipt.status()), kMaxErrorFieldBytes));
    }
    grpc::ByteBuffer bytes;
    RETURN_IF_ERROR(SerializeMessage(out, host()->options().max_message_bytes, &bytes));
    return bytes;
  }
};

}  // namespace

RawBidiReactor* StartWriteStream(Method* method, grpc::CallbackServerContext* context) {
  return OrderedStream::Start(std::make_shared<WriteStream>(method, context));
}

}  // namespace fletch
