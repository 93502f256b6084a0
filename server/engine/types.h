// SPDX-License-Identifier: Apache-2.0
// What the engine is asked and what it answers, in the house's own types. Wire limits (row counts,
// top_k, message sizes, name forms) are checked by the adaptors; schemas, names and times by the
// engine.
#ifndef FLETCH_SERVER_ENGINE_TYPES_H_
#define FLETCH_SERVER_ENGINE_TYPES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/fact_key.h"
#include "storage/schema.h"
#include "storage/value.h"

namespace fletch {

struct FeaturePlan;

enum class Durability { kSync, kBuffered };

// Field paths in errors: "batches[i].columns.NAME", "batches[i].event_timestamps", as in
// WriteRequest.
struct RowBatch {
  std::string feature_view;  // "view" or "view@v2"
  size_t row_count = 0;
  std::vector<NamedColumn> columns;  // join keys, event keys, fields
  std::vector<int64_t> event_times;
  bool merge = false;  // fields left out keep what is known (ingest.proto, RowBatch.merge)
};

struct WriteRequest {
  std::string project;
  std::vector<RowBatch> batches;
  Durability durability = Durability::kSync;
  std::string request_id;  // empty: none
  uint64_t payload_hash =
      0;  // of the request's content without durability and id; compared when the id is known
};

// Delete and Retract. Field paths: "keys.NAME", "event_timestamps".
struct KeyedRequest {
  std::string project;
  std::string feature_view;
  size_t row_count = 0;
  std::vector<NamedColumn> keys;     // join keys; Retract: and event keys unless `tombstones`
  std::vector<int64_t> event_times;  // one a row
  bool tombstones = false;           // Retract: withdraw deletions instead of rows
  Durability durability = Durability::kSync;
  std::string request_id;
  uint64_t payload_hash = 0;
};

struct WriteReceipt {
  uint64_t commit_seq = 0;
  int64_t commit_time = 0;
  uint64_t rows = 0;
};

// Erase. Field paths: "keys.NAME".
struct EraseRequest {
  std::string project;
  std::string entity;
  size_t row_count = 0;
  std::vector<NamedColumn> keys;  // all join keys
};

struct KnownAt {
  bool by_time = false;
  uint64_t commit_seq = 0;
  int64_t time = 0;
};

struct BindingSpec {
  std::string alias;
  std::string feature_view;
  std::map<std::string, std::string> join_key_map;  // join key -> key column
};

struct Selection {
  std::string feature_service;  // or
  std::vector<std::string> features;
  std::vector<BindingSpec> bindings;
};

struct OnlineRequest {
  std::string project;
  Selection selection;
  size_t row_count = 0;
  std::vector<NamedColumn> keys;
  std::vector<NamedColumn> request_context;  // of row_count rows, or of one for all
  std::optional<int64_t> as_of;
  std::optional<KnownAt> known_at;
  uint64_t min_seq = 0;
  bool event_times = false;
};

struct OnlineAnswer {
  int64_t as_of = 0;
  uint64_t read_seq = 0;
  std::shared_ptr<const FeaturePlan> plan;  // names of the columns
  std::vector<Column> columns;
};

enum class KnownAtMode { kNewest, kFixed, kAsServed };

struct HistoricalHeader {
  std::string project;
  Selection selection;
  KnownAtMode mode = KnownAtMode::kNewest;
  std::optional<KnownAt> known_at;
  uint64_t min_seq = 0;
  bool event_times = false;
  bool mark_out_of_range = false;  // OUT_OF_RETENTION cells instead of an error
};

struct SpineBatch {
  size_t row_count = 0;
  std::vector<NamedColumn> keys;
  std::vector<int64_t> timestamps;
  std::vector<NamedColumn> request_context;  // of row_count rows, or of one for all
};

struct HistoryRequest {
  std::string project;
  std::string feature_view;
  std::vector<NamedColumn> keys;  // one row each; empty: the whole view
  std::optional<int64_t> start;
  std::optional<int64_t> end;
  uint64_t last_k = 0;
  std::optional<KnownAt> known_at;
  bool all_forms = false;
  size_t page_size = 1000;
  std::string page_token;
};

struct HistoryAnswer {
  uint64_t read_seq = 0;
  size_t row_count = 0;
  std::vector<NamedColumn> columns;  // join keys, event keys, fields
  std::vector<int64_t> event_times;
  std::vector<uint64_t> commit_seqs;
  std::vector<int64_t> commit_times;
  std::vector<FactForm> forms;
  std::string next_page_token;
};

// A literal of a filter. int64_t also stands for TIMESTAMP in microseconds.
struct BytesLiteral {
  std::string bytes;
};
using Literal = std::variant<bool, int64_t, double, std::string, BytesLiteral>;

// A condition as asked; filter.h resolves and checks it.
struct FilterSpec {
  enum class Kind { kAnd, kOr, kNot, kCompare, kIn, kBetween, kIsNull } kind = Kind::kAnd;
  std::vector<FilterSpec> children;  // kAnd, kOr, kNot (one)
  std::string ref;                   // the others: "view:field"
  enum class Op { kEq, kNe, kLt, kLe, kGt, kGe, kPrefix, kContains } op = Op::kEq;
  std::vector<Literal> values;  // kCompare 1, kIn any, kBetween low and high
};

// The best `size` hits of each group instead of the best of all.
struct GroupBy {
  std::string ref;  // a join key, or "view:field" of the searched entity
  size_t size = 1;
};

struct SearchRequest {
  std::string project;
  std::string index;          // "view:field"
  std::vector<float> vector;  // or entity_key
  std::vector<NamedColumn> entity_key;
  bool include_self = false;
  size_t top_k = 10;
  std::optional<FilterSpec> filter;
  std::optional<Selection> hydrate;
  std::vector<NamedColumn> request_context;  // of one row; for hydration
  std::optional<int64_t> as_of;
  std::optional<KnownAt> known_at;
  uint64_t min_seq = 0;
  bool exact = false;
  size_t ef = 0;             // 0: chosen by target_recall
  double target_recall = 0;  // 0: the index's own
  size_t rescore = 0;        // 0: chosen by the index
  std::optional<float> score_threshold;
  std::optional<GroupBy> group_by;
  bool event_times = false;
};

// Searches that have all but the query in common. Field paths: "vectors", "entity_keys.NAME", and
// the common ones' "common.…".
struct BatchSearchRequest {
  SearchRequest common;  // without vector and entity_key
  size_t query_count = 0;
  std::vector<float> vectors;  // query after query; or entity_keys
  std::vector<NamedColumn> entity_keys;
};

struct RecallAuditRequest {
  SearchRequest search;  // without vector and entity_key
  size_t queries = 0;
  uint64_t seed = 0;  // 0: by the clock
  bool reachability = false;
};

struct SearchPlanReport {
  std::string strategy;
  double selectivity = 1;
  uint64_t candidates_visited = 0;
  uint64_t segments = 0;
  uint64_t buffered_vectors = 0;
  uint64_t ef = 0;
  uint64_t rescored = 0;
  std::vector<std::string> indexed_refs;
  std::string reason;
};

struct SearchAnswer {
  std::vector<NamedColumn> keys;
  std::vector<float> scores;
  std::vector<int64_t> event_times;
  std::shared_ptr<const FeaturePlan> hydrated;  // null: nothing was asked
  std::vector<Column> columns;
  int64_t as_of = 0;
  uint64_t read_seq = 0;
  SearchPlanReport plan;
};

struct BatchSearchAnswer {
  SearchAnswer hits;  // of all queries, query after query; its plan is empty
  std::vector<uint64_t> hit_counts;
  std::vector<SearchPlanReport> plans;
};

struct IndexStatus {
  std::string project;
  std::string index;
  uint64_t vectors = 0;
  uint64_t graph_vectors = 0;
  uint64_t buffered_vectors = 0;
  bool building = false;
};

struct EngineStatus {
  uint64_t applied_seq = 0;
  int64_t applied_time = 0;
  uint64_t registry_revision = 0;
  uint64_t online_entities = 0;
  uint64_t online_bytes = 0;
  uint64_t online_budget_bytes = 0;
  bool online_complete = true;
  uint64_t disk_bytes = 0;
  std::vector<IndexStatus> indexes;
  std::vector<std::string> warnings;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_TYPES_H_
