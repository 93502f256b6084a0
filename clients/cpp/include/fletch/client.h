// SPDX-License-Identifier: Apache-2.0
// A client of fletchd. Requests and answers are the messages of fletch/v1/*.proto, which are the
// contract and are documented there; this header adds the connection, deadlines, streams with
// back-pressure, and errors as values. No gRPC type shows through it.
//
//   auto client = fletch::client::Client::Connect("127.0.0.1:7447", {.project = "demo"});
//   if (!client.ok()) return client.status();
//   fletch::v1::GetOnlineFeaturesRequest request;
//   request.add_features("airport_weather:temperature_c");
//   request.set_row_count(1);
//   (*request.mutable_keys())["airport"] = fletch::client::Strings({"SFO"});
//   (*request.mutable_request_context())["hour"] = fletch::client::Int64s({8});  // if a feature
//   asks absl::StatusOr<fletch::v1::GetOnlineFeaturesResponse> answer =
//       client->GetOnlineFeatures(request);
//
// Errors have the daemon's code and message; errors.h reads reason, field and retry hint from them.
#ifndef FLETCH_CLIENT_H_
#define FLETCH_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "fletch/columns.h"
#include "fletch/errors.h"
#include "fletch/v1/admin.pb.h"
#include "fletch/v1/historical.pb.h"
#include "fletch/v1/ingest.pb.h"
#include "fletch/v1/registry.pb.h"
#include "fletch/v1/serving.pb.h"
#include "fletch/v1/vector.pb.h"

namespace fletch::client {

struct Options {
  // Put into every request that names no project.
  std::string project = {};
  // How long Connect waits for the daemon.
  absl::Duration connect_timeout = absl::Seconds(5);
  // Deadline of each unary call. Streams have none.
  absl::Duration call_timeout = absl::Seconds(30);
  // Greatest message sent or received, bytes; the daemon's own default limit.
  size_t message_bytes_max = 64u << 20;
};

// One acknowledgement of a write stream.
struct WriteAck {
  // Which Send of the stream, from 0.
  uint64_t index = 0;
  // OK: committed. Otherwise nothing of this request was kept, and the stream goes on.
  absl::Status status = {};
  // When committed.
  v1::WriteResponse result = {};
};

struct WriteStreamOptions {
  // Requests on their way at most; Send waits while so many are not acknowledged. At least 1.
  uint64_t in_flight_max = 8;
  // Called for each acknowledgement, in order, on the stream's own thread. May be empty. Must not
  // call the stream.
  std::function<void(const WriteAck&)> on_ack = {};
};

// What a write stream did.
struct WriteSummary {
  uint64_t requests_committed = 0;
  uint64_t requests_refused = 0;
  uint64_t rows_committed = 0;
  // The newest commit; a read with min_seq = this sees every committed row. 0: none.
  uint64_t last_commit_seq = 0;
  // The first refusal; OK when none was refused.
  absl::Status first_refusal = {};
};

// Many writes over one stream, each its own commit. Used by one thread at a time. Destroying it
// unfinished cancels the stream: requests not acknowledged by then may or may not be committed.
class WriteStream {
 public:
  class Impl;
  explicit WriteStream(std::unique_ptr<Impl> impl);
  ~WriteStream();
  WriteStream(WriteStream&&) noexcept;
  WriteStream& operator=(WriteStream&&) noexcept;

  // Sends a request, after waiting for room (in_flight_max). An error means that the stream has
  // ended; a refused request is not an error here but in its acknowledgement and in the summary.
  absl::Status Send(v1::WriteRequest request);

  // What has been acknowledged so far.
  WriteSummary Progress() const;

  // Waits for all acknowledgements and ends the stream. To be called once, after the last Send.
  absl::StatusOr<WriteSummary> Finish();

 private:
  std::unique_ptr<Impl> impl_;
};

// The next batch of a spine; nullopt: it ends here; an error: the read stops with it.
using SpineSource = std::function<absl::StatusOr<std::optional<v1::SpineBatch>>()>;
// Takes the header's answer and then one answer a batch, in order; an error: the read stops with
// it.
using AnswerSink = std::function<absl::Status(v1::GetHistoricalFeaturesResponse)>;
// Takes the spine rows that are kept so far; an error: the creation stops with it.
using RowsKept = std::function<absl::Status(uint64_t row_count)>;

// How a spine is sent.
struct SpineOptions {
  // Batches on their way at most; `source` is not asked while so many are not answered. At least 1.
  // The daemon joins in one pass what has arrived by then, so a few are much better than one.
  uint64_t in_flight_max = 16;
};

// Thread-safe; movable; cheap to use from many threads (one connection).
class Client {
 public:
  // Waits for the daemon at "host:port". UNAVAILABLE with reason CONNECTION_FAILED: not reached
  // within connect_timeout.
  static absl::StatusOr<Client> Connect(const std::string& address, Options options = {});

  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  // Registry.
  absl::StatusOr<v1::ApplyResponse> Apply(v1::ApplyRequest request) const;
  absl::StatusOr<v1::GetResponse> Get(v1::GetRequest request) const;
  absl::StatusOr<v1::ListResponse> List(v1::ListRequest request) const;
  absl::StatusOr<v1::DeleteObjectResponse> DeleteObject(v1::DeleteObjectRequest request) const;
  absl::StatusOr<v1::GetLineageResponse> GetLineage(v1::GetLineageRequest request) const;

  // Facts in.
  absl::StatusOr<v1::WriteResponse> Write(v1::WriteRequest request) const;
  WriteStream OpenWriteStream(WriteStreamOptions options = {}) const;
  absl::StatusOr<v1::DeleteResponse> Delete(v1::DeleteRequest request) const;
  absl::StatusOr<v1::RetractResponse> Retract(v1::RetractRequest request) const;
  absl::StatusOr<v1::EraseResponse> Erase(v1::EraseRequest request) const;

  // Answers out.
  absl::StatusOr<v1::GetOnlineFeaturesResponse> GetOnlineFeatures(
      v1::GetOnlineFeaturesRequest request) const;
  absl::StatusOr<v1::GetFeatureHistoryResponse> GetFeatureHistory(
      v1::GetFeatureHistoryRequest request) const;
  absl::StatusOr<v1::SearchResponse> Search(v1::SearchRequest request) const;
  // The project goes into request.common.
  absl::StatusOr<v1::BatchSearchResponse> BatchSearch(v1::BatchSearchRequest request) const;

  // A training read. `sink` takes the header's answer on this thread before `source` is called for
  // the first time, so that it can say which columns the spine must bring; from then on `source` is
  // called on a thread of its own. Returns when both have ended.
  absl::Status GetHistoricalFeatures(v1::HistoricalHeader header, SpineSource source,
                                     AnswerSink sink, SpineOptions options = {}) const;
  // The header's answer alone: what a read takes (key_columns, context_columns) and gives. The
  // columns of an online read of the same features are the same.
  absl::StatusOr<v1::GetHistoricalFeaturesResponse> DescribeHistoricalFeatures(
      v1::HistoricalHeader header) const;

  // Training sets. `source` and `on_rows` as in GetHistoricalFeatures; `on_rows` may be empty.
  // What is not created whole is not kept.
  absl::StatusOr<v1::TrainingSet> CreateTrainingSet(v1::TrainingSetHeader header,
                                                    SpineSource source, RowsKept on_rows = {},
                                                    SpineOptions options = {}) const;
  absl::StatusOr<v1::GetTrainingSetResponse> GetTrainingSet(
      v1::GetTrainingSetRequest request) const;
  absl::StatusOr<v1::ListTrainingSetsResponse> ListTrainingSets(
      v1::ListTrainingSetsRequest request) const;
  absl::StatusOr<v1::VerifyTrainingSetResponse> VerifyTrainingSet(
      v1::VerifyTrainingSetRequest request) const;
  absl::StatusOr<v1::DeleteTrainingSetResponse> DeleteTrainingSet(
      v1::DeleteTrainingSetRequest request) const;

  // For operators. Compact and ListErasures are of the options' project, or of all when there is
  // none.
  absl::StatusOr<v1::GetStatusResponse> Status() const;
  absl::StatusOr<v1::CompactResponse> Compact(v1::CompactRequest request = {}) const;
  absl::StatusOr<v1::AuditParityResponse> AuditParity(v1::AuditParityRequest request) const;
  absl::StatusOr<v1::ListErasuresResponse> ListErasures(v1::ListErasuresRequest request = {}) const;
  absl::StatusOr<v1::AuditRecallResponse> AuditRecall(v1::AuditRecallRequest request) const;
  absl::StatusOr<v1::DescribeIndexResponse> DescribeIndex(v1::DescribeIndexRequest request) const;
  absl::StatusOr<v1::RebuildIndexResponse> RebuildIndex(v1::RebuildIndexRequest request) const;

 private:
  class Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fletch::client

#endif  // FLETCH_CLIENT_H_
