// SPDX-License-Identifier: Apache-2.0
#include "load.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>

namespace fletch::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

[[noreturn]] void Fail(const grpc::Status& status) {
  std::fprintf(stderr, "fletch-bench: a call failed: %d %s\n",
               static_cast<int>(status.error_code()), status.error_message().c_str());
  std::exit(1);
}

std::shared_ptr<grpc::Channel> Connect(const Server& server) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(server.address(), grpc::InsecureChannelCredentials(), arguments);
}

// All calls in flight; each lane has one.
class Loop {
 public:
  Loop(const Server& server, const Load& load)
      : load_(load), stub_(Connect(server)), lanes_(load.in_flight) {
    for (const std::string& request : load.requests) requests_.push_back(ToBuffer(request));
  }

  std::vector<double> Run() {
    until_ = SteadyClock::now() + std::chrono::duration_cast<SteadyClock::duration>(
                                      std::chrono::duration<double>(load_.seconds));
    running_ = lanes_.size();
    for (Lane& lane : lanes_) Start(&lane);
    std::unique_lock<std::mutex> lock(mu_);
    done_.wait(lock, [&] { return running_ == 0; });
    std::vector<double> micros;
    for (const Lane& lane : lanes_)
      micros.insert(micros.end(), lane.micros.begin(), lane.micros.end());
    return micros;
  }

 private:
  struct Lane {
    std::unique_ptr<grpc::ClientContext> context;
    grpc::ByteBuffer response;
    SteadyClock::time_point started;
    std::vector<double> micros;
  };

  void Start(Lane* lane) {
    lane->context = std::make_unique<grpc::ClientContext>();
    lane->started = SteadyClock::now();
    const grpc::ByteBuffer& request = requests_[next_.fetch_add(1) % requests_.size()];
    stub_.UnaryCall(lane->context.get(), load_.method, grpc::StubOptions(), &request,
                    &lane->response, [this, lane](grpc::Status status) { Done(lane, status); });
  }

  void Done(Lane* lane, const grpc::Status& status) {
    if (!status.ok()) Fail(status);
    const auto now = SteadyClock::now();
    lane->micros.push_back(std::chrono::duration<double, std::micro>(now - lane->started).count());
    if (now < until_) return Start(lane);
    std::lock_guard<std::mutex> lock(mu_);
    if (--running_ == 0) done_.notify_one();
  }

  const Load& load_;
  grpc::GenericStub stub_;
  std::vector<grpc::ByteBuffer> requests_;
  std::vector<Lane> lanes_;
  std::atomic<size_t> next_{0};
  SteadyClock::time_point until_;
  std::mutex mu_;
  std::condition_variable done_;
  size_t running_ = 0;
};

double Quantile(std::vector<double>* values, double q) {
  const size_t at =
      std::min(values->size() - 1, static_cast<size_t>(q * static_cast<double>(values->size())));
  std::nth_element(values->begin(), values->begin() + static_cast<ptrdiff_t>(at), values->end());
  return (*values)[at];
}

}  // namespace

LoadResult RunLoad(const Server& server, const Load& load) {
  const double cpu = server.CpuMicros();
  const auto start = SteadyClock::now();
  std::vector<double> micros = Loop(server, load).Run();
  const double seconds = std::chrono::duration<double>(SteadyClock::now() - start).count();
  const double calls = static_cast<double>(micros.size());
  return {micros.size(),           calls / seconds,         (server.CpuMicros() - cpu) / calls,
          Quantile(&micros, 0.50), Quantile(&micros, 0.99), Quantile(&micros, 0.999)};
}

std::string CallOnce(const Server& server, const std::string& method, const std::string& request) {
  grpc::GenericStub stub(Connect(server));
  grpc::ClientContext context;
  grpc::ByteBuffer response, sent = ToBuffer(request);
  std::mutex mu;
  std::condition_variable cv;
  bool finished = false;
  grpc::Status result;
  stub.UnaryCall(&context, method, grpc::StubOptions(), &sent, &response, [&](grpc::Status status) {
    std::lock_guard<std::mutex> lock(mu);
    result = status;
    finished = true;
    cv.notify_one();
  });
  std::unique_lock<std::mutex> lock(mu);
  cv.wait(lock, [&] { return finished; });
  if (!result.ok()) Fail(result);
  std::vector<grpc::Slice> slices;
  if (grpc::Status status = response.Dump(&slices); !status.ok()) Fail(status);
  std::string bytes;
  for (const grpc::Slice& slice : slices)
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

}  // namespace fletch::bench
