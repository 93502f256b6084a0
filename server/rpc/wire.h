// SPDX-License-Identifier: Apache-2.0
// Messages to and from the bytes that gRPC carries.
#ifndef FLETCH_SERVER_RPC_WIRE_H_
#define FLETCH_SERVER_RPC_WIRE_H_

#include <google/protobuf/arena.h>
#include <google/protobuf/message_lite.h>
#include <grpcpp/support/byte_buffer.h>

#include "absl/status/status.h"

namespace fletch {

// An arena whose first block is the thread's own, so that a small message allocates nothing. Not
// thread-safe; goes out of scope on the thread that made it.
class MessageArena {
 public:
  MessageArena();
  ~MessageArena();
  MessageArena(const MessageArena&) = delete;
  MessageArena& operator=(const MessageArena&) = delete;

  template <class Message>
  Message* New() {
    return google::protobuf::Arena::CreateMessage<Message>(&arena_);
  }

 private:
  const bool owns_block_;  // false: another MessageArena of this thread has the block
  google::protobuf::Arena arena_;
};

// Fills `message` from `bytes`. INVALID_ARGUMENT (MALFORMED_MESSAGE) says whether the bytes are no
// such message, or which field is not UTF-8.
absl::Status ParseMessage(const grpc::ByteBuffer& bytes, google::protobuf::MessageLite* message);

// RESOURCE_EXHAUSTED (MESSAGE_TOO_LARGE) beyond `max_bytes`, which clients are told to accept.
absl::Status SerializeMessage(const google::protobuf::MessageLite& message, size_t max_bytes,
                              grpc::ByteBuffer* bytes);

// Protobuf prints its complaints about input to standard error unless this is called once, before
// any message is parsed; ParseMessage then learns from them which field was not UTF-8.
void CaptureProtobufLog();

}  // namespace fletch

#endif  // FLETCH_SERVER_RPC_WIRE_H_
