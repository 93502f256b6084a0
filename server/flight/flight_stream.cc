// SPDX-License-Identifier: Apache-2.0
#include "server/flight/flight_stream.h"

#include <utility>

#include "base/status.h"
#include "server/flight/flight_data.h"

namespace fletch {
namespace {

class BidiWire final : public RawBidi, public FlightWire {
 public:
  explicit BidiWire(FlightStream* stream) : stream_(stream) {}

 private:
  void Read(grpc::ByteBuffer* into) override { StartRead(into); }
  void Write(const grpc::ByteBuffer* from) override { StartWrite(from); }
  void End(const grpc::Status& status) override { Finish(status); }

  void OnReadDone(bool ok) override { stream_->OnReadDone(ok); }
  void OnWriteDone(bool ok) override { stream_->OnWriteDone(ok); }
  void OnCancel() override { stream_->OnCancel(); }
  void OnDone() override {
    stream_->OnDone();
    delete this;
  }

  FlightStream* const stream_;  // it lives until its OnDone
};

class WriterWire final : public RawWriter, public FlightWire {
 public:
  explicit WriterWire(FlightStream* stream) : stream_(stream) {}

 private:
  void Read(grpc::ByteBuffer*) override {}  // there is nothing to read
  void Write(const grpc::ByteBuffer* from) override { StartWrite(from); }
  void End(const grpc::Status& status) override { Finish(status); }

  void OnWriteDone(bool ok) override { stream_->OnWriteDone(ok); }
  void OnCancel() override { stream_->OnCancel(); }
  void OnDone() override {
    stream_->OnDone();
    delete this;
  }

  FlightStream* const stream_;
};

template <class Reactor>
class FinishedStream final : public Reactor {
 public:
  explicit FinishedStream(const grpc::Status& status) { this->Finish(status); }
  void OnDone() override { delete this; }
};

}  // namespace

RawBidi* FinishedBidi(const grpc::Status& status) { return new FinishedStream<RawBidi>(status); }

RawWriter* FinishedWriter(const grpc::Status& status) {
  return new FinishedStream<RawWriter>(status);
}

FlightStream::FlightStream(Method* method, grpc::CallbackServerContext* context,
                           const Options& options)
    : method_(method),
      context_(context),
      options_(options),
      began_steady_micros_(SteadyMicros()),
      call_(CallOf(context)) {}

absl::Status FlightStream::LetIn(FlightStream* stream) {
  Admission* admission = stream->host()->admission();
  RETURN_IF_ERROR(admission->Enter(0));
  absl::Status status = stream->method_->OpenStream();
  if (!status.ok()) admission->Leave(0);
  return status;
}

void FlightStream::Run(std::shared_ptr<FlightStream> stream, FlightWire* wire, bool reads) {
  FlightStream* raw = stream.get();
  raw->wire_ = wire;
  const uint64_t listener =
      raw->host()->admission()->AddDrainListener([weak = std::weak_ptr<FlightStream>(stream)] {
        if (std::shared_ptr<FlightStream> alive = weak.lock()) alive->OnDrain();
      });
  MutexLock lock(&raw->mu_);
  raw->drain_listener_ = listener;
  raw->client_closed_ = !reads;
  raw->self_ = std::move(stream);
  raw->Pump();
}

RawBidi* FlightStream::StartBidi(std::shared_ptr<FlightStream> stream) {
  if (absl::Status status = LetIn(stream.get()); !status.ok()) {
    return FinishedBidi(
        stream->method_->Ended(*stream->context_, status, stream->began_steady_micros_));
  }
  auto* wire = new BidiWire(stream.get());
  Run(std::move(stream), wire, /*reads=*/true);
  return wire;
}

RawWriter* FlightStream::StartWriter(std::shared_ptr<FlightStream> stream) {
  if (absl::Status status = LetIn(stream.get()); !status.ok()) {
    return FinishedWriter(
        stream->method_->Ended(*stream->context_, status, stream->began_steady_micros_));
  }
  auto* wire = new WriterWire(stream.get());
  Run(std::move(stream), wire, /*reads=*/false);
  return wire;
}

void FlightStream::OnReadDone(bool ok) {
  const std::shared_ptr<FlightStream> self = shared_from_this();
  MutexLock lock(&mu_);
  reading_ = false;
  if (!ok) {
    client_closed_ = true;
  } else if (!draining_ && failure_.ok() && !gone_) {
    method_->CountBytes(in_.Length(), 0);
    input_bytes_ += in_.Length();
    inputs_.push_back(std::move(in_));
    in_.Clear();
  }
  Pump();
  arrived_.NotifyOne();
}

void FlightStream::OnWriteDone(bool ok) {
  const std::shared_ptr<FlightStream> self = shared_from_this();
  MutexLock lock(&mu_);
  writing_ = false;
  out_.Clear();
  if (!ok) gone_ = true;
  Pump();
  arrived_.NotifyOne();
}

void FlightStream::OnCancel() {
  const std::shared_ptr<FlightStream> self = shared_from_this();
  MutexLock lock(&mu_);
  gone_ = true;
  Pump();
  arrived_.NotifyOne();
}

void FlightStream::OnDrain() {
  if (!options_.ends_when_draining) return;
  MutexLock lock(&mu_);
  draining_ = true;
  Pump();
  arrived_.NotifyOne();
}

void FlightStream::OnDone() {
  std::shared_ptr<FlightStream> self;
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

void FlightStream::Send(grpc::ByteBuffer message) {
  MutexLock lock(&mu_);
  slots_.push_back(absl::StatusOr<grpc::ByteBuffer>(std::move(message)));
  Pump();
}

uint64_t FlightStream::Owe() {
  MutexLock lock(&mu_);
  slots_.push_back(std::nullopt);
  ++owed_;
  return first_slot_ + slots_.size() - 1;
}

void FlightStream::Answer(uint64_t place, absl::StatusOr<grpc::ByteBuffer> answer) {
  const std::shared_ptr<FlightStream> self = shared_from_this();
  MutexLock lock(&mu_);
  --owed_;
  failing_ = failing_ || !answer.ok();
  slots_[place - first_slot_] = std::move(answer);  // what is not answered is never taken away
  Pump();
}

void FlightStream::WorkOnNext() {
  std::vector<grpc::ByteBuffer> input;
  bool closed = false;
  {
    MutexLock lock(&mu_);
    Linger();
    if (gone_ || !failure_.ok()) {  // while this waited
      working_ = false;
      Pump();
      return;
    }
    while (next_ == Next::kInput && !inputs_.empty() && input.size() < options_.step_messages) {
      input_bytes_ -= inputs_.front().Length();
      input.push_back(std::move(inputs_.front()));
      inputs_.pop_front();
    }
    closed = next_ == Next::kInput && input.empty() && client_closed_;
    if (!input.empty()) Pump();  // there is room to read again
  }
  const absl::Status alive = call_.Check();
  absl::StatusOr<Next> next = alive.ok() ? Step(std::move(input), closed) : alive;
  MutexLock lock(&mu_);
  working_ = false;
  if (next.ok()) {
    next_ = *next;
  } else {
    failing_ = true;
    slots_.push_back(absl::StatusOr<grpc::ByteBuffer>(ForFlight(next.status())));
  }
  Pump();
}

void FlightStream::Linger() {
  if (options_.linger_ms == 0 || next_ != Next::kInput || inputs_.empty()) return;
  if (ping_pong_ && inputs_.size() == 1) return;
  const int64_t until = SteadyMicros() + options_.linger_ms_max * 1000;
  while (MayRead() && SteadyMicros() < until) {
    const size_t before = inputs_.size();
    while (arrived_.WaitForMs(&mu_, options_.linger_ms) && inputs_.size() == before && MayRead()) {
    }
    if (inputs_.size() == before) break;
  }
  ping_pong_ = inputs_.size() == 1 && !client_closed_;
}

void FlightStream::Pump() {
  if (finished_) return;
  PumpWrite();
  PumpWork();
  PumpRead();
  PumpFinish();
}

void FlightStream::PumpWrite() {
  if (writing_ || gone_ || !failure_.ok() || slots_.empty() || !slots_.front().has_value()) return;
  absl::StatusOr<grpc::ByteBuffer> answer = *std::move(slots_.front());
  slots_.pop_front();
  ++first_slot_;
  if (!answer.ok()) {
    failure_ = answer.status();
    return;
  }
  out_ = *std::move(answer);
  method_->CountBytes(0, out_.Length());
  writing_ = true;
  wire_->Write(&out_);
}

bool FlightStream::CanStep() const {
  if (working_ || failing_ || next_ == Next::kDone || slots_.size() >= options_.out_messages)
    return false;
  if (draining_ && next_ != Next::kMore && inputs_.empty()) return false;
  return next_ == Next::kMore || !inputs_.empty() || client_closed_;
}

void FlightStream::PumpWork() {
  if (gone_ || !failure_.ok()) {
    inputs_.clear();
    input_bytes_ = 0;
    return;
  }
  if (!CanStep()) return;
  working_ = true;
  const absl::Status status =
      host()->Submit(options_.where, [self = shared_from_this()] { self->WorkOnNext(); });
  if (status.ok()) return;
  working_ = false;
  failing_ = true;
  slots_.push_back(absl::StatusOr<grpc::ByteBuffer>(status));
  PumpWrite();
}

bool FlightStream::MayRead() const {
  if (client_closed_ || draining_ || gone_ || !failure_.ok()) return false;
  if (next_ == Next::kDone || inputs_.size() >= options_.in_messages) return false;
  return inputs_.empty() || input_bytes_ < options_.in_bytes;
}

void FlightStream::PumpRead() {
  if (reading_ || !MayRead()) return;
  reading_ = true;
  wire_->Read(&in_);
}

void FlightStream::PumpFinish() {
  if (working_ || writing_ || owed_ > 0) return;
  if (gone_) {
    absl::Status status = call_.Check();
    End(status.ok() ? absl::CancelledError("the client is gone") : status);
  } else if (!failure_.ok()) {
    End(failure_);
  } else if (slots_.empty() && next_ == Next::kDone) {
    End(absl::OkStatus());
  } else if (slots_.empty() && draining_ && inputs_.empty() && next_ == Next::kInput) {
    End(Admission::Draining());
  }
}

void FlightStream::End(const absl::Status& status) {
  finished_ = true;
  wire_->End(method_->Ended(*context_, status, began_steady_micros_));
}

}  // namespace fletch
