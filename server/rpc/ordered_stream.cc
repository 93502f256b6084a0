// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/ordered_stream.h"

#include <utility>

#include "base/status.h"

namespace fletch {
namespace {

// A stream that was not let in.
class RefusedStream final : public RawBidiReactor {
 public:
  explicit RefusedStream(grpc::Status status) { Finish(std::move(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

OrderedStream::OrderedStream(Method* method, grpc::CallbackServerContext* context,
                             const Options& options)
    : method_(method),
      context_(context),
      options_(options),
      began_steady_micros_(SteadyMicros()),
      call_(CallOf(context)) {}

RawBidiReactor* OrderedStream::Start(std::shared_ptr<OrderedStream> stream) {
  Method* method = stream->method_;
  Admission* admission = method->host()->admission();
  absl::Status status = admission->Enter(0);
  if (status.ok()) {
    status = method->OpenStream();
    if (!status.ok()) admission->Leave(0);
  }
  if (!status.ok()) {
    return new RefusedStream(
        method->Ended(*stream->context_, status, stream->began_steady_micros_));
  }
  OrderedStream* raw = stream.get();
  const uint64_t listener =
      admission->AddDrainListener([weak = std::weak_ptr<OrderedStream>(stream)] {
        if (std::shared_ptr<OrderedStream> alive = weak.lock()) alive->OnDrain();
      });
  MutexLock lock(&raw->mu_);
  raw->drain_listener_ = listener;
  raw->self_ = std::move(stream);
  raw->Pump();
  return raw;
}

void OrderedStream::OnReadDone(bool ok) {
  const std::shared_ptr<OrderedStream> self = shared_from_this();
  MutexLock lock(&mu_);
  reading_ = false;
  if (!ok) {
    client_closed_ = true;
  } else if (!draining_ && failure_.ok() && !gone_) {
    const size_t bytes = in_.Length();
    method_->CountBytes(bytes, 0);
    slots_.push_back({bytes, std::nullopt});
    slot_bytes_ += bytes;
    inputs_.push_back(std::move(in_));
    in_.Clear();
  }
  arrived_.NotifyOne();
  Pump();
}

void OrderedStream::OnWriteDone(bool ok) {
  const std::shared_ptr<OrderedStream> self = shared_from_this();
  MutexLock lock(&mu_);
  writing_ = false;
  out_.Clear();
  if (!ok) gone_ = true;
  Pump();
}

void OrderedStream::OnCancel() {
  const std::shared_ptr<OrderedStream> self = shared_from_this();
  MutexLock lock(&mu_);
  gone_ = true;
  arrived_.NotifyOne();
  Pump();
}

void OrderedStream::OnDrain() {
  if (!options_.ends_when_draining) return;
  MutexLock lock(&mu_);
  draining_ = true;
  Pump();
}

void OrderedStream::OnDone() {
  std::shared_ptr<OrderedStream> self;
  uint64_t listener = 0;
  {
    MutexLock lock(&mu_);
    self = std::move(self_);
    listener = drain_listener_;
  }
  Admission* admission = host()->admission();
  admission->RemoveDrainListener(listener);
  method_->CloseStream();
  admission->Leave(0);
}

void OrderedStream::Answer(uint64_t index, absl::StatusOr<grpc::ByteBuffer> answer) {
  const std::shared_ptr<OrderedStream> self = shared_from_this();
  MutexLock lock(&mu_);
  --owed_;
  SetAnswer(index, std::move(answer));
  Pump();
}

void OrderedStream::SetAnswer(uint64_t index, absl::StatusOr<grpc::ByteBuffer> answer) {
  if (index < first_slot_ || index - first_slot_ >= slots_.size())
    return;  // the stream failed before
  slots_[index - first_slot_].answer = std::move(answer);
  ++answered_;
}

bool OrderedStream::WantsAnswer() {
  MutexLock lock(&mu_);
  return !Broken() && answered_ < options_.unsent;
}

void OrderedStream::WorkOnNext() {
  std::vector<grpc::ByteBuffer> messages;
  uint64_t first = 0;
  bool resumes = false;
  {
    MutexLock lock(&mu_);
    resumes = Resumes();
    if (!resumes) {
      Linger();
      first = NextInput();
      messages = TakeGroup();
    }
  }
  if (resumes) {
    Resume();
  } else if (!messages.empty()) {  // empty: the stream failed while this waited for its thread
    Work(first, std::move(messages));
  }
  MutexLock lock(&mu_);
  working_ = false;
  Pump();
}

std::vector<grpc::ByteBuffer> OrderedStream::TakeGroup() {
  std::vector<grpc::ByteBuffer> messages;
  const size_t most = NextInput() == 0 ? 1 : options_.group;
  while (!inputs_.empty() && messages.size() < most) {
    messages.push_back(std::move(inputs_.front()));
    inputs_.pop_front();
  }
  owed_ += messages.size();
  return messages;
}

void OrderedStream::Linger() {
  if (options_.linger_ms == 0 || NextInput() == 0) return;
  if (ping_pong_ && inputs_.size() == 1) return;
  const int64_t until = SteadyMicros() + options_.max_linger_ms * 1000;
  while (MayRead() && SteadyMicros() < until) {
    const size_t before = inputs_.size();
    while (arrived_.WaitForMs(&mu_, options_.linger_ms) && inputs_.size() == before && MayRead()) {
    }
    if (inputs_.size() == before) break;
  }
  ping_pong_ = inputs_.size() == 1 && !client_closed_;
}

void OrderedStream::Pump() {
  if (finished_) return;
  PumpWrite();
  PumpWork();
  PumpRead();
  PumpFinish();
}

void OrderedStream::PumpWrite() {
  if (writing_ || Broken() || slots_.empty() || !slots_.front().answer) return;
  absl::StatusOr<grpc::ByteBuffer> answer = *std::move(slots_.front().answer);
  if (!answer.ok()) {
    failure_ = answer.status();
    arrived_.NotifyOne();
    return;
  }
  --answered_;
  slot_bytes_ -= slots_.front().request_bytes;
  slots_.pop_front();
  ++first_slot_;
  out_ = *std::move(answer);
  method_->CountBytes(0, out_.Length());
  writing_ = true;
  StartWrite(&out_);
}

void OrderedStream::PumpWork() {
  if (Broken()) {
    inputs_.clear();
    return;
  }
  if (working_) return;
  if (Resumes() ? answered_ >= options_.unsent : inputs_.empty()) return;
  working_ = true;
  const absl::Status status =
      host()->Submit(options_.where, [self = shared_from_this()] { self->WorkOnNext(); });
  if (status.ok()) return;
  working_ = false;
  const uint64_t index = Resumes() ? NextInput() - owed_ : NextInput();
  if (Resumes()) {
    --owed_;
  } else {
    inputs_.pop_front();
  }
  SetAnswer(index, Refusal(index, status));
  PumpWrite();
}

bool OrderedStream::MayRead() const {
  if (client_closed_ || draining_ || Broken()) return false;
  if (slots_.size() >= options_.window) return false;
  return slots_.empty() || slot_bytes_ < options_.window_bytes;
}

void OrderedStream::PumpRead() {
  if (reading_ || !MayRead()) return;
  reading_ = true;
  StartRead(&in_);
}

void OrderedStream::PumpFinish() {
  if (working_ || writing_) return;
  if (owed_ > 0 && !(Resumes() && Broken())) return;  // nobody but Resume would answer
  if (gone_) {
    absl::Status status = call_.Check();
    End(status.ok() ? absl::CancelledError("the client is gone") : status);
  } else if (!failure_.ok()) {
    End(failure_);
  } else if (slots_.empty() && (client_closed_ || draining_)) {
    End(client_closed_ ? AtEnd(first_slot_) : Admission::Draining());
  }
}

void OrderedStream::End(const absl::Status& status) {
  finished_ = true;
  Finish(method_->Ended(*context_, status, began_steady_micros_));
}

}  // namespace fletch
