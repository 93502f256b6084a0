// SPDX-License-Identifier: Apache-2.0
// One daemon for all tests of the program, with a small project in it, and a look at whether
// anything changed.
#ifndef FLETCH_TESTS_CONTRACT_FIXTURE_H_
#define FLETCH_TESTS_CONTRACT_FIXTURE_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "fletch/v1/admin.pb.h"
#include "fletch/v1/historical.pb.h"
#include "fletch/v1/ingest.pb.h"
#include "fletch/v1/registry.pb.h"
#include "fletch/v1/serving.pb.h"
#include "fletch/v1/vector.pb.h"
#include "tests/contract/wire_client.h"

namespace fletch {

inline constexpr char kApply[] = "/fletch.v1.RegistryService/Apply";
inline constexpr char kGet[] = "/fletch.v1.RegistryService/Get";
inline constexpr char kList[] = "/fletch.v1.RegistryService/List";
inline constexpr char kDeleteObject[] = "/fletch.v1.RegistryService/Delete";
inline constexpr char kWrite[] = "/fletch.v1.IngestService/Write";
inline constexpr char kWriteStream[] = "/fletch.v1.IngestService/WriteStream";
inline constexpr char kDelete[] = "/fletch.v1.IngestService/Delete";
inline constexpr char kRetract[] = "/fletch.v1.IngestService/Retract";
inline constexpr char kOnline[] = "/fletch.v1.ServingService/GetOnlineFeatures";
inline constexpr char kJoin[] = "/fletch.v1.HistoricalService/GetHistoricalFeatures";
inline constexpr char kHistory[] = "/fletch.v1.HistoricalService/GetFeatureHistory";
inline constexpr char kSearch[] = "/fletch.v1.VectorService/Search";
inline constexpr char kBatchSearch[] = "/fletch.v1.VectorService/BatchSearch";
inline constexpr char kAuditRecall[] = "/fletch.v1.VectorService/AuditRecall";
inline constexpr char kDescribeIndex[] = "/fletch.v1.VectorService/DescribeIndex";
inline constexpr char kRebuildIndex[] = "/fletch.v1.VectorService/RebuildIndex";
inline constexpr char kStatus[] = "/fletch.v1.AdminService/GetStatus";

// Project "c": entity user (id INT64), entity shop (name STRING); view profile of user (score
// DOUBLE without NaN, label STRING, doc JSON), view face of user (emb FLOAT_VECTOR(3), COSINE),
// view orders of shop (event key no INT64; total DOUBLE), view spare of user (x DOUBLE; no service
// uses it); service model (profile:score, profile:label).
v1::ApplyRequest ProjectSpec();

// Requests that are right in every part; a row of the table spoils one. User 1 has a profile and a
// face at 1000 s.
v1::WriteRequest GoodWrite(int64_t id = 1);
v1::DeleteRequest GoodDelete();
v1::RetractRequest GoodRetract();
v1::GetOnlineFeaturesRequest GoodOnline();
v1::HistoricalHeader GoodHeader();
v1::SpineBatch GoodSpine();
v1::GetFeatureHistoryRequest GoodHistory(const std::string& view = "profile");
v1::SearchRequest GoodSearch();
v1::BatchSearchRequest GoodBatchSearch();

// Applies the project and writes the facts.
void LoadProject(WireClient* client);

// All that a refused request must leave as it was.
struct Snapshot {
  uint64_t revision = 0;
  uint64_t applied_seq = 0;
  std::vector<std::string> histories;  // every stored fact of every view
  bool operator==(const Snapshot&) const = default;
};
Snapshot TakeSnapshot(WireClient* client);

// The shared daemon's client. Null (and a failure) when it cannot be started.
WireClient* SharedClient();

}  // namespace fletch

#endif  // FLETCH_TESTS_CONTRACT_FIXTURE_H_
