// SPDX-License-Identifier: Apache-2.0
// Columns as Arrow describes them, of the types this house speaks.
#ifndef FLETCH_SERVER_FLIGHT_IPC_TYPES_H_
#define FLETCH_SERVER_FLIGHT_IPC_TYPES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/value.h"

namespace fletch {

enum class ArrowKind : uint8_t {
  kNull,  // every value is null; no type is known
  kBool,
  kInt,
  kFloat,
  kUtf8,
  kBinary,
  kTimestamp,
  kDate,
  kList,
  kFixedSizeList,
};

enum class TimeUnit : uint8_t { kSecond, kMilli, kMicro, kNano };

struct ArrowType {
  ArrowKind kind = ArrowKind::kNull;
  int bits = 0;                      // kInt 8 to 64; kFloat 32, 64; kDate 32 (days), 64 (ms)
  bool is_signed = true;             // kInt
  bool large = false;                // kUtf8, kBinary, kList: offsets have 64 bits
  bool view = false;                 // kUtf8, kBinary: views into several buffers
  TimeUnit unit = TimeUnit::kMicro;  // kTimestamp
  std::string timezone = {};         // kTimestamp
  uint32_t list_size = 0;            // kFixedSizeList

  bool operator==(const ArrowType&) const = default;
  bool is_list() const { return kind == ArrowKind::kList || kind == ArrowKind::kFixedSizeList; }
};

using ArrowMetadata = std::vector<std::pair<std::string, std::string>>;

struct ArrowField {
  std::string name;
  ArrowType type = {};
  ArrowType element = {};                  // of lists: a scalar
  std::optional<int64_t> dictionary = {};  // its id: the values are indices into it
  ArrowType index = {};                    // with dictionary: kInt
  ArrowMetadata metadata = {};

  bool operator==(const ArrowField&) const = default;
};

// How a column of `type` travels; metadata "fletch.type" names it.
ArrowField ArrowFieldOf(std::string name, const DataType& type);

// As pyarrow prints it: "timestamp[us, tz=UTC]", "list<double>", "dictionary<int8, string>".
std::string ArrowTypeName(const ArrowField& field);

}  // namespace fletch

#endif  // FLETCH_SERVER_FLIGHT_IPC_TYPES_H_
