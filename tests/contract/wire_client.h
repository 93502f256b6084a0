// SPDX-License-Identifier: Apache-2.0
// Calls with raw bytes, and errors with all their details.
#ifndef FLETCH_TESTS_CONTRACT_WIRE_CLIENT_H_
#define FLETCH_TESTS_CONTRACT_WIRE_CLIENT_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/sync_stream.h>

#include <memory>
#include <optional>
#include <string>

namespace fletch {

// How a call ended.
struct Outcome {
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string message;
  std::string reason;  // of ErrorInfo
  std::string field;   // of BadRequest
  int64_t retry_ms = 0;
  std::string bytes;  // of the answer

  // "OUT_OF_RANGE-like" text for a failed expectation.
  std::string Text() const;
};

Outcome ToOutcome(const grpc::Status& status);

class WireClient {
 public:
  explicit WireClient(const std::string& address);

  // `method` as "/fletch.v1.IngestService/Write". Deadline 20 s unless given.
  Outcome Unary(const std::string& method, const std::string& bytes, int deadline_ms = 20'000);

  template <class Message>
  Outcome Ask(const std::string& method, const Message& request) {
    return Unary(method, request.SerializeAsString());
  }
  // The answer, parsed; an error leaves it empty.
  template <class Answer, class Message>
  Answer Get(const std::string& method, const Message& request) {
    Answer answer;
    answer.ParseFromString(Ask(method, request).bytes);
    return answer;
  }

  // A bidirectional stream.
  class Stream {
   public:
    Stream(const std::shared_ptr<grpc::Channel>& channel, const std::string& method);
    ~Stream();
    bool Write(const std::string& bytes);
    // nullopt: the stream has ended.
    std::optional<std::string> Read();
    void WritesDone();
    Outcome Finish();

   private:
    grpc::ClientContext context_;
    std::string method_;
    std::unique_ptr<grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>> stream_;
    bool finished_ = false;
  };
  std::unique_ptr<Stream> Open(const std::string& method);

 private:
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace fletch

#endif  // FLETCH_TESTS_CONTRACT_WIRE_CLIENT_H_
