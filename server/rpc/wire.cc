// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/wire.h"

#include <google/protobuf/stubs/logging.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/slice.h>

#include <cstdint>
#include <string>

#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"

namespace fletch {
namespace {

constexpr size_t kBlockBytes = 64u << 10;  // a request of 1,000 keys and its answer
alignas(16) thread_local char thread_block[kBlockBytes];
thread_local bool thread_block_taken = false;

// Protobuf tells which field is not UTF-8 only in its log.
thread_local std::string last_complaint;

void KeepComplaint(google::protobuf::LogLevel level, const char*, int, const std::string& text) {
  if (level == google::protobuf::LOGLEVEL_ERROR) {
    last_complaint = text;
  } else if (level == google::protobuf::LOGLEVEL_FATAL) {
    Log(LogLevel::kError, "protobuf failed", {{"detail", text}});
  }
}

google::protobuf::ArenaOptions Options(bool with_block) {
  google::protobuf::ArenaOptions options;
  options.max_block_size = 1u << 20;
  if (with_block) {
    options.initial_block = thread_block;
    options.initial_block_size = kBlockBytes;
  }
  return options;
}

absl::Status Malformed(const google::protobuf::MessageLite& message) {
  // "String field 'fletch.v1.GetRequest.project' contains invalid UTF-8 data …"
  const size_t begin = last_complaint.find('\'');
  const size_t end = last_complaint.find('\'', begin + 1);
  if (begin != std::string::npos && end != std::string::npos) {
    const std::string field = last_complaint.substr(begin + 1, end - begin - 1);
    return MakeError(absl::StatusCode::kInvalidArgument, "MALFORMED_MESSAGE",
                     StrCat("field ", field,
                            " is not valid UTF-8; strings are UTF-8 text, "
                            "other bytes belong into a field of type bytes"));
  }
  return MakeError(absl::StatusCode::kInvalidArgument, "MALFORMED_MESSAGE",
                   StrCat("the request is not a ", message.GetTypeName(),
                          ": its bytes are cut short, nested too deeply or no protobuf"));
}

}  // namespace

MessageArena::MessageArena() : owns_block_(!thread_block_taken), arena_(Options(owns_block_)) {
  thread_block_taken = true;
}

MessageArena::~MessageArena() {
  arena_.Reset();
  if (owns_block_) thread_block_taken = false;
}

absl::Status ParseMessage(const grpc::ByteBuffer& bytes, google::protobuf::MessageLite* message) {
  last_complaint.clear();
  grpc::Slice slice;
  if (bytes.TrySingleSlice(&slice).ok()) {
    if (message->ParseFromArray(slice.begin(), static_cast<int>(slice.size()))) {
      return absl::OkStatus();
    }
    return Malformed(*message);
  }
  grpc::ByteBuffer copy = bytes;  // shares the slices; the reader wants a mutable buffer
  grpc::ProtoBufferReader reader(&copy);
  if (reader.status().ok() && message->ParseFromZeroCopyStream(&reader)) return absl::OkStatus();
  return Malformed(*message);
}

absl::Status SerializeMessage(const google::protobuf::MessageLite& message, size_t max_bytes,
                              grpc::ByteBuffer* bytes) {
  const size_t size = message.ByteSizeLong();
  if (size > max_bytes) {
    return MakeError(absl::StatusCode::kResourceExhausted, "MESSAGE_TOO_LARGE",
                     StrCat("the answer has ", size, " bytes, max_message is ", max_bytes,
                            "; ask for fewer rows or features at a time"));
  }
  grpc::Slice slice(size);
  message.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(slice.begin()));
  *bytes = grpc::ByteBuffer(&slice, 1);
  return absl::OkStatus();
}

void CaptureProtobufLog() { google::protobuf::SetLogHandler(&KeepComplaint); }

}  // namespace fletch
