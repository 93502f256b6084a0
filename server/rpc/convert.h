// SPDX-License-Identifier: Apache-2.0
// Requests of the wire as the engine takes them, and its answers as the wire wants them. Every
// limit on a number a client sends is checked here: INVALID_ARGUMENT for what can never be right,
// OUT_OF_RANGE naming the limit for what is too much. Field paths are those of the request message.
#ifndef FLETCH_SERVER_RPC_CONVERT_H_
#define FLETCH_SERVER_RPC_CONVERT_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fletch/v1/admin.pb.h"
#include "fletch/v1/historical.pb.h"
#include "fletch/v1/ingest.pb.h"
#include "fletch/v1/registry.pb.h"
#include "fletch/v1/serving.pb.h"
#include "fletch/v1/vector.pb.h"
#include "server/engine/engine.h"
#include "server/engine/types.h"

namespace fletch {

// The registry takes its messages as they are; this checks what needs no catalog.
absl::Status CheckRequest(const v1::ApplyRequest& request);
absl::Status CheckRequest(const v1::GetRequest& request);
absl::Status CheckRequest(const v1::ListRequest& request);
absl::Status CheckRequest(const v1::DeleteObjectRequest& request);
absl::Status CheckRequest(const v1::GetLineageRequest& request);

// As AdminService.
absl::Status CheckRequest(const v1::CompactRequest& request);
absl::Status CheckRequest(const v1::ListErasuresRequest& request);
absl::Status CheckRequest(const v1::AuditParityRequest& request);
absl::StatusOr<EraseRequest> ToEngine(const v1::EraseRequest& request);

// As HistoricalService.
absl::Status CheckRequest(const v1::GetTrainingSetRequest& request);
absl::Status CheckRequest(const v1::ListTrainingSetsRequest& request);
absl::Status CheckRequest(const v1::VerifyTrainingSetRequest& request);
absl::Status CheckRequest(const v1::DeleteTrainingSetRequest& request);

// These take durability and request_id out of the message before they hash the rest.
absl::StatusOr<WriteRequest> ToEngine(v1::WriteRequest* request);
absl::StatusOr<KeyedRequest> ToEngine(v1::DeleteRequest* request);
absl::StatusOr<KeyedRequest> ToEngine(v1::RetractRequest* request);

absl::StatusOr<OnlineRequest> ToEngine(const v1::GetOnlineFeaturesRequest& request);
absl::StatusOr<HistoricalHeader> ToEngine(const v1::HistoricalHeader& header);
absl::StatusOr<SpineBatch> ToEngine(const v1::SpineBatch& spine);
absl::StatusOr<HistoryRequest> ToEngine(const v1::GetFeatureHistoryRequest& request);

// As VectorService.
absl::StatusOr<SearchRequest> ToEngine(const v1::SearchRequest& request);
absl::StatusOr<BatchSearchRequest> ToEngine(const v1::BatchSearchRequest& request);
absl::StatusOr<RecallAuditRequest> ToEngine(const v1::AuditRecallRequest& request);
absl::Status CheckRequest(const v1::DescribeIndexRequest& request);
absl::Status CheckRequest(const v1::RebuildIndexRequest& request);

// Each fills an empty message; columns are moved out of the answer.
void FillAnswer(OnlineAnswer&& answer, size_t row_count, v1::GetOnlineFeaturesResponse* out);
void FillHeaderAnswer(const FeaturePlan& plan, uint64_t read_seq,
                      v1::GetHistoricalFeaturesResponse* out);
void FillAnswer(std::vector<Column>&& columns, size_t row_count, uint64_t read_seq,
                v1::GetHistoricalFeaturesResponse* out);
void FillAnswer(HistoryAnswer&& answer, v1::GetFeatureHistoryResponse* out);
void FillAnswer(TrainingSetBatch&& batch, v1::GetTrainingSetResponse* out);
void FillAnswer(SearchAnswer&& answer, bool explain, v1::SearchResponse* out);
void FillAnswer(BatchSearchAnswer&& answer, bool explain, v1::BatchSearchResponse* out);
void FillAnswer(const EngineStatus& status, v1::GetStatusResponse* out);

}  // namespace fletch

#endif  // FLETCH_SERVER_RPC_CONVERT_H_
