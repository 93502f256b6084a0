// SPDX-License-Identifier: Apache-2.0
#include "server/flight/flight_data.h"

#include <google/protobuf/io/coded_stream.h>
#include <grpcpp/support/slice.h>

#include <cstring>
#include <string>
#include <utility>

#include "base/status.h"
#include "base/strings.h"

namespace fletch {
namespace {

using google::protobuf::io::CodedOutputStream;

constexpr size_t kAlignment = 8;  // of buffers; Arrow warns of less
constexpr uint32_t kBodyTag = flight::FlightData::kDataBodyFieldNumber << 3 | 2;

}  // namespace

grpc::ByteBuffer SchemaData(std::string_view header) {
  flight::FlightData data;
  data.set_data_header(std::string(header));
  const grpc::Slice slice(data.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

grpc::ByteBuffer BatchData(const IpcBatchWriter& batch, std::string_view app_metadata) {
  const auto body_size = static_cast<uint32_t>(batch.body_size());
  const size_t tag_size =
      CodedOutputStream::VarintSize32(kBodyTag) + CodedOutputStream::VarintSize32(body_size);
  // Zeros behind a FlatBuffer say nothing; with them the body begins on a boundary of the message,
  // and so, mostly, of the client's memory.
  std::string header = batch.Header();
  flight::FlightData front;
  front.set_app_metadata(std::string(app_metadata));
  const size_t around = front.ByteSizeLong() + tag_size + 1;
  while ((around + CodedOutputStream::VarintSize32(static_cast<uint32_t>(header.size())) +
          header.size()) %
             kAlignment !=
         0) {
    header.push_back('\0');
  }
  front.set_data_header(std::move(header));
  const size_t front_size = front.ByteSizeLong();
  const size_t size = front_size + tag_size + body_size;
  grpc::Slice slice(size);
  uint8_t* out = const_cast<uint8_t*>(slice.begin());
  out = front.SerializeWithCachedSizesToArray(out);
  out = CodedOutputStream::WriteVarint32ToArray(kBodyTag, out);
  out = CodedOutputStream::WriteVarint32ToArray(body_size, out);
  batch.WriteBody(out);
  return grpc::ByteBuffer(&slice, 1);
}

absl::Status ParseCommand(std::string_view bytes, std::string_view field,
                          google::protobuf::MessageLite* message) {
  if (message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::OkStatus();
  }
  return MakeError(
      absl::StatusCode::kInvalidArgument, "MALFORMED_MESSAGE",
      StrCat(field, " holds the bytes of no ", message->GetTypeName(), " (fletch/v1/flight.proto)"),
      field);
}

absl::Status ParseDescriptor(const flight::FlightDescriptor& descriptor,
                             google::protobuf::MessageLite* message) {
  if (descriptor.type() != flight::FlightDescriptor::CMD || descriptor.cmd().empty()) {
    return InvalidArgument(StrCat("give a descriptor for a command: its bytes are a ",
                                  message->GetTypeName(), " (fletch/v1/flight.proto)"),
                           "descriptor");
  }
  return ParseCommand(descriptor.cmd(), "descriptor.cmd", message);
}

absl::Status ForFlight(const absl::Status& status, std::string_view where) {
  if (status.ok()) return status;
  const std::string field = ErrorField(status);
  std::string message(status.message());
  if (!field.empty() && message.find(field) == std::string::npos) {
    message = StrCat(field, ": ", message);
  }
  if (!where.empty()) message = StrCat(where, ": ", message);
  absl::Status out(status.code(), message);
  status.ForEachPayload(
      [&out](absl::string_view url, const absl::Cord& payload) { out.SetPayload(url, payload); });
  return out;
}

}  // namespace fletch
