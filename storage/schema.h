// SPDX-License-Identifier: Apache-2.0
// What a view's facts look like: one version of one feature view, resolved from its spec. Immutable
// once made.
#ifndef FLETCH_STORAGE_SCHEMA_H_
#define FLETCH_STORAGE_SCHEMA_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "storage/value.h"

namespace fletch {

// Never used twice in a data directory.
using EntityId = uint32_t;
using ViewId = uint32_t;

enum class Metric : uint8_t { kCosine = 1, kDot = 2, kL2 = 3 };

// How the graph of a searchable field is built and searched; may be changed, and holds from the
// next graph on.
struct IndexParameters {
  uint32_t m = 16;                 // links of a node on the upper levels, twice that on the lowest
  uint32_t ef_construction = 200;  // candidates kept while building
  double target_recall = 0.95;     // what searches aim at unless they say otherwise
  bool operator==(const IndexParameters&) const = default;
};

struct KeyFieldSchema {
  std::string name;
  ValueType type = ValueType::kString;  // kInt64 or kString
};

struct FieldSchema {
  std::string name;
  DataType type;
  std::optional<Column> default_value = {};  // one row of `type`; absent: null
  bool forbid_nan = false;                   // FLOAT, DOUBLE
  bool indexed = false;                      // filters of searches find by it; IsIndexable types
  std::optional<Metric> index_metric = {};   // FLOAT_VECTOR that can be searched
  IndexParameters index = {};                // with index_metric
};

// Fields are only ever appended within a version, so a row written with n fields holds the first n.
struct ViewSchema {
  ViewId view_id = 0;
  EntityId entity_id = 0;
  std::string project;
  std::string name;
  uint64_t version = 1;
  std::string entity;
  std::vector<KeyFieldSchema> join_keys;
  std::vector<KeyFieldSchema> event_keys;
  std::vector<FieldSchema> fields;
  int64_t ttl_micros = 0;  // 0: for ever
  int64_t max_future_skew_micros = 0;
  int64_t retention_micros = 0;  // 0: all history is kept

  // "view@v2".
  std::string versioned_name() const { return name + "@v" + std::to_string(version); }
};

}  // namespace fletch

#endif  // FLETCH_STORAGE_SCHEMA_H_
