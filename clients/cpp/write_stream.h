// SPDX-License-Identifier: Apache-2.0
// The inside of WriteStream.
#ifndef FLETCH_CLIENTS_CPP_WRITE_STREAM_H_
#define FLETCH_CLIENTS_CPP_WRITE_STREAM_H_

#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "fletch/client.h"
#include "fletch/v1/ingest.grpc.pb.h"

namespace fletch::client {

// One thread sends, a second reads acknowledgements, so that neither side's flow control can block
// the other.
class WriteStream::Impl {
 public:
  Impl(v1::IngestService::Stub& stub, std::string project, WriteStreamOptions options);
  ~Impl();

  absl::Status Send(v1::WriteRequest request);
  WriteSummary Progress() const;
  absl::StatusOr<WriteSummary> Finish();

 private:
  void ReadAcks();
  absl::Status End();

  const std::string project_;
  const WriteStreamOptions options_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::WriteRequest, v1::WriteStreamResponse>> stream_;
  std::thread reader_;
  bool writes_done_ = false;  // the sender's

  mutable std::mutex mutex_;
  std::condition_variable acked_;  // mutex_ guards the rest
  uint64_t sent_ = 0;
  uint64_t acks_ = 0;
  bool ended_ = false;
  WriteSummary summary_;
};

}  // namespace fletch::client

#endif  // FLETCH_CLIENTS_CPP_WRITE_STREAM_H_
