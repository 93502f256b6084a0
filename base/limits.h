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
inline constexpr size_t kMaxFieldsPerView = 1024;        // a row is read whole
inline constexpr size_t kMaxFeaturesPerRequest = 1024;   // columns of one answer
inline constexpr size_t kMaxAggregationsPerView = 1024;  // as fields of a view: read as one row
inline constexpr int64_t kMaxWindowMicros =
    3660ll * 24 * 3600 * 1'000'000;                        // ten years: what one question may scan
inline constexpr size_t kMaxAggregateK = 1000;             // values of one LAST_K or TOP_K cell
inline constexpr int64_t kMinRetentionMicros = 1'000'000;  // below it no question could be asked
inline constexpr size_t kMaxOnDemandInputs = 32;           // look-ups one expression view may cause
inline constexpr size_t kMaxRequestFields = 64;            // columns a caller has to bring
inline constexpr size_t kMaxOnDemandFields = 256;          // programs compiled when one is applied
inline constexpr size_t kMaxOnDemandSqlBytes = 4096;       // text of one declared field: a page
inline constexpr size_t kMaxBindings = 64;                 // roles of views in one request
inline constexpr size_t kMaxObjectsPerApply = 1024;        // one catalog write
inline constexpr size_t kMaxDimension = 4096;              // of a vector: 16 KiB a row
inline constexpr size_t kMaxRowsPerBatch = 100'000;        // one commit stays well under a second
inline constexpr size_t kMaxBatchesPerWrite = 64;          // views of one commit
inline constexpr size_t kMaxKeysPerOnlineRead = 10'000;    // an online answer stays in milliseconds
inline constexpr size_t kMaxSpineRowsPerBatch = 100'000;   // memory of one join step
inline constexpr size_t kMaxRowBytes = 16u << 20;          // one encoded row
inline constexpr size_t kMaxRequestIdBytes = 128;          // a UUID with a prefix
inline constexpr size_t kMaxTopK = 10'000;                 // hits of one search
inline constexpr size_t kMaxEf = 10'000;                   // candidates of one search
inline constexpr size_t kMaxRescore = 10'000;              // candidates compared again
inline constexpr size_t kMaxBatchQueries = 1000;           // searches of one call
inline constexpr size_t kMaxBatchHits = 100'000;           // of these: an answer of some megabytes
inline constexpr size_t kMaxGroupSize = 100;               // hits of one group
inline constexpr size_t kMinGraphLinks = 4;                // fewer do not hold a graph together
inline constexpr size_t kMaxGraphLinks = 64;               // more cost memory and find nothing
inline constexpr size_t kMaxEfConstruction = 2000;         // building gets slow and no better
inline constexpr double kMinTargetRecall = 0.5;            // below it no index is worth its memory
inline constexpr double kMaxTargetRecall = 0.999;          // beyond it ask for exact
inline constexpr size_t kMaxAuditQueries = 10'000;         // each is asked exactly too
inline constexpr size_t kDefaultAuditQueries = 100;        // some seconds at a million vectors
inline constexpr size_t kDefaultAuditTopK = 10;            // what recall is commonly said of
inline constexpr size_t kMaxRecallSamples = 32;            // searches that wait to be asked exactly
inline constexpr size_t kRecallSamplesKept = 1000;         // newest, of an index: its gauge
inline constexpr size_t kMaxFilterDepth = 16;              // levels; bounds recursion
inline constexpr size_t kMaxFilterNodes = 1024;            // nodes of one filter
inline constexpr size_t kMaxInValues = 1024;               // of one IN list
inline constexpr size_t kMaxIndexedFields = 32;         // of one view: 8 to 24 bytes an entity each
inline constexpr size_t kMaxFilterListItems = 64;       // of one AND or OR
inline constexpr size_t kMaxPageSize = 1000;            // registry objects a page
inline constexpr size_t kMaxHistoryPageSize = 100'000;  // facts a page
inline constexpr size_t kDefaultHistoryPageSize = 1000;  // facts a page
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
inline constexpr size_t kFoldRows = 32;     // unfolded facts of an entity that are worth a fold
inline constexpr size_t kFoldFewRows = 4;   // the same of an entity without many: found as one key
inline constexpr size_t kFoldRewrites = 2;  // folded facts that each of few rewrites at most
inline constexpr uint64_t kFoldTriggerFacts =
    100'000;  // new facts of a view that are worth a pass over its unfolded ones
inline constexpr uint64_t kFoldMarksSwept =
    100'000;  // deletions a seek may walk over, 50 ns each, before they are compacted away
inline constexpr size_t kMaxEraseKeys = 1000;  // each is a commit and some fsyncs
inline constexpr size_t kDefaultErasuresPageSize = 100;
inline constexpr uint64_t kCommitSeqBlock = 1u << 16;  // numbers reserved by one synced write
inline constexpr size_t kMaxExpressionBytes = 16'384;  // text of one SQL expression: some pages
inline constexpr size_t kMaxExpressionNodes = 1024;    // bounds the steps of a row
inline constexpr size_t kMaxExpressionDepth = 14;  // levels; SQLite's parser keeps 100 words open
inline constexpr size_t kMaxExpressionParentheses = 200;      // open ones; bounds recursion
inline constexpr size_t kMaxExpressionValueBytes = 1u << 20;  // of a text in an expression: memory
inline constexpr size_t kMaxExpressionNeedleBytes =
    256;  // a pattern, or what is searched for: × the value's length is time that nothing
          // interrupts
inline constexpr size_t kMaxFlightColumns = 2048;  // of an Arrow stream: twice the fields of a view
inline constexpr size_t kMaxFlightBatchRows =
    16u << 20;  // of one Arrow record batch: 4-byte values that fill a message
inline constexpr size_t kMaxFlightBodyBytes =
    256u << 20;  // of one Arrow record batch, decompressed: four messages' worth
inline constexpr size_t kMaxFlightValueBytes =
    256u << 20;  // texts of one column of one step, or all dictionaries of a stream: few bytes may
                 // name a long text often
inline constexpr size_t kMaxWindowDistinctValues =
    10'000;  // of count_distinct and top_k in one window: they cost them
inline constexpr size_t kMaxTrainingSets = 10'000;  // of a data directory: a few KB of memory each
inline constexpr size_t kMaxTrainingSetBatches =
    1'000'000;  // of one set: 10^11 rows; a client that sends single rows hears of it
inline constexpr size_t kSpineChunkBytes = 1u << 20;   // one stored value: far below a store batch
inline constexpr size_t kMaxParitySamples = 64;        // online answers that wait to be asked again
inline constexpr size_t kMaxParityCells = 200'000;     // cells of these: about 20 MB
inline constexpr size_t kMaxParityEntities = 100'000;  // of one audit: some seconds of reads
inline constexpr size_t kDefaultParityEntities = 1000;  // under a second
inline constexpr size_t kMaxParityExamples = 100;       // one screen of an answer
inline constexpr size_t kJoinPassRows =
    1u << 20;  // spine rows that are joined together; more would cost memory and gain little
inline constexpr size_t kJoinPassBytes =
    256u << 20;  // of rows found for them, about: with the answers a training read stays below 1 GB
inline constexpr size_t kJoinPieceRows = 32'768;  // that one thread sorts and joins: fits its cache
inline constexpr size_t kSharedWorkQueue = 1024;  // pieces that wait for helpers; callers work too

}  // namespace fletch::limits

#endif  // FLETCH_BASE_LIMITS_H_
