// SPDX-License-Identifier: Apache-2.0
#include "write_stream.h"

#include <algorithm>
#include <utility>

#include "grpc_errors.h"

namespace fletch::client {
namespace {

WriteAck ToAck(v1::WriteStreamResponse& response) {
  WriteAck ack{.index = response.index()};
  ack.result.Swap(response.mutable_result());
  if (response.code() != 0) {
    ack.status = WithDetails(
        absl::Status(static_cast<absl::StatusCode>(response.code()), response.message()),
        response.reason(), response.field());
  }
  return ack;
}

void Count(const WriteAck& ack, WriteSummary& summary) {
  if (!ack.status.ok()) {
    ++summary.requests_refused;
    if (summary.first_refusal.ok()) summary.first_refusal = ack.status;
    return;
  }
  ++summary.requests_committed;
  summary.rows_committed += ack.result.rows();
  summary.last_commit_seq = std::max(summary.last_commit_seq, ack.result.commit_seq());
}

}  // namespace

WriteStream::Impl::Impl(v1::IngestService::Stub& stub, std::string project,
                        WriteStreamOptions options)
    : project_(std::move(project)), options_(std::move(options)) {
  stream_ = stub.WriteStream(&context_);
  reader_ = std::thread([this] { ReadAcks(); });
}

WriteStream::Impl::~Impl() {
  if (!reader_.joinable()) return;
  context_.TryCancel();
  End().IgnoreError();
}

void WriteStream::Impl::ReadAcks() {
  v1::WriteStreamResponse response;
  while (stream_->Read(&response)) {
    const WriteAck ack = ToAck(response);
    {
      std::lock_guard lock(mutex_);
      Count(ack, summary_);
      ++acks_;
    }
    acked_.notify_all();
    if (options_.on_ack) options_.on_ack(ack);
  }
  std::lock_guard lock(mutex_);
  ended_ = true;
  acked_.notify_all();
}

absl::Status WriteStream::Impl::Send(v1::WriteRequest request) {
  if (request.project().empty()) request.set_project(project_);
  bool ended = false;
  {
    std::unique_lock lock(mutex_);
    const uint64_t in_flight_max = std::max<uint64_t>(options_.in_flight_max, 1);
    acked_.wait(lock, [&] { return ended_ || sent_ - acks_ < in_flight_max; });
    ended = ended_;
    if (!ended) ++sent_;
  }
  if (!ended && stream_->Write(request)) return absl::OkStatus();
  absl::Status status = reader_.joinable() ? End() : absl::OkStatus();
  if (!status.ok()) return status;
  return absl::FailedPreconditionError("the write stream has ended; open another");
}

WriteSummary WriteStream::Impl::Progress() const {
  std::lock_guard lock(mutex_);
  return summary_;
}

absl::Status WriteStream::Impl::End() {
  if (!std::exchange(writes_done_, true)) stream_->WritesDone();
  reader_.join();
  return FromGrpc(stream_->Finish());
}

absl::StatusOr<WriteSummary> WriteStream::Impl::Finish() {
  if (!reader_.joinable()) {
    return absl::FailedPreconditionError("the write stream has ended already");
  }
  if (absl::Status status = End(); !status.ok()) return status;
  std::lock_guard lock(mutex_);
  if (acks_ == sent_) return summary_;
  return absl::UnavailableError(
      "the daemon ended the write stream before its last acknowledgement");
}

WriteStream::WriteStream(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
WriteStream::~WriteStream() = default;
WriteStream::WriteStream(WriteStream&&) noexcept = default;
WriteStream& WriteStream::operator=(WriteStream&&) noexcept = default;

absl::Status WriteStream::Send(v1::WriteRequest request) { return impl_->Send(std::move(request)); }
WriteSummary WriteStream::Progress() const { return impl_->Progress(); }
absl::StatusOr<WriteSummary> WriteStream::Finish() { return impl_->Finish(); }

}  // namespace fletch::client
