// SPDX-License-Identifier: Apache-2.0
// The transport limit: the same raw callback method as the daemon's, which answers fixed bytes.
#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <cstdio>
#include <fstream>
#include <iterator>

#include "fletch/v1/serving.grpc.pb.h"
#include "report.h"

namespace fletch::bench {
namespace {

class EchoService : public v1::ServingService::WithRawCallbackMethod_GetOnlineFeatures<
                        v1::ServingService::Service> {
 public:
  explicit EchoService(const std::string& reply) : reply_(reply) {}

  grpc::ServerUnaryReactor* GetOnlineFeatures(grpc::CallbackServerContext* context,
                                              const grpc::ByteBuffer*,
                                              grpc::ByteBuffer* response) override {
    grpc::Slice copy(reply_.data(), reply_.size());
    *response = grpc::ByteBuffer(&copy, 1);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  const std::string reply_;
};

}  // namespace

int RunEchoServer(const std::string& reply_file, const std::string& port_file) {
  std::ifstream in(reply_file, std::ios::binary);
  EchoService service(std::string((std::istreambuf_iterator<char>(in)), {}));
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetMaxReceiveMessageSize(64 << 20);
  builder.RegisterService(&service);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  std::ofstream(port_file) << "127.0.0.1:" << port << std::endl;
  int signal = 0;
  sigwait(&signals, &signal);
  server->Shutdown();
  return 0;
}

}  // namespace fletch::bench
