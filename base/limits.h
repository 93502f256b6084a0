// SPDX-License-Identifier: Apache-2.0
// Every limit, with its reason. Tests stand at the edges.
#ifndef FLETCH_BASE_LIMITS_H_
#define FLETCH_BASE_LIMITS_H_

#include <cstddef>
#include <cstdint>

namespace fletch::limits {

// Years 0001 to 9999: what RFC 3339, Arrow and Python's datetime can all name.
inline constexpr int64_t kMinTimeMicros = -62135596800000000;  // 0001-01-01T00:00:00Z
inline constexpr int64_t kMaxTimeMicros = 253402300799999999;  // 9999-12-31T23:59:59.999999Z

inline constexpr size_t kMaxNameBytes = 64;           // keeps metric labels and log lines short
inline constexpr size_t kMaxDescriptionBytes = 4096;  // a page of text
inline constexpr size_t kMaxKeyFields = 8;  // composite keys are small; keys are copied often
inline constexpr size_t kMaxKeyValueBytes =
    1024;  // one STRING key value; RocksDB keys stay in a block
inline constexpr size_t kMaxFieldsPerView = 1024;         // a row is read whole
inline constexpr size_t kMaxFeaturesPerRequest = 1024;    // columns of one answer
inline constexpr size_t kMaxBindings = 64;                // roles of views in one request
inline constexpr size_t kMaxObjectsPerApply = 1024;       // one catalog write
inline constexpr size_t kMaxDimension = 4096;             // of a vector: 16 KiB a row
inline constexpr size_t kMaxRowsPerBatch = 100'000;       // one commit stays well under a second
inline constexpr size_t kMaxBatchesPerWrite = 64;         // views of one commit
inline constexpr size_t kMaxKeysPerOnlineRead = 10'000;   // an online answer stays in milliseconds
inline constexpr size_t kMaxSpineRowsPerBatch = 100'000;  // memory of one join step
inline constexpr size_t kMaxRowBytes = 16u << 20;         // one encoded row
inline constexpr size_t kMaxRequestIdBytes = 128;         // a UUID with a prefix
inline constexpr size_t kMaxTopK = 10'000;                // hits of one search
inline constexpr size_t kMaxEf = 10'000;                  // candidates of one search
inline constexpr size_t kMaxFilterDepth = 16;             // levels; bounds recursion
inline constexpr size_t kMaxFilterNodes = 1024;           // nodes of one filter
inline constexpr size_t kMaxInValues = 1024;              // of one IN list
inline constexpr size_t kMaxFilterListItems = 64;         // of one AND or OR
inline constexpr size_t kMaxPageSize = 1000;              // registry objects a page
inline constexpr size_t kMaxHistoryPageSize = 100'000;    // facts a page
inline constexpr size_t kDefaultHistoryPageSize = 1000;   // facts a page
inline constexpr size_t kMaxMessageBytes =
    64u << 20;  // 100,000 rows × 80 doubles; Flight sends 3.6 MB at once
inline constexpr size_t kMaxAsOfScanRows = 2'000'000;  // facts a search in the past may read
inline constexpr int64_t kDefaultMaxFutureSkewMicros =
    5ll * 60 * 1'000'000;  // clocks of writers differ
inline constexpr int64_t kMaxFutureSkewMicros =
    366ll * 24 * 3600 * 1'000'000;                   // a year of forecasts
inline constexpr size_t kCommitGroupRequests = 256;  // requests that share an fsync
inline constexpr size_t kCommitGroupBytes =
    8u << 20;  // of one RocksDB batch, so latency stays bounded
inline constexpr size_t kCommitQueueRequests = 4096;  // waiting writers; beyond: RESOURCE_EXHAUSTED
inline constexpr size_t kCommitQueueBytes = 256u
                                            << 20;  // bytes waiting; beyond: RESOURCE_EXHAUSTED
inline constexpr size_t kRequestIdsRemembered =
    100'000;                                   // newest commits whose request ids are known
inline constexpr size_t kFactsPerBlock = 128;  // one entity's, folded; more pay no more in a join
inline constexpr size_t kFactBlockBytes =
    64u << 10;  // rows of a block, about: a read takes the whole block from disk
inline constexpr size_t kMaxFactBlockBytes =
    1u << 20;  // an instant stays in one block; larger ones stay single facts
inline constexpr size_t kFoldRows = 32;  // unfolded facts of an entity that are worth a fold
inline constexpr uint64_t kCommitSeqBlock = 1u << 16;  // numbers reserved by one synced write

}  // namespace fletch::limits

#endif  // FLETCH_BASE_LIMITS_H_
