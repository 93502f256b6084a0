// SPDX-License-Identifier: Apache-2.0
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <xxhash.h>

#include <string>
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/proto_column.h"
#include "server/rpc/convert.h"
#include "server/rpc/convert_common.h"

namespace fletch {
namespace {

// Remembered with the request id across restarts, so the same on every machine and in every
// version: maps are written in the order of their keys.
uint64_t PayloadHash(const google::protobuf::MessageLite& message) {
  std::string bytes;
  bytes.reserve(message.ByteSizeLong());
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeWithCachedSizes(&coded);
  }
  return XXH3_64bits(bytes.data(), bytes.size());
}

absl::StatusOr<Durability> ToDurability(v1::Durability durability) {
  switch (durability) {
    case v1::DURABILITY_UNSPECIFIED:
    case v1::SYNC:
      return Durability::kSync;
    case v1::BUFFERED:
      return Durability::kBuffered;
    default:
      return InvalidArgument(
          StrCat("durability ", static_cast<int>(durability), " is unknown; give SYNC or BUFFERED"),
          "durability");
  }
}

// Project, durability, request_id and, where there is one, the payload's hash.
template <class Request, class Message>
absl::Status TakeCommon(Message* message, Request* out) {
  RETURN_IF_ERROR(CheckGiven(message->project(), "project"));
  out->project = message->project();
  ASSIGN_OR_RETURN(out->durability, ToDurability(message->durability()));
  if (message->request_id().size() > limits::kMaxRequestIdBytes) {
    return InvalidArgument(
        StrCat("request_id has ", message->request_id().size(),
               " bytes; the limit max_request_id_bytes is ", limits::kMaxRequestIdBytes),
        "request_id");
  }
  out->request_id = std::move(*message->mutable_request_id());
  message->clear_request_id();
  message->clear_durability();
  if (!out->request_id.empty()) out->payload_hash = PayloadHash(*message);
  return absl::OkStatus();
}

absl::StatusOr<RowBatch> ToRowBatch(const v1::RowBatch& batch) {
  RowBatch out;
  RETURN_IF_ERROR(CheckGiven(batch.feature_view(), "feature_view"));
  RETURN_IF_ERROR(
      CheckCount(batch.row_count(), limits::kMaxRowsPerBatch, "max_rows_per_batch", "row_count"));
  out.feature_view = batch.feature_view();
  out.row_count = batch.row_count();
  out.merge = batch.merge();
  ASSIGN_OR_RETURN(out.columns, ToColumns(batch.columns(), out.row_count, "columns"));
  ASSIGN_OR_RETURN(out.event_times,
                   TimesFromProto(batch.event_timestamps(), out.row_count, "event_timestamps"));
  return out;
}

template <class Message>
absl::StatusOr<KeyedRequest> ToKeyed(Message* message, bool one_time_for_all) {
  KeyedRequest out;
  RETURN_IF_ERROR(TakeCommon(message, &out));
  RETURN_IF_ERROR(CheckGiven(message->feature_view(), "feature_view"));
  RETURN_IF_ERROR(CheckCount(message->row_count(), limits::kMaxRowsPerBatch, "max_rows_per_batch",
                             "row_count"));
  out.feature_view = message->feature_view();
  out.row_count = message->row_count();
  ASSIGN_OR_RETURN(out.keys, ToColumns(message->keys(), out.row_count, "keys"));
  const v1::TimestampColumn& times = message->event_timestamps();
  if (one_time_for_all && times.micros_size() + times.rfc3339_size() == 1) {
    ASSIGN_OR_RETURN(const int64_t time, ToInstant(times, "event_timestamps"));
    out.event_times.assign(out.row_count, time);
    return out;
  }
  ASSIGN_OR_RETURN(out.event_times, TimesFromProto(times, out.row_count, "event_timestamps"));
  return out;
}

}  // namespace

absl::StatusOr<WriteRequest> ToEngine(v1::WriteRequest* request) {
  WriteRequest out;
  RETURN_IF_ERROR(TakeCommon(request, &out));
  if (request->batches().empty())
    return InvalidArgument("batches is empty; give at least one", "batches");
  RETURN_IF_ERROR(CheckAtMost(request->batches_size(), limits::kMaxBatchesPerWrite,
                              "max_batches_per_write", "batches"));
  out.batches.reserve(request->batches_size());
  for (int i = 0; i < request->batches_size(); ++i) {
    absl::StatusOr<RowBatch> batch = ToRowBatch(request->batches(i));
    if (!batch.ok()) return PrefixField(batch.status(), StrCat("batches[", i, "]"));
    out.batches.push_back(*std::move(batch));
    request->mutable_batches(i)->Clear();  // the values are held once, not twice
  }
  return out;
}

absl::StatusOr<KeyedRequest> ToEngine(v1::DeleteRequest* request) {
  return ToKeyed(request, /*one_time_for_all=*/true);
}

absl::StatusOr<KeyedRequest> ToEngine(v1::RetractRequest* request) {
  ASSIGN_OR_RETURN(KeyedRequest out, ToKeyed(request, /*one_time_for_all=*/false));
  out.tombstones = request->tombstones();
  return out;
}

}  // namespace fletch
