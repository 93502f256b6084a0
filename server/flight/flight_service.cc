// SPDX-License-Identifier: Apache-2.0
#include "server/flight/flight_service.h"

#include <memory>
#include <utility>

#include "base/status.h"
#include "base/strings.h"
#include "server/flight/flight_data.h"
#include "server/flight/flight_stream.h"
#include "server/flight/flight_wire.grpc.pb.h"
#include "server/flight/get_source.h"
#include "server/flight/ipc_schema.h"
#include "server/flight/join_exchange.h"
#include "server/flight/put_stream.h"
#include "server/rpc/wire.h"

namespace fletch {
namespace {

using Context = grpc::CallbackServerContext;
using Bytes = grpc::ByteBuffer;
using Service = flight::FlightService;
using RawService =
    Service::WithRawCallbackMethod_Handshake<Service::WithRawCallbackMethod_ListFlights<
        Service::WithRawCallbackMethod_GetFlightInfo<Service::WithRawCallbackMethod_GetSchema<
            Service::WithRawCallbackMethod_DoGet<Service::WithRawCallbackMethod_DoPut<
                Service::WithRawCallbackMethod_DoExchange<Service::WithRawCallbackMethod_DoAction<
                    Service::WithRawCallbackMethod_ListActions<Service::Service>>>>>>>>>;

class GetStream final : public FlightStream {
 public:
  GetStream(Method* method, Context* context, Bytes request)
      : FlightStream(method, context, {.where = RunOn::kJoin}), request_(std::move(request)) {}

 private:
  absl::StatusOr<Next> Step(std::vector<Bytes>, bool) override {
    if (source_ == nullptr) {
      RETURN_IF_ERROR(Begin());
      return Next::kMore;
    }
    ASSIGN_OR_RETURN(const bool more,
                     source_->SendNext(host()->options().max_message_bytes,
                                       [this](Bytes message) { Send(std::move(message)); }));
    return more ? Next::kMore : Next::kDone;
  }

  absl::Status Begin() {
    flight::Ticket message;
    RETURN_IF_ERROR(ParseMessage(request_, &message));
    v1::FlightTicket ticket;
    RETURN_IF_ERROR(ParseCommand(message.ticket(), "ticket", &ticket));
    ASSIGN_OR_RETURN(source_, MakeGetSource(host()->engine(), call(), ticket));
    ASSIGN_OR_RETURN(const std::string schema, source_->Schema());
    Send(SchemaData(schema));
    return absl::OkStatus();
  }

  const Bytes request_;
  std::unique_ptr<GetSource> source_;  // touched by steps alone
};

struct Described {
  std::string schema;  // encapsulated
  int64_t row_count = -1;
};

absl::StatusOr<Described> Describe(RpcHost* host, const flight::FlightDescriptor& descriptor,
                                   const Call& call) {
  v1::FlightTicket ticket;
  RETURN_IF_ERROR(ParseDescriptor(descriptor, &ticket));
  ASSIGN_OR_RETURN(const std::unique_ptr<GetSource> source,
                   MakeGetSource(host->engine(), call, ticket));
  ASSIGN_OR_RETURN(const std::string schema, source->Schema());
  return Described{Encapsulated(schema), source->row_count()};
}

class FlightRpc final : public RawService {
 public:
  explicit FlightRpc(RpcHost* host)
      : get_flight_info_(host, "FlightService/GetFlightInfo"),
        get_schema_(host, "FlightService/GetSchema"),
        do_get_(host, "FlightService/DoGet"),
        do_put_(host, "FlightService/DoPut"),
        do_exchange_(host, "FlightService/DoExchange") {}

  RawBidi* Handshake(Context*) override {
    return FinishedBidi({grpc::StatusCode::UNIMPLEMENTED,
                         "this daemon asks for no credentials; leave the handshake out"});
  }
  RawWriter* ListFlights(Context*, const Bytes*) override {
    return FinishedWriter(grpc::Status::OK);
  }
  RawWriter* ListActions(Context*, const Bytes*) override {
    return FinishedWriter(grpc::Status::OK);
  }
  RawWriter* DoAction(Context*, const Bytes*) override {
    return FinishedWriter({grpc::StatusCode::UNIMPLEMENTED,
                           "there are no actions; what is not DoExchange, DoPut or DoGet is one of "
                           "the fletch.v1 services on this port"});
  }

  grpc::ServerUnaryReactor* GetFlightInfo(Context* context, const Bytes* in, Bytes* out) override {
    RpcHost* host = get_flight_info_.host();
    return Serve<flight::FlightDescriptor, flight::FlightInfo>(
        &get_flight_info_, RunOn::kRead, context, in, out,
        [host](const flight::FlightDescriptor& descriptor, const Call& call,
               flight::FlightInfo* info) -> absl::Status {
          absl::StatusOr<Described> described = Describe(host, descriptor, call);
          if (!described.ok()) return ForFlight(described.status());
          info->set_schema(std::move(described->schema));
          *info->mutable_flight_descriptor() = descriptor;
          info->add_endpoint()->mutable_ticket()->set_ticket(descriptor.cmd());
          info->set_total_records(described->row_count);
          info->set_total_bytes(-1);
          return absl::OkStatus();
        });
  }
  grpc::ServerUnaryReactor* GetSchema(Context* context, const Bytes* in, Bytes* out) override {
    RpcHost* host = get_schema_.host();
    return Serve<flight::FlightDescriptor, flight::SchemaResult>(
        &get_schema_, RunOn::kRead, context, in, out,
        [host](const flight::FlightDescriptor& descriptor, const Call& call,
               flight::SchemaResult* result) -> absl::Status {
          absl::StatusOr<Described> described = Describe(host, descriptor, call);
          if (!described.ok()) return ForFlight(described.status());
          result->set_schema(std::move(described->schema));
          return absl::OkStatus();
        });
  }

  RawWriter* DoGet(Context* context, const Bytes* in) override {
    return FlightStream::StartWriter(std::make_shared<GetStream>(&do_get_, context, *in));
  }
  RawBidi* DoPut(Context* context) override { return StartPutStream(&do_put_, context); }
  RawBidi* DoExchange(Context* context) override {
    return StartJoinExchange(&do_exchange_, context);
  }

 private:
  Method get_flight_info_;
  Method get_schema_;
  Method do_get_;
  Method do_put_;
  Method do_exchange_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<GetSource>> MakeGetSource(Engine* engine, const Call& call,
                                                         const v1::FlightTicket& ticket) {
  absl::StatusOr<std::unique_ptr<GetSource>> source;
  switch (ticket.what_case()) {
    case v1::FlightTicket::kHistory:
      source = MakeHistorySource(engine, call, ticket.history());
      if (!source.ok()) return PrefixField(source.status(), "history");
      return source;
    case v1::FlightTicket::kTrainingSet:
      return MakeTrainingSetSource(engine, call, ticket.training_set());
    case v1::FlightTicket::WHAT_NOT_SET:
      break;
  }
  return InvalidArgument("the ticket names nothing; give history or training_set", "ticket");
}

NamedService MakeFlightService(RpcHost* host) {
  return {"arrow.flight.protocol.FlightService", std::make_unique<FlightRpc>(host)};
}

}  // namespace fletch
